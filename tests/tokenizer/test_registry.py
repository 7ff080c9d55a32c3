"""Where tokenizers are found, and what is said when they are not."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import tiktoken

from tokenizer import UsageError, UserError, load_tokenizer, registry
from tokenizer.formats.tiktoken import format_ranks, parse_ranks
from tokenizer.linting import lint
from tokenizer.training import train_on

BYTES = format_ranks({bytes([byte]): byte for byte in range(256)})


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)


@pytest.mark.parametrize("name", registry.RANKS)
def test_the_table_of_published_ranks_is_right(name: str, ranks_of: Callable[[str], bytes]) -> None:
    published = registry.RANKS[name]
    content = ranks_of(name)
    assert len(content) == published.size
    assert hashlib.sha256(content).hexdigest() == published.sha256
    assert format_ranks(parse_ranks(content, name)) == content
    taken = set(parse_ranks(content, name).values())
    assert not taken & set(published.special_tokens.values())


def test_ranks_are_found_in_installed_packages_and_the_default_is_cl100k() -> None:
    assert load_tokenizer("gpt2").encode("hello world") == [31373, 995]
    assert load_tokenizer("o200k").encode("hello world") == [24912, 2375]
    default = load_tokenizer(None)
    assert (default.name, default.encode("hello world")) == ("cl100k", [15339, 1917])


@pytest.mark.usefixtures("no_packages")
def test_ranks_are_found_in_our_own_directory_and_checked(own_home: Path, ranks_of: Callable[[str], bytes]) -> None:
    path = own_home / "data" / "ranks" / "gpt2.tiktoken"
    path.parent.mkdir(parents=True)
    path.write_bytes(ranks_of("gpt2"))
    assert load_tokenizer("gpt2").vocab_size == 50257
    path.write_bytes(ranks_of("gpt2")[:-20])
    with pytest.raises(UserError, match="is damaged") as failure:
        load_tokenizer("gpt2")
    assert failure.value.hint == "needlepoint tok fetch gpt2"


@pytest.mark.usefixtures("no_packages")
def test_ranks_are_found_in_tiktokens_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks_of: Callable[[str], bytes]
) -> None:
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    cached = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    cached.write_bytes(b"something else")
    assert registry.find_ranks("cl100k") is None
    cached.write_bytes(ranks_of("cl100k"))
    assert registry.find_ranks("cl100k") == ranks_of("cl100k")


@pytest.mark.usefixtures("no_packages")
def test_what_is_not_here_can_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cl100k is not on this machine") as failure:
        load_tokenizer("cl100k")
    assert failure.value.hint == "needlepoint tok fetch cl100k"
    small = tmp_path / "small.json"
    train_on(["a small one"], vocab_size=260).save(small)
    monkeypatch.setattr(registry, "_SMALL_FILE", small)
    assert load_tokenizer().name == "small"


def test_the_environment_names_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.json"
    train_on(["mine"], vocab_size=257).save(path)
    monkeypatch.setenv("NEEDLEPOINT_TOKENIZER", str(path))
    assert load_tokenizer().name == str(path)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="no tokenizer 'cl200k'") as failure:
        load_tokenizer("cl200k")
    assert "did you mean cl100k?" in failure.value.hint
    with pytest.raises(UserError, match=r"no tokenizer 'gpt-3\.5'") as failure:
        load_tokenizer("gpt-3.5")
    assert "gguf" in failure.value.hint
    for path in ("no/such/file.json", "none.tiktoken?split=gpt2", "none.json"):
        with pytest.raises(UserError, match=f"there is no file {path.split('?')[0]}") as failure:
            load_tokenizer(path)
        assert "gpt2" in failure.value.hint


def test_members_of_wheels_become_canonical_ranks(ranks_of: Callable[[str], bytes]) -> None:
    content = ranks_of("cl100k")
    assert registry.ranks_from_member("cl100k", gzip.compress(content, 1)) == content
    assert registry.ranks_from_member("cl100k", content) == content
    for wrong in (b"", content[:-1], gzip.compress(content, 1)[:-9], b"#version: 0.2\nx y z", ranks_of("gpt2")):
        with pytest.raises(UserError, match="not the vocabulary cl100k"):
            registry.ranks_from_member("cl100k", wrong)


def test_tiktoken_files_by_path(tmp_path: Path, ranks_of: Callable[[str], bytes]) -> None:
    for name in ("r50k_base.tiktoken", "gpt2.tiktoken"):
        (tmp_path / name).write_bytes(ranks_of("gpt2"))
        assert load_tokenizer(str(tmp_path / name)).encode("hello world") == [31373, 995]
    (tmp_path / "mine.tiktoken").write_bytes(BYTES)
    with pytest.raises(UserError, match="does not say how it splits") as failure:
        load_tokenizer(str(tmp_path / "mine.tiktoken"))
    assert "tokenizer.json" in failure.value.hint
    assert "mine.tiktoken?split=gpt2'" in failure.value.hint


def test_what_a_file_does_not_say_may_stand_behind_its_name(tmp_path: Path, ranks_of: Callable[[str], bytes]) -> None:
    path = tmp_path / "mine.tiktoken"
    path.write_bytes(ranks_of("gpt2"))
    text = "it's 12345 <|end|> of it<|pad|>"
    expected = load_tokenizer(str(path), split="cl100k", special_tokens={"<|end|>": 50300, "<|pad|>": 50301})
    said = load_tokenizer(f"{path}?split=cl100k&special=<|end|>=50300&special=<|pad|>=50301")
    assert said.encode(text, allowed_special="all") == expected.encode(text, allowed_special="all")
    assert (said.split, said.special_tokens) == (expected.split, expected.special_tokens)
    regex = r"(?:a|b)?x=|[^\r\n?&]+/?|\s+(?!\S)|\s+"
    assert load_tokenizer(f"{path}?split={regex}").split.pattern == regex
    for name, given in (
        (f"{path}?split=gpt2&split=cl100k", {}),
        (f"{path}?split=gpt2", {"split": "cl100k"}),
        (f"{path}?split=gpt2&special=<|end|>=50300", {"special_tokens": {"<|pad|>": 50301}}),
        (f"{path}?split=gpt2&special=<|end|>=50300&special=<|end|>", {}),
        ("gpt2?split=cl100k", {}),
        ("small?special=<|end|>=5000", {}),
        (f"{path}?split=nonsense", {}),
    ):
        with pytest.raises(UsageError):
            load_tokenizer(name, **given)
    assert registry.digest(f"{path}?split=gpt2") == registry.digest(str(path)) is not None
    literal = tmp_path / "mine.tiktoken?split=gpt2"
    literal.write_bytes(b"{}")
    with pytest.raises(UserError, match="model should be an object"):
        load_tokenizer(str(literal))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BYTES + b"YWI=\n", "line 257: it should be a token in base64, one space, and a rank"),
        (BYTES + b"YWI= x\n", "line 257: it should be"),
        (BYTES + b"YW%I= 256\n", "line 257: the token is not base64"),
        (BYTES + b"YQ== 256\n", "line 257: the token is already in line 98"),
        (BYTES + b"YWI= 7\n", "line 257: the rank 7 is already in line 8"),
        (BYTES + b"YWI= 256\nYWM= 2147483648\n", "line 258: the rank 2147483648 is too large"),
        (BYTES + b"\n", "line 257"),
        (BYTES + b"YWI= -1\n", "line 257: it should be"),
        (BYTES.split(b"\n", 1)[1], "has no token for the byte 0x00"),
        (b"", "has no token for the byte 0x00"),
    ],
)
def test_tiktoken_files_that_are_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gpt2.tiktoken"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as failure:
        load_tokenizer(str(path))
    assert str(path) in str(failure.value)


def test_a_tiktoken_file_may_have_holes(tmp_path: Path, fuzz_texts: Callable[..., list[str]]) -> None:
    path = tmp_path / "p.tiktoken"
    path.write_bytes(BYTES + b"YWI= 256\nYWJh 258\nICA= 1000\n")
    ours = load_tokenizer(f"{path}?split=gpt2&special=<|end|>=257")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"aba": 258, b"  ": 1000}
    theirs = tiktoken.Encoding("p", pat_str=ours.split.pattern, mergeable_ranks=ranks, special_tokens={"<|end|>": 257})
    for text in ["ababa  x<|end|>", *fuzz_texts(50, "holes")]:
        assert ours.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all")
    assert lint(ours).holes == [(259, 999)]
    for taken in (256, 1000):
        with pytest.raises(UserError, match="another token has it"):
            load_tokenizer(f"{path}?split=gpt2&special=<|end|>={taken}")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("ends_last", [True, False])
def test_tiktoken_lines_end_in_any_way(end: bytes, ends_last: bool) -> None:
    content = BYTES + b"YWI= 256\n"
    lines = content.replace(b"\n", end) if ends_last else content.removesuffix(b"\n").replace(b"\n", end)
    assert parse_ranks(lines, "the file") == {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}


def test_a_home_that_cannot_be_written_hides_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("NEEDLEPOINT_HOME", str(tmp_path / "file"))
    assert registry.find_ranks("gpt2")


def test_another_vocabulary_under_a_known_name_is_refused(tmp_path):
    path = tmp_path / "gpt2_mine.tiktoken"
    single = {bytes([byte]): byte for byte in range(256)}
    pairs = {rank.to_bytes(2, "big"): 256 + rank for rank in range(50_257 - 256)}  # one more than gpt2 has
    path.write_bytes(format_ranks(single | pairs))
    with pytest.raises(UserError, match="is not the vocabulary gpt2"):
        load_tokenizer(str(path))
