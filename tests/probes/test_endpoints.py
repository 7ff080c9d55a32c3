"""Where hosted models are asked: presets, config.toml, other addresses, and keys."""

from pathlib import Path
from typing import Any

import pytest

from probes.config import config_path
from probes.identity import trial_id
from probes.models import load_model
from probes.models.base import AccessDenied
from probes.models.endpoints import NO_KEY, Endpoint, endpoint_names, find_endpoint
from probes.models.options import ModelOptions
from tests.probes.hosted_helpers import SAY_HELLO
from tokenizer.errors import UsageError

SECRET = "sk-in-the-wrong-place-1234567890"


def configure(text: str) -> Path:
    path = config_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(name: str, base_url: str | None = None) -> Endpoint:
    endpoint = find_endpoint(name, base_url)
    assert endpoint is not None
    return endpoint


def test_the_presets() -> None:
    assert endpoint_names() == [
        "anthropic", "openai", "gemini", "openrouter", "ollama", "lmstudio", "vllm", "llamacpp",
    ]  # fmt: skip
    for name in endpoint_names():
        endpoint = found(name)
        local = endpoint.base_url.startswith("http://127.0.0.1:")
        assert (endpoint.free, endpoint.shares_prefixes, endpoint.key_env is None) == (local, local, local)
        assert endpoint.kind == ("anthropic" if name == "anthropic" else "openai")
    assert found("openai").max_tokens_field == "max_completion_tokens"
    assert find_endpoint("nobody") is None


def test_an_endpoint_of_ones_own() -> None:
    configure(
        '[endpoints.lab]\nkind = "openai"\nbase_url = "http://gpu-box:8000/v1/"\nidentity = "lab"\n'
        'key_env = "LAB_KEY"\nwindow = 32768\ntokenize = "vllm"\nfree = true\n'
    )
    model = load_model("lab/qwen/qwen3")
    assert (model.name, model.traits.window, model.traits.free) == ("lab/qwen/qwen3", 32768, True)
    assert model.identity == {"adapter": "openai.chat/1", "endpoint": "lab", "model": "qwen/qwen3"}
    assert found("lab").base_url == "http://gpu-box:8000/v1"
    assert load_model("lab/m", options=ModelOptions(window=5)).traits.window == 5


def test_single_fields_of_a_preset_can_be_changed() -> None:
    configure("[endpoints.ollama]\nwindow = 4096\n")
    assert (found("ollama").window, found("ollama").base_url) == (4096, "http://127.0.0.1:11434/v1")
    configure('[endpoints.openai]\nbase_url = "https://gateway.example/v1"\n')
    moved = found("openai")
    assert (moved.identity, moved.max_tokens_field, moved.key_env) == (
        "gateway.example",
        "max_tokens",
        "OPENAI_API_KEY",
    )


def test_another_port_is_the_same_server_and_another_host_is_not() -> None:
    def identity(name: str, base_url: str | None = None) -> str:
        return trial_id(load_model(name, base_url=base_url).identity, SAY_HELLO)

    assert (
        identity("ollama/m")
        == identity("ollama/m", "http://127.0.0.1:9/v1")
        == identity("ollama/m", "http://localhost:7/v1/")
    )
    addresses = [
        "https://api.openai.com/v1",
        "http://127.0.0.1:1/v1",
        "http://127.0.0.1:2/v1",
        "https://a.example/v1",
        "https://a.example/b/v1",
    ]
    assert len({identity("openai/m", base_url) for base_url in addresses}) == len(addresses)
    assert identity("openai/m") == identity("openai/m", addresses[0])
    assert (
        load_model("openai/m", base_url="https://A.example:8443/team/v1/").identity["endpoint"] == "a.example:8443/team"
    )


def test_a_server_elsewhere_is_not_free() -> None:
    assert found("vllm", "http://127.0.0.1:1/v1").free
    assert not found("vllm", "http://gpu-box:8000/v1").free


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("ollama").key() == NO_KEY
    assert found("openai", "http://127.0.0.1:1/v1").key() == NO_KEY  # a server of one's own, where a key is not needed
    for endpoint in (found("openai"), found("openai", "https://gateway.example/v1")):
        with pytest.raises(AccessDenied, match="OPENAI_API_KEY is not set") as caught:
            endpoint.key()
        assert "OPENAI_API_KEY" in caught.value.hint
    monkeypatch.setenv("OPENAI_API_KEY", f" {SECRET}\n")
    for base_url in (None, "http://127.0.0.1:1/v1", "https://gateway.example/v1"):
        assert found("openai", base_url).key() == SECRET


@pytest.mark.parametrize(
    "base_url",
    [
        f"https://me:{SECRET}@host/v1", f"https://host/v1?key={SECRET}", f"https://host/#{SECRET}",
        f"https://host/v1/{SECRET}@x", "host/v1", "ftp://host", "http://", "http://host:99999/",
    ],
)  # fmt: skip
def test_a_base_url_that_cannot_be_is_told_without_repeating_it(base_url: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_model("openai/m", base_url=base_url)
    configure(f'[endpoints.lab]\nkind = "openai"\nbase_url = "{base_url}"\n')
    with pytest.raises(UsageError) as by_config:
        load_model("lab/m")
    assert SECRET not in repr([caught.value, caught.value.hint, by_config.value, by_config.value.hint])


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[endpoint.a]\n", "the file has an unknown key 'endpoint'", "did you mean 'endpoints'?"),
        ('[endpoints.a]\nkid = "openai"\n', "endpoints.a has an unknown key 'kid'", "did you mean 'kind'?"),
        (f'[endpoints.a]\napi_key = "{SECRET}"\n', "unknown key 'api_key'", "keys stay out of files"),
        ('[prices."a/b"]\ninput = 1\n', "prices.a/b has an unknown key 'input'", "did you mean 'input_usd'?"),
        ('[prices."a/b".long_prompt]\nabove_token = 1\n', "unknown key 'above_token'", "did you mean 'above_tokens'?"),
        ("[endpoints.a.prices]\nwindow = 1\n", "unknown key 'window'", "known are cache_read_usd"),
        ('[prices."a/b"]\ninput_usd = 1\n', "input_usd and output_usd belong together", "README"),
        ('[prices."a/b"]\ninput_usd = -1\noutput_usd = 1\n', "prices.a/b.input_usd", "README"),
        ('[prices."a/b"]\nwindow = "big"\n', "prices.a/b.window", "README"),
        ('[prices."a/b"]\ninput_usd = 1e300\noutput_usd = 1\n', "prices.a/b.input_usd", "README"),
        ('[endpoints.a]\nkind = "smoke"\n', "endpoints.a.kind", "README"),
        (f'[endpoints.a]\nkind = "openai"\nkey_env = "{SECRET}"\n', "endpoints.a.key_env", "README"),
        (f"[endpoints.a]\nwindow = 1{'0' * 5000}\n", "is not TOML", "quotes"),
        (f"a = {'[' * 20_000}\n", "is not TOML", "quotes"),
        ("[endpoints\n", "is not TOML", "quotes"),
        ('[endpoints.a]\nkind = "openai"\n', "endpoints.a has no base_url", "base_url ="),
        ('[endpoints.a]\nbase_url = "http://h"\n', "endpoints.a has no kind", "kind ="),
        ('[endpoints.local]\nkind = "openai"\nbase_url = "http://h"\n', "cannot be named 'local'", "another name"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_config_is_told_with_its_place(text: str, what: str, hint: str) -> None:
    configure(text)
    with pytest.raises(UsageError) as caught:
        load_model("a/b")
    assert str(config_path()) in str(caught.value)
    assert what in str(caught.value)
    assert hint in caught.value.hint
    assert SECRET not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("openia/gpt-9", "did you mean openai/gpt-9?"), ("antropic/c", "did you mean anthropic/c?"),
        ("smollm2-135m", "local/smollm2-135m"),
        ("nobody/x", "a model is"), ("openai", "a model is"), ("openai/", "a model is"), ("/x", "a model is"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="no model named") as caught:
        load_model(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["sim/perfect", "local/smollm2-135m"])
def test_a_base_url_is_for_hosted_models(name: str) -> None:
    with pytest.raises(UsageError, match="not reached over HTTP"):
        load_model(name, base_url="http://127.0.0.1:1/v1")


def test_a_simulated_reader_takes_no_extra_fields() -> None:
    with pytest.raises(UsageError, match="takes no --extra"):
        load_model("sim/perfect", options=ModelOptions(extra={"top_k": 1}))


def test_the_config_is_read_again_when_it_changes() -> None:
    windows: list[Any] = []
    for window in (1000, 20_000):
        configure(f'[prices."openai/m"]\nwindow = {window}\n')
        windows.append(load_model("openai/m").traits.window)
    assert windows == [1000, 20_000]
