"""Files of every format, damaged: an error with the place in the file, and never a wrong tokenizer or a long wait."""

import json
import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import MiniBpeRust
import pytest
import regex
import tiktoken.load
import tokenizers

from tests.gguf_files import gguf_file
from tokenizer import Tokenizer, UserError, load_tokenizer
from tokenizer.formats import files
from tokenizer.formats.huggingface import to_json
from tokenizer.training import train_on

CORPUS = ["The cat's hat; the CAT sat at 1234 o'clock. мир 世界 🌍\n" * 3]
TEXTS = [*CORPUS, "the <|end|> hat", " \n\tat 99 hat's"]
MANY = int(os.environ.get("NEEDLEPOINT_FUZZ", "0"))
GIVEN = {"split": "gpt2", "special_tokens": {"<|end|>": 270}}
DEEP = b"[" * 10_000_000


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_on(CORPUS, vocab_size=271, layout="bytes", special_tokens=["<|end|>"])


@pytest.fixture
def contents(trained: Tokenizer, tmp_path: Path) -> dict[str, bytes]:
    """A small right file of each format, by its name."""
    found = {}
    for name in ("mine.json", "mine.tiktoken", "mine.model", "pair/vocab.json"):
        trained.save(tmp_path / name)
    for name in ("mine.json", "mine.tiktoken", "mine.model", "pair/vocab.json", "pair/merges.txt"):
        found[name] = (tmp_path / name).read_bytes()
    return found | {"mine.gguf": gguf_file(trained)}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tiktoken read files themselves, and not what it remembers of their names."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")


def loaded(path: Path) -> Tokenizer | None:
    """The tokenizer, or nothing if it was refused in the way in which a file must be refused."""
    given = GIVEN if path.suffix == ".tiktoken" or path.parent.name == "pair" else {}
    try:
        return load_tokenizer(str(path), **given)  # type: ignore[arg-type]
    except UserError as err:
        refused = err
    assert path.name in str(refused) or "/pair/" in str(refused)
    assert refused.hint
    assert len(str(refused)) < 1000
    return None


def ids_of_peer(path: Path) -> Callable[[str], list[int] | None]:
    """How the package whose format it is encodes by this file; None where none reads it or it leaves text out."""
    if path.suffix == ".model":
        theirs = MiniBpeRust.RegexTokenizer()
        theirs.load(str(path))
        engine = MiniBpeRust.RegexTokenizer(theirs.pattern) if theirs.pattern else MiniBpeRust.BasicTokenizer()
        engine.load(str(path))
        if not theirs.pattern:
            return engine.encode
        split = regex.compile(theirs.pattern)  # of a piece with groups it takes the groups alone
        return lambda text: None if split.groups or split.sub("", text) else engine.encode(text, "none")
    if path.name == "mine.json":
        hugging_face = tokenizers.Tokenizer.from_file(str(path))
        return lambda text: hugging_face.encode(text).ids
    if path.parent.name == "pair":
        model = tokenizers.models.BPE.from_file(str(path.parent / "vocab.json"), str(path.parent / "merges.txt"))
        hugging_face = tokenizers.Tokenizer(model)
        hugging_face.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        return lambda text: hugging_face.encode(text).ids
    return lambda _text: None


def check(path: Path, original: Tokenizer) -> bool:
    """Load a damaged file; what is not refused must be as before, or as the format's own package reads it."""
    ours = loaded(path)
    if ours is None:
        return False
    fields = ("vocabulary", "special_tokens", "merges", "split")
    if all(getattr(ours, field) == getattr(original, field) for field in fields):
        return True
    if path.suffix == ".tiktoken":
        assert ours.vocabulary == tiktoken.load.load_tiktoken_bpe(str(path))
    encode = ids_of_peer(path)
    for text in TEXTS:
        plain = text.replace("<|end|>", "")
        ids = ours.encode(plain, disallowed_special=())
        assert ours.decode(ids) == plain
        assert encode(plain) in (None, ids), path.read_bytes()
    return True


NAMES = ["mine.json", "mine.tiktoken", "mine.model", "pair/vocab.json", "pair/merges.txt", "mine.gguf"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_short(name: str, contents: dict[str, bytes], tmp_path: Path) -> None:
    path, content = tmp_path / name, contents[name]
    original = loaded_whole(path, content)
    step = max(1, len(content) // 150)
    outcomes = set()
    for size in (*range(0, len(content), step), len(content) - 1):
        path.write_bytes(content[:size])
        outcomes.add(check(path, original))
    assert False in outcomes


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_damaged_bytes(name: str, contents: dict[str, bytes], tmp_path: Path) -> None:
    path, content = tmp_path / name, contents[name]
    original = loaded_whole(path, content)
    generator = random.Random(name)
    outcomes = set()
    for _ in range(max(150, MANY)):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 1, 2, 8))):
            damaged[generator.randrange(len(damaged))] = generator.choice((generator.randrange(256), *b'0",]} \n'))
        path.write_bytes(damaged)
        with warnings.catch_warnings(action="ignore"):
            outcomes.add(check(path, original))
    assert outcomes == {True, False}


def loaded_whole(path: Path, content: bytes) -> Tokenizer:
    path.write_bytes(content)
    original = loaded(path)
    assert original
    return original


def lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def doublings(count: int) -> bytes:
    return b"".join(b"%d %d\n" % (one, one) for one in range(256, 256 + count))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mine.json", lambda content: DEEP, "is nested too deeply: line 1, column 65"),
        ("mine.json", lambda content: b'{"a":\n' + b'{"a":' * 100_000, "is nested too deeply: line 2, column 316"),
        ("mine.json", lambda content: b'{"a":\n ' + b"9" * 5000 + b"}", "line 2, column 2: a number has too many"),
        ("mine.json", lambda content: content.replace(b'"t": 116', b'"h": 116'), 'the key "h" stands twice'),
        ("mine.json", lambda content: content.replace(b'"t": 116', b'"t": NaN'), r'vocab\["t"\] should be an id'),
        ("mine.json", lambda content: content.replace(b'"t": 116', b'"t": -1'), r'vocab\["t"\] should be an id'),
        ("mine.json", lambda content: content.replace(b'"t": 116', b'"": 116'), "holds an empty token|needs the token"),
        ("mine.json", lambda content: content[:-9] + b"\xff" + content[-9:], r"byte \d+ is not UTF-8"),
        ("mine.json", lambda content: content.replace(b"the file", b""), None),
        ("pair/vocab.json", lambda content: DEEP, "is nested too deeply"),
        ("pair/vocab.json", lambda content: b"[1, 2]", "the file should be an object"),
        ("pair/vocab.json", lambda content: content.replace(b'"t": 116', b'"t": 115'), "has the id 115, which"),
        ("pair/vocab.json", lambda content: content.replace(b'"t": 116', b'"\xe2\x98\x83": 116'), "needs|no merge"),
        ("pair/merges.txt", lambda content: content + b"x y\n", 'line 16: needs the token "xy"'),
        ("pair/merges.txt", lambda content: content + lines(content)[3], "line 16: the merge is already in line 4"),
        ("pair/merges.txt", lambda content: content + b"abc\n", 'line 16: "abc" should be two tokens'),
        ("pair/merges.txt", lambda content: content + b" t\n", "line 16: .* should be two tokens"),
        ("pair/merges.txt", lambda content: content + b"a b c\n", "line 16: .* should be two tokens"),
        ("pair/merges.txt", lambda content: b"\n" + content, 'line 1: "" should be two tokens'),
        ("pair/merges.txt", lambda content: b"".join(lines(content)[:-1]), "no merge in .* makes"),
        ("pair/merges.txt", lambda content: content + b"\xff", "byte .* is not UTF-8"),
        ("mine.model", lambda content: content.replace(b"v1", b"v2"), "line 1: should be 'minbpe v1'"),
        ("mine.model", lambda content: b"\n\x0fsentencepiece\xff", "byte .* is not UTF-8"),
        ("mine.model", lambda content: b"minbpe v1\n", "line 2: the file ends too early"),
        ("mine.model", lambda content: b"minbpe v1\n\n9\n", "line 4: the file ends too early"),
        ("mine.model", lambda content: b"minbpe v1\n\n" + b"9" * 5000, "line 3: .* should be a whole number"),
        ("mine.model", lambda content: b"minbpe v1\n[a\n0\n", "line 2: .* position"),
        ("mine.model", lambda content: b"minbpe v1\na+$\n0\n", "line 2: '.' in a pattern means something else"),
        ("mine.model", lambda content: content.replace(b"<|end|> 270", b"<|end|> 97"), "line 4: .* has the id 97"),
        ("mine.model", lambda content: content.replace(b"<|end|> 270", b"<| end|> 270"), "line 4: should be a special"),
        ("mine.model", lambda content: content.replace(b"> 270", b"> 2147483648"), "line 4: the id 21.* is too large"),
        ("mine.model", lambda content: b"minbpe v1\n\n0\n97 97\n" + doublings(60), "line 31: .* more than 256 MB"),
        ("mine.model", lambda content: content + b"270 97\n", "names the id 270, but only ids below 270 are made yet"),
        ("mine.model", lambda content: content + b"271 270\n", "names the id 271, but only"),
        ("mine.model", lambda content: content + lines(content)[5], "line 19: the merge makes .* is already"),
        ("mine.model", lambda content: content + b"97\n", "line 19: should be a merge, two ids"),
        ("mine.model", lambda content: content + b"97 x\n", 'line 19: "x" should be a whole number'),
        ("mine.tiktoken", lambda content: content + b"YWJj " + b"9" * 5000 + b"\n", "line 271: it should be"),
        ("mine.tiktoken", lambda content: content + b" 270\n", "line 271: it should be"),
        ("mine.tiktoken", lambda content: content + lines(content)[7], "line 271: the token is already in line 8"),
        ("mine.tiktoken", lambda content: DEEP, "line 1: the token is not base64"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(
    name: str, change: Callable[[bytes], bytes], message: str | None, contents: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(change(contents[name]))
    given: dict[str, Any] = GIVEN if path.suffix == ".tiktoken" or path.parent.name == "pair" else {}
    if message is None:
        assert load_tokenizer(str(path), **given)
        return
    with pytest.raises(UserError, match=message) as failure:
        load_tokenizer(str(path), **given)
    assert str(path.parent) in str(failure.value)
    assert len(str(failure.value)) < 1000


def test_a_merge_that_makes_one_of_its_own_parts_is_refused(trained: Tokenizer, tmp_path: Path) -> None:
    content = to_json(trained)
    content["model"]["vocab"][""] = 5000
    content["model"]["merges"].append(["", "th"])
    (tmp_path / "cycle.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"merges\[\d+\] should be two tokens and is"):
        load_tokenizer(str(tmp_path / "cycle.json"))


def test_of_a_merge_that_stands_twice_the_second_counts_as_in_tokenizers(trained: Tokenizer, tmp_path: Path) -> None:
    content = to_json(trained)
    content["model"]["merges"].append(content["model"]["merges"][0])
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    theirs = tokenizers.Tokenizer.from_file(str(path))
    assert [load_tokenizer(str(path)).encode(text) for text in CORPUS] == [theirs.encode(text).ids for text in CORPUS]


def odd_names(folder: Path) -> Iterator[tuple[str, str]]:
    os.mkfifo(folder / "pipe.json")
    os.mkfifo(folder / "pipe")
    (folder / "huge.json").touch()
    os.truncate(folder / "huge.json", files.LARGEST + 1)
    yield str(folder / "pipe.json"), "no regular file"
    yield str(folder / "pipe"), "no regular file"
    yield "/dev/zero", "no regular file"
    yield str(folder / "huge.json"), "larger than"
    yield "~nobodyofthatname/mine.json", "there is no file"
    yield "mine\0.json", "there is no file"
    yield "x" * 10_000, "there is no tokenizer"
    yield str(folder / "mine.gguf" / "x"), "there is no file"


def test_names_of_what_cannot_be_read(tmp_path: Path) -> None:
    for name, message in odd_names(tmp_path):
        with pytest.raises(UserError, match=message):
            load_tokenizer(name)


@pytest.mark.parametrize("name", ["mine.tiktoken", "pair/vocab.json"])
@pytest.mark.parametrize("given", [{"": 300}, {"\ud800": 300}, {"<a>": -1}, {"<a>": 1 << 31}, {"<a>": 300, "<b>": 300}])
def test_special_tokens_that_cannot_be(
    name: str, given: dict[str, int], contents: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(contents[name])
    with pytest.raises(UserError, match=r"the special token .* (is empty|is not text|cannot have the id)"):
        load_tokenizer(str(tmp_path / name), split="gpt2", special_tokens=given)


def test_what_a_merge_makes_is_not_special(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "vocab.json")
    with pytest.raises(UserError, match='"at" is made by a merge'):
        load_tokenizer(str(tmp_path), split="gpt2", special_tokens={"<|end|>": None, "at": None})


def test_an_added_token_of_any_length_is_not_looked_for(trained: Tokenizer, tmp_path: Path) -> None:
    content = to_json(trained)
    added = content["added_tokens"][0] | {"id": 271, "content": "x" * 300_000}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content | {"added_tokens": [added]}), encoding="utf-8")
    with pytest.raises(UserError, match=r"added_tokens\[0\].content is"):
        load_tokenizer(str(path))


def test_where_there_is_no_room_nothing_is_changed(tmp_path: Path) -> None:
    old = {tmp_path / "mine.json": b"old", tmp_path / "mine.train.json": b"old, too"}
    files.write_files(old)
    (tmp_path / "file").touch()
    for hopeless in (tmp_path / "file" / "below", tmp_path / "new" / ("x" * 300)):
        with pytest.raises(UserError, match="cannot write"):
            files.write_files({**dict.fromkeys(old, b"new"), hopeless: b""})
        with pytest.raises(UserError, match="cannot write"):
            files.write_files({hopeless: b"", tmp_path / "new" / "other": b""})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {**old, tmp_path / "file": b""}


def test_places_that_cannot_be_written(trained: Tokenizer, tmp_path: Path) -> None:
    for name in (tmp_path / "no" / "such" / "mine.json", tmp_path / "no" / "such" / "vocab.json", "a\0.json"):
        with pytest.raises(UserError, match="cannot write"):
            trained.save(name)
    assert not list(tmp_path.iterdir())


def test_a_home_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLEPOINT_HOME", "~nobodyofthatname/home")
    assert load_tokenizer("small").vocab_size == 4096
    monkeypatch.setattr("tokenizer.registry.find_spec", lambda _: None)
    with pytest.raises(UserError, match="not on this machine"):
        load_tokenizer("gpt2")
