"""`tok convert` and `tok verify` as a person types them."""

import json
from importlib import metadata
from pathlib import Path

import pytest
import tokenizers
from click.testing import CliRunner, Result

from cli.main import needlepoint
from tokenizer.training import train_on

CORPUS = ["The miller carried the flour to the village, and the village paid the miller in the market.\n" * 4]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(needlepoint, ["tok", *arguments], prog_name="needlepoint")


def failure(result: Result, code: int) -> tuple[str, str]:
    """The error and the hint of a command that failed with this exit code."""
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("error: "), lines
    assert lines[-1].startswith("hint: "), lines
    return lines[-2], lines[-1]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    train_on(CORPUS, vocab_size=280, layout="bytes", special_tokens=["<|end|>"]).save("mine.json")
    return "mine.json"


class TestConvert:
    def test_the_json_is_this(self, mine):
        texts = 1520 + 1  # awkward ones, samples, repeats, and one for the special token
        expected = f"""{{
  "schema": "needlepoint.tok.convert/1",
  "meta": {{}},
  "rows": [
    {{"source": "mine.json", "target": "mine.model", "format": "minbpe", "vocab_size": 280, "special_tokens": 1, \
"checked_texts": {texts}}}
  ]
}}
"""
        assert run("convert", mine, "mine.model", "--json").stdout == expected

    def test_every_format_leads_back_to_the_same_file(self, mine):
        original = Path(mine).read_bytes()
        given = ["--split", "gpt2", "--special", "<|end|>"]
        for target, back in (
            ("mine.model", []),
            ("pair/", given),
            ("mine.tiktoken", ["--split", "gpt2", "--special", "<|end|>=279"]),
        ):
            there = run("convert", mine, target)
            assert there.exit_code == 0, there.output
            again = run("convert", target, "again.json", *back)
            assert again.exit_code == 0, again.output
            content = json.loads(Path("again.json").read_bytes())
            content["model"]["ignore_merges"] = False
            assert content == json.loads(original)
        assert sorted(path.name for path in Path("pair").iterdir()) == ["merges.txt", "vocab.json"]

    def test_what_a_format_leaves_out_is_told_on_stderr(self, mine):
        result = run("convert", mine, "mine.tiktoken")
        assert (
            "mine.tiktoken does not hold the split nor which tokens are special; say it behind its name"
            in result.stderr
        )
        said = "mine.tiktoken?split=gpt2&special=<|end|>=279"
        assert f"-t '{said}'" in result.stderr
        command = ["show", "it is the <|end|>", "--allow-special", "--json", "-t"]
        ours, theirs = run(*command, mine), run(*command, said)
        assert theirs.stdout == ours.stdout.replace(mine, said)
        for command in (["explain", "the"], ["lint"], ["vocab", "the"], ["compare"], ["tree", "he"], ["alt", "the"]):
            arguments = [*command, said, "-i", mine] if command == ["compare"] else [*command, "-t", said]
            assert run(*arguments).exit_code == 0, run(*arguments).output
        assert "wrote mine.tiktoken; read back, it gives the same ids for 1521 texts" in result.stderr
        assert "replaced mine.tiktoken" in run("convert", mine, "mine.tiktoken").stderr
        assert "RegexTokenizer(pattern=...)" in run("convert", mine, "mine.model").stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "error", "hint"),
        [
            (["small", "small.model"], 1, "ids would change: in minbpe's files", "--layout bytes"),
            (["mine.json", "mine.gguf"], 1, "does not write", "tokenizer.json"),
            (["mine.json", "mine.txt"], 1, "does not say what format it is", ".tiktoken"),
            (["mine.json", "no/where/mine.json"], 1, "cannot write", "directory"),
            (["none.json", "mine.model"], 1, "there is no file none.json", "small"),
            (["mine.json", "mine.model", "--split", "gpt2"], 2, "says itself how it splits", "--special"),
            (["small", "small.tiktoken", "--special", "<x>"], 2, "has its own split", "name a file"),
            (["mine.json"], 2, "TARGET", "--help"),
            (["mine.json", ""], 2, "TARGET is empty", "mine.json"),
            (["none", "x.json", "--special", "<a>=1", "--special", "<a>=2"], 2, "is given twice", "one id"),
            (["", "x.json"], 1, "there is no tokenizer ''", "small"),
        ],
    )
    def test_what_cannot_be_done_is_told(self, mine, arguments, code, error, hint):
        told, advice = failure(run("convert", *arguments), code)
        assert error in told
        assert hint in advice

    def test_the_record_of_a_training_is_not_left_beside_another_tokenizer(self, mine):
        Path("other.train.json").write_text("{}", encoding="utf-8")
        error, hint = failure(run("convert", mine, "other.json"), 1)
        assert "other.train.json is the record of how another other.json was trained" in error
        assert "delete the record" in hint
        assert not Path("other.json").exists()

    def test_a_tiktoken_file_of_an_unknown_name_needs_its_split(self, mine):
        run("convert", mine, "mine.tiktoken")
        error, hint = failure(run("convert", "mine.tiktoken", "out.json"), 1)
        assert "does not say how it splits text" in error
        assert "--split gpt2" in hint
        assert "position 0" in failure(run("convert", "mine.tiktoken", "out.json", "--split", "(a"), 2)[0]
        assert not Path("out.json").exists()


class TestVerify:
    def test_the_json_is_this(self, mine):
        document = json.loads(run("verify", mine, "--json").stdout)
        size = document["rows"][0]["bytes"]
        assert size > 50_000
        nothing = dict.fromkeys(("reason", "text", "at_token", "at_byte", "ids", "peer_ids"))
        assert document == {
            "schema": "needlepoint.tok.verify/1",
            "meta": {"tokenizers": [{"name": "mine.json", "vocab_size": 280}]},
            "rows": [
                {"peer": peer, "version": metadata.version(peer), "texts": 1521, "bytes": size, "result": "identical"}
                | nothing
                for peer in ("tokenizers", "tiktoken")
            ],
        }

    def test_a_pipe_gets_a_row_for_each_package(self, mine):
        result = run("verify", mine, "--against", "tiktoken")
        header, row = (line.split("\t") for line in result.stdout.splitlines())
        assert header == ["peer", "version", "texts", "bytes", "result"]
        assert (row[0], row[4], result.exit_code) == ("tiktoken", "identical", 0)

    def test_the_first_difference_ends_with_an_error(self, mine, monkeypatch):
        class Wrong:
            def __init__(self, engine):
                self.engine = engine

            def encode(self, text, **_):
                encoding = self.engine.encode(text)
                return type("Encoding", (), {"ids": [id_ + (id_ == ord("z")) for id_ in encoding.ids]})

        right = tokenizers.Tokenizer.from_file(mine)
        monkeypatch.setattr("tokenizers.Tokenizer", type("Stub", (), {"from_str": lambda _: Wrong(right)}))
        result = run("verify", mine, "--json")
        error, hint = failure(result, 1)
        assert f"mine.json and tokenizers {metadata.version('tokenizers')} differ in '␀" in error
        row = json.loads(result.stdout)["rows"][0]
        before = row["text"].encode()[: row["at_byte"]]
        assert (row["result"], row["ids"][0], row["peer_ids"][0]) == ("different", ord("z"), ord("z") + 1)
        assert row["text"].encode()[row["at_byte"] :].startswith(b"z")
        assert len(right.encode(before.decode()).ids) == row["at_token"]
        assert "--json" in hint

    def test_what_no_package_can_hold_is_told(self, mine):
        content = json.loads(Path(mine).read_text(encoding="utf-8"))
        content["model"]["merges"].reverse()
        Path("odd.json").write_text(json.dumps(content), encoding="utf-8")
        result = run("verify", "odd.json")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[2].endswith("\t0\t0\tnot compared")
        assert "Not compared with tiktoken: ids would change: the token" in result.stderr
        error, _ = failure(run("verify", "odd.json", "--against", "tiktoken"), 1)
        assert "odd.json can be compared with nothing: ids would change" in error

    def test_a_file_that_gives_other_ids_than_at_its_training_is_found(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("text.txt").write_text(CORPUS[0], encoding="utf-8")
        assert run("train", "text.txt", "-o", "trained.json", "--vocab-size", "280").exit_code == 0
        rows = json.loads(run("verify", "trained.json", "--json").stdout)["rows"]
        assert [(row["peer"], row["result"]) for row in rows] == [
            ("training record", "identical"),
            ("tokenizers", "identical"),
            ("tiktoken", "identical"),
        ]
