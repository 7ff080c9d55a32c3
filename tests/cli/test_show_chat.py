"""`tok show --chat`: a conversation through a model's chat template, as a person sees it and as rows."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import needlepoint
from tests.cli.terminals import on_a_terminal
from tests.gguf_files import TEXT, entries_of, file_of, text
from tests.probes.test_chat_templates import CHATML
from tokenizer import load_tokenizer
from tokenizer.encoding import Tokenizer
from tokenizer.formats.tiktoken import format_ranks

TURNS = [
    {"role": "system", "content": "The shop."},
    {"role": "user", "content": "né<|im_end|>\x1b[2J"},
    {"role": "assistant", "content": "the shop"},
    {"role": "user", "content": "The shop."},
]


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(needlepoint, ["tok", "show", *arguments], input=stdin, prog_name="needlepoint")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return small_with({"<|im_start|>": 4096, "<|im_end|>": 4097})


def small_with(special_tokens: dict[str, int]) -> Tokenizer:
    small = load_tokenizer("small")
    return Tokenizer(
        name="chats",
        split=small.split,
        vocabulary=small.vocabulary,
        special_tokens=special_tokens,
        merges=small.merges,
        whole_pieces=False,
    )


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> list[str]:
    folder = tmp_path_factory.mktemp("chats")
    weights, turns = folder / "model.gguf", folder / "chat.json"
    weights.write_bytes(file_of(entries_of(tokenizer, "gpt-2") | {"tokenizer.chat_template": (TEXT, text(CHATML))}))
    turns.write_text(json.dumps({"turns": TURNS}), encoding="utf-8")
    return ["--chat", str(turns), "--template", str(weights)]


def test_special_tokens_that_another_tokenizer_does_not_know_are_told(chat: list[str], tmp_path: Path) -> None:
    told = "does not know the special tokens that the template writes"
    assert f"gpt2 {told}, and cuts them as text: <|im_start|>, <|im_end|>." in run(*chat, "-t", "gpt2").stderr
    assert told not in run(*chat).stderr
    path = tmp_path / "known.tiktoken"
    path.write_bytes(format_ranks({bytes([byte]): byte for byte in range(256)}))
    known = f"{path}?split=gpt2&special=<|im_start|>=300&special=<|im_end|>=301"
    assert told not in run(*chat, "-t", known).stderr


def test_a_pipe_gets_a_stretch_a_line_and_the_figures_of_each_role(chat: list[str], tokenizer: Tokenizer) -> None:
    done = run(*chat)
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    picture, table = done.stdout.split("\n\n")
    lines = picture.splitlines()
    assert lines[0].split() == [
        "template",
        f"⟦<|im_start|>⟧¦{'¦'.join(words(tokenizer, 'system'))}¦⏎",
    ]  # as a turn holds bars
    assert lines[1].startswith("1 system")
    assert lines[1].endswith("¦".join(words(tokenizer, "The shop.")))
    assert [line.split("  ")[0] for line in lines if not line.startswith((" ", "template"))] == [
        *("1 system", "2 user", "3 assistant", "4 user")
    ]
    spelled = next(line for line in lines if line.startswith("2 user"))
    assert "⟦" not in spelled
    assert spelled.replace("¦", "").endswith("<|im_end|>␛[2J")
    # By hand: four times start, role, line end, end, line end; and start, assistant, line end at the last.
    own = sum(5 + len(words(tokenizer, turn["role"])) - 1 for turn in TURNS) + 2 + len(words(tokenizer, "assistant"))
    said = {
        role: sum(tokenizer.count(turn["content"], disallowed_special=()) for turn in TURNS if turn["role"] == role)
        for role in ("system", "user", "assistant")
    }
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in table.splitlines())}
    assert {role: int(rows[role][2]) for role in said} == said
    assert rows["template"][2:4] == [str(own), "9"]
    assert rows["total"][0] == "4"
    assert rows["total"][2] == str(own + sum(said.values()))
    assert f"model.gguf adds {own} of the {own + sum(said.values())} tokens, 9 of them special" in done.stderr
    assert "<|im_end|> (turn 2)" in done.stderr


def test_a_fetched_model_is_known_by_its_name(chat: list[str], own_home: Path) -> None:
    models = own_home / "data" / "models"
    models.mkdir(parents=True)
    (models / "mini.gguf").symlink_to(chat[3])
    assert run("--chat", chat[1], "--template", "mini").stdout == run(*chat).stdout


def test_a_special_token_stays_in_its_line(tmp_path: Path) -> None:
    own, template, turns = tmp_path / "own.json", tmp_path / "own.jinja", tmp_path / "chat.json"
    small_with({"<a\nb\tc>": 4096}).save(own)
    template.write_text("{% for message in messages %}{{ message['content'] }}<a\nb\tc>{% endfor %}", encoding="utf-8")
    turns.write_text(json.dumps({"turns": [{"role": "user", "content": "hi"}]}), encoding="utf-8")
    picture = run("--chat", str(turns), "--template", str(template), "-t", str(own)).stdout.split("\n\n")[0]
    assert picture.splitlines()[1].split() == ["template", "⟦<a⏎b→c>⟧"]


def test_an_empty_turn_is_told(chat: list[str], tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "?"}]
    (tmp_path / "empty.json").write_text(json.dumps({"turns": turns}), encoding="utf-8")
    done = run("--chat", str(tmp_path / "empty.json"), *chat[2:])
    assert "Turn 2 (assistant) is empty" in done.stderr
    assert "Turn 1" not in done.stderr


def words(tokenizer: Tokenizer, said: str) -> list[str]:
    return [tokenizer.token_bytes(one).decode() for one in tokenizer.encode(said)]


def test_rows_hold_every_token_with_its_turn_and_role(chat: list[str], tokenizer: Tokenizer) -> None:
    document = json.loads(run(*chat, "--json").stdout)
    tokens = [row for row in document["rows"] if row["table"] == "token"]
    assert list(tokens[0]) == [
        *("table", "position", "id", "text", "bytes_hex", "start_byte", "end_byte", "special", "turn", "role")
    ]
    whole = bytes.fromhex("".join(row["bytes_hex"] for row in tokens)).decode()
    assert (
        whole
        == "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in TURNS)
        + "<|im_start|>assistant\n"
    )
    for number, turn in enumerate(TURNS, 1):
        own = [row for row in tokens if row["turn"] == number]
        assert bytes.fromhex("".join(row["bytes_hex"] for row in own)).decode() == turn["content"]
        assert {row["role"] for row in own} == {turn["role"]}
        assert not any(row["special"] for row in own)
    parts = {row["part"]: row["tokens"] for row in document["rows"] if row["table"] == "part"}
    assert list(parts) == ["system", "user", "assistant", "template"]
    assert sum(parts.values()) == len(tokens)


def test_another_tokenizer_and_a_template_that_rewrites(chat: list[str], tmp_path: Path) -> None:
    shouting = tmp_path / "shouting.jinja"
    shouting.write_text(
        "{% for m in messages %}{{ m.content | tojson }}{% if loop.first %}{{ m.content }}{% endif %}{% endfor %}"
    )
    done = run(
        "--chat",
        "-",
        "--template",
        str(shouting),
        "-t",
        "small",
        stdin='[{"role": "user", "content": "ab"}, {"role": "user", "content": "cd"}]',
    )
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("tokenizer: small\n")
    assert "Of turn 2 the prompt has not 2 of its 2 characters as they stand" in done.stderr
    assert "Of turn 1" not in done.stderr


def test_a_terminal_as_the_conversation_is_told_so_and_not_kept_waiting(chat: list[str]) -> None:
    printed = on_a_terminal("tok", "show", "--chat", "-", "--template", chat[3], code=2)
    assert "error: python -m cli tok show was given nothing to read" in printed


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--chat", "CHAT"], "--chat needs a chat template"),
        (["--chat", "CHAT", "--template", "smollm2-135m"], "smollm2-135m was not fetched yet"),
        (["--template", "MODEL"], "--template was given without --chat"),
        (["--chat", "CHAT", "--template", "MODEL", "a text"], "together with a text"),
        (["--chat", "CHAT", "--template", "MODEL", "-t", "small", "-t", "gpt2"], "takes one tokenizer"),
        (["--chat", "CHAT", "--template", "MODEL", "--allow-special"], "do not go with --chat"),
        (["--chat", "none.json", "--template", "MODEL"], "there is no file none.json"),
        (["--chat", "MODEL", "--template", "MODEL"], "is not UTF-8 text"),
        (["--chat", "CHAT", "--template", "CHAT"], "has no chat_template"),
    ],
)
def test_what_does_not_go_together_is_told(chat: list[str], arguments: list[str], what: str) -> None:
    named = {"CHAT": chat[1], "MODEL": chat[3]}
    done = run(*(named.get(word, word) for word in arguments))
    assert done.exit_code in (1, 2)
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith("error: ")
    assert what in error
    assert hint.startswith("hint: ")
