"""The samples are what samples/README.md says they are."""

import gzip
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
SCRIPTS = {
    "arabic": {"ARABIC"},
    "chinese": {"CJK"},
    "german": {"LATIN"},
    "greek": {"GREEK"},
    "hebrew": {"HEBREW"},
    "hindi": {"DEVANAGARI"},
    "japanese": {"HIRAGANA", "KATAKANA", "CJK"},
    "korean": {"HANGUL"},
    "russian": {"CYRILLIC"},
    "thai": {"THAI"},
}


def scripts(text: str) -> dict[str, int]:
    """How many letters of each script; a script is the first word of a letter's Unicode name."""
    counts: dict[str, int] = {}
    for letter in filter(str.isalpha, text):
        script = unicodedata.name(letter).split()[0]
        counts[script] = counts.get(script, 0) + 1
    return counts


def texts() -> list[Path]:
    files = (path for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path for path in files if path.suffix != ".png")


def test_every_sample_is_there():
    assert {path.stem for path in (SAMPLES / "texts").iterdir()} == {"english", *SCRIPTS}
    assert len(texts()) >= len(SCRIPTS) + 4


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_samples_are_clean_text(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    letters = set(text) - {"\n"}
    assert not [letter for letter in letters if unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs"}]
    assert unicodedata.is_normalized("NFC", text) or path.stem == "hindi"  # NFC takes some Devanagari letters apart
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("language", SCRIPTS)
def test_short_texts_are_in_their_script(language):
    text = (SAMPLES / "texts" / f"{language}.txt").read_text(encoding="utf-8")
    assert 600 <= len(text) <= 1500
    counts = scripts(text)
    own = sum(counts.get(script, 0) for script in SCRIPTS[language])
    assert own >= 0.99 * sum(counts.values())
    assert SCRIPTS[language] <= set(counts)
    assert text.count("\n\n") >= 3


def test_english_text_has_some_pages_and_a_wide_vocabulary():
    text = (SAMPLES / "texts" / "english.txt").read_text(encoding="utf-8")
    words = re.findall(r"[a-z]+", text.lower())
    assert len(text) >= 12_000
    assert len(set(words)) >= 700


def test_the_program_runs(tmp_path):
    program = SAMPLES / "code" / "inventory.py"
    assert len(program.read_text(encoding="utf-8").splitlines()) >= 120
    run = [sys.executable, "-B", str(program)]
    shown = subprocess.run(run, capture_output=True, text=True, check=True)
    # By hand: twine 12 at 0.85 + 10 at 0.95, 14 taken, oldest first: 8 left at 0.95.
    assert re.search(r"^twine +8 +7\.60$", shown.stdout, re.MULTILINE)
    assert re.search(r"^seed trays +2 +0\.60  <- running low$", shown.stdout, re.MULTILINE)
    assert re.search(r"^in all +20\.80  \(used up: 23\.50\)$", shown.stdout, re.MULTILINE)
    movements = tmp_path / "movements.txt"
    movements.write_text("2024-03-01 in nails 3 at 0.10\n2024-03-02 out nails 4\n", encoding="utf-8")
    refused = subprocess.run([*run, str(movements)], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "error: 2024-03-02, nails: 4 wanted, 3 there\n"


def test_the_conversation_has_its_shape():
    talk = json.loads((SAMPLES / "conversation.json").read_text(encoding="utf-8"))
    assert set(talk) == {"schema", "title", "turns", "facts"}
    assert talk["schema"] == "needlepoint.conversation/1"
    turns = talk["turns"]
    assert 28 <= len(turns) <= 36
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    assert all(set(turn) == {"role", "content"} and turn["content"].strip() for turn in turns)
    assert len({turn["content"] for turn in turns}) == len(turns)


def test_the_conversation_s_facts_stand_in_their_turns():
    talk = json.loads((SAMPLES / "conversation.json").read_text(encoding="utf-8"))
    facts = talk["facts"]
    assert {fact["kind"] for fact in facts} == {"decision", "commitment", "incidental"}
    assert len(facts) >= 20
    assert len({fact["item"] for fact in facts}) == len(facts)
    for fact in facts:
        assert set(fact) == {"turn", "item", "value", "kind"}
        assert fact["value"] in talk["turns"][fact["turn"] - 1]["content"], fact
    assert {fact["turn"] * 3 // (len(talk["turns"]) + 1) for fact in facts} == {0, 1, 2}  # spread over the whole
