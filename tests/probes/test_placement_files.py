"""Own documents and conversations: facts are found where they stand, and every malformation is named with its place."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from probes.experiments.common import Ruler
from probes.experiments.placement import FACTS, Framing, PlacementOptions, plan_placement
from probes.experiments.placement_files import read_sources
from probes.plan import Plan
from tokenizer.errors import UsageError, UserError

SAMPLES = Path(__file__).parents[2] / "samples"
WORDS = Ruler("words", lambda text: len(text.split()))
TEXT = "The roof is mended by Friday. It cost 84 euros. Friday was wet. Nobody paid 12 cents."
FACT_LIST = [{"name": "roof", "value": "Friday"}, {"name": "cost", "value": "84 euros"}]
TURNS = [
    {"role": "user", "speaker": "Ida", "text": "When do we meet? The hall has 31 chairs.\n\nI counted."},
    {"role": "assistant", "text": "On Friday at 7 in the hall."},
]


def write(tmp_path: Path, content: Any, name: str = "mine.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def plan(*paths: Path, **options: object) -> Plan:
    given = {"document": paths, "measure": ("coverage",), "place": ("before", "after"), **options}
    return plan_placement(PlacementOptions(**given), WORDS)  # type: ignore[arg-type]


def document(trial: Any) -> str:
    """The document from its first character on, as offsets count it."""
    return "\n\n".join(message.content for message in trial.request.messages)[trial.cell["document_offset"] :]


# ------------------------------------------------------------------------------------------------------ given facts


def test_given_facts_are_placed_where_their_sentences_begin(tmp_path: Path) -> None:
    facts = [
        {"name": "wet", "value": "Nobody paid 12 cents", "kind": "incidental"},
        {"name": "roof", "value": "Friday", "kind": "commitment"},
        {"name": "cost", "value": "84 EUROS", "kind": "decision"},
        {"name": "rain", "value": "wet", "kind": "incidental", "sentence": "Friday was wet."},
    ]
    first, second = plan(write(tmp_path, {"title": "A roof", "text": TEXT, "facts": facts})).trials
    cell = first.cell
    assert cell["names"] == ["roof", "cost", "rain", "wet"]
    assert cell["kinds"] == ["commitment", "decision", "incidental", "incidental"]
    assert [round(position * len(TEXT)) for position in cell["positions"]] == [
        TEXT.index(begin) for begin in ("The roof", "It cost", "Friday was", "Nobody")
    ]
    assert (cell["document"], cell["document_tokens"], cell["length_tokens"]) == ("mine.json", 17, 17)
    assert document(first).startswith(TEXT)
    assert document(second).startswith(TEXT)
    assert "every decision, promise and figure" in first.request.messages[0].content


def test_a_value_in_several_places_is_meant_where_its_name_is_too_or_where_it_is_said(tmp_path: Path) -> None:
    text = "It was wet on Friday. The roof is mended by Friday. A cat came at 9. Friday again, and a cat."

    def begins(**more: str) -> float:
        facts = [{"name": "roof", "value": "Friday", **more}, {"name": "cat", "value": "9"}]
        cell = plan(write(tmp_path, {"text": text, "facts": facts})).trials[0].cell
        return round(cell["positions"][cell["names"].index("roof")] * len(text))

    assert begins() == text.index("The roof")
    assert begins(sentence="Friday again, and a cat.") == text.index("Friday again")


@pytest.mark.parametrize("framing", ["transcript", "chat"])
def test_facts_of_a_conversation_are_found_in_their_turns(tmp_path: Path, framing: Framing) -> None:
    facts = [{"name": "hall", "value": "7", "turn": 2}, {"item": "chairs", "value": "31"}]
    trial = plan(write(tmp_path, {"turns": TURNS, "facts": facts}), framing=framing).trials[0]
    assert trial.cell["names"] == ["chairs", "hall"]
    text = document(trial)
    length = len(text.removesuffix("\n</transcript>"))
    begins = [text[round(position * length) :][:8] for position in trial.cell["positions"]]
    assert begins == ["The hall", "On Frida"]
    if framing == "transcript":
        assert trial.cell["speakers"] == ["Ida", "Assistant"]
        assert "\nAssistant: On Friday at 7" in text
    else:
        assert [message.role for message in trial.request.messages] == ["user", "assistant", "user"]
        assert trial.request.messages[-1].content == "I see."


def test_margins_of_given_facts_ask_by_their_names(tmp_path: Path) -> None:
    trials = plan(write(tmp_path, {"text": TEXT, "facts": FACT_LIST}), measure=("margin",), place=("after",)).trials
    said = [(trial.request.messages[-1].content, trial.request.continuation) for trial in trials]
    assert said == [(stem, value) for stem in ("Roof:", "Cost:") for value in (" Friday", " 84 euros")]


@pytest.mark.parametrize(
    ("name", "framings"),
    [("meeting.json", ["document"]), ("handover.json", ["transcript", "chat"]), ("conversation.json", ["chat"])],
)
def test_the_samples_can_be_asked_about(name: str, framings: list[Framing]) -> None:
    entry = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    for framing in framings:
        trial = plan(SAMPLES / name, framing=framing).trials[0]
        assert len(trial.cell["names"]) == len(entry["facts"]) >= 10
        assert trial.cell["positions"] == sorted(trial.cell["positions"])
        assert set(trial.cell["kinds"]) == {"decision", "commitment", "incidental"}
        text = document(trial)
        assert all(text.count(turn.get("text", turn.get("content"))) == 1 for turn in entry.get("turns", ()))


def test_the_shapes_that_the_samples_describe_are_read(tmp_path: Path) -> None:
    text, talk = re.findall(r"```json\n(.*?)```", (SAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert plan(write(tmp_path, text)).trials[0].cell["names"] == ["met", "roof"]
    assert plan(write(tmp_path, talk), framing="chat").trials[0].cell["values"] == ["31", "7"]


# ----------------------------------------------------------------------------------------------------- planted facts


def test_ours_are_planted_where_a_text_has_none_and_visit_every_tenth() -> None:
    trials = plan(SAMPLES / "texts" / "english.txt", place=("after",), blocks=10, facts="typed").trials
    assert len(trials) == 10
    stands = {(name, tenth) for trial in trials for tenth, name in enumerate(trial.cell["names"])}
    assert len(stands) == FACTS * FACTS
    original = (SAMPLES / "texts" / "english.txt").read_text(encoding="utf-8")
    for trial in trials:
        text = document(trial)
        for name, value in zip(trial.cell["names"], trial.cell["values"], strict=True):
            assert name not in original
            assert value not in original
            assert text.count(f"that the quota for {name} is {value}.") == 1
        assert trial.cell["length_tokens"] == WORDS.count(original)


@pytest.mark.parametrize("framing", ["transcript", "chat"])
def test_ours_are_planted_inside_the_turns_of_a_conversation(tmp_path: Path, framing: Framing) -> None:
    entry = json.loads((SAMPLES / "handover.json").read_text(encoding="utf-8"))
    path = write(tmp_path, {"turns": entry["turns"]})
    for trial in plan(path, framing=framing, place=("after",), blocks=10).trials:
        text = document(trial)
        bare = text
        for name, value in zip(trial.cell["names"], trial.cell["values"], strict=True):
            fact = f"The quota for {name} is {value}."
            assert text.count(fact) == 1
            bare = bare.replace(f" {fact}", "").replace(f"{fact} ", "")
        for turn in entry["turns"]:
            assert turn["text"] in bare
        if framing == "transcript":
            names = [line.split(": ", 1)[0] for line in bare.splitlines()[: len(entry["turns"])]]
            assert names == [turn["speaker"] for turn in entry["turns"]]


def test_texts_take_turns_and_those_with_facts_come_once(tmp_path: Path) -> None:
    sentences = [
        f"The {word} stood there." for word in "lamp bench stove table chair clock shelf broom kettle ladder".split()
    ]
    lines = [
        {"text": TEXT, "facts": FACT_LIST},
        {"text": " ".join(sentences)},
        {"text": " ".join(sentences[::-1])},
    ]
    path = write(tmp_path, "\n\n".join(map(json.dumps, lines)), "mine.jsonl")
    trials = plan(path, place=("after",), blocks=7).trials
    assert [(trial.block, trial.cell["document"]) for trial in trials] == [
        (0, "mine.jsonl, line 1"),
        (1, "mine.jsonl, line 3"),
        (2, "mine.jsonl, line 5"),
        (4, "mine.jsonl, line 3"),
        (5, "mine.jsonl, line 5"),
    ]
    assert len({trial.cell["length_tokens"] for trial in trials}) == 1
    prompts = [trial.request.messages for trial in trials]
    assert len(set(prompts)) == len(prompts)
    with pytest.raises(UsageError, match="2 blocks are too few for 3 documents") as caught:
        plan(path, blocks=2)
    assert "--blocks 3" in caught.value.hint


def test_what_is_said_of_planted_facts_is_refused_where_none_are_planted(tmp_path: Path) -> None:
    path = write(tmp_path, texts(facts=FACT_LIST))
    assert plan(path).spec["declared"]["blocks"] == 1
    with pytest.raises(UsageError, match="--facts typed is for facts that are planted"):
        plan(path, facts="typed")


def test_a_text_with_few_sentences_cannot_take_our_facts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mine.txt has 5 places for a fact") as caught:
        plan(write(tmp_path, TEXT, "mine.txt"))
    assert "facts" in caught.value.hint


# -------------------------------------------------------------------------------------------------------- complaints


def texts(**more: Any) -> dict[str, Any]:
    return {"text": TEXT, **more}


def facts(*entries: Any) -> dict[str, Any]:
    return texts(facts=[*entries, *FACT_LIST])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "mine.json is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds no text"),
        ("3", "is no JSON object"),
        ('["x"]', "text 1 is no JSON object"),
        ({}, "neither text nor turns"),
        (texts(turns=TURNS), "both text and turns"),
        (texts(fact=[]), 'unknown key "fact"'),
        ({"text": "  "}, "has no text"),
        ({"text": 3}, "has no text"),
        ({"text": "a\u0000b"}, "control character"),
        ({"text": "a\ud800b"}, "half a character"),
        ({"text": "It ends. </document> And more."}, "holds </document>"),
        ([texts(), texts()], "text 2 is the same text as"),
        ({"turns": TURNS}, "is a conversation, and --framing document takes texts"),
        (texts(facts={}), "facts is no list"),
        (texts(facts=FACT_LIST[:1]), "facts is no list of two"),
        (facts("x"), "fact 1 is no JSON object"),
        (facts({"value": "wet"}), "fact 1 has no name"),
        (facts({"name": "rain"}), "fact 1 has no value"),
        (facts({"name": "rain", "value": "dry"}), "fact 1: its value does not stand in the text"),
        (facts({"name": "rain", "value": "wet", "kind": "rumour"}), 'fact 1: "rumour" is no kind of fact'),
        (facts({"name": "rain", "value": "wet", "kind": "decision"}), "fact 2 has no kind, and others have"),
        (
            facts({"name": "rain", "value": "wet", "sentence": "It was dry."}),
            "fact 1: its value does not stand in its sen",
        ),
        (
            facts({"name": "rain", "value": "wet", "sentence": "All is wet."}),
            "fact 1: its sentence does not stand in the",
        ),
        (facts({"name": "Roof", "value": "wet"}), "fact 2 has the name of fact 1"),
        (facts({"name": "rain", "value": "friday"}), "fact 2 has the value of fact 1"),
        (facts({"name": "rain", "value": "wet", "turn": 1}), "fact 1: 1 is no turn of the text"),
        (facts({"name": "rain", "value": "wet", "kinds": 1}), 'unknown key "kinds"'),
    ],
)
def test_every_malformed_text_is_refused_with_its_place(tmp_path: Path, content: Any, what: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        read_sources([path], "document", WORDS)
    assert what in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("turns", "framing", "what"),
    [
        ([], "chat", "turns is no list of turns"),
        ("x", "chat", "turns is no list of turns"),
        ([3], "chat", "turn 1 is no JSON object"),
        ([{"text": "x"}], "chat", "turn 1: the role is missing"),
        ([{"role": "system", "text": "x"}], "chat", 'turn 1: the role is "system"'),
        ([{"role": ["user"], "text": "x"}], "chat", 'turn 1: the role is ["user"]'),
        ([{"role": "user"}], "chat", "turn 1 has no text"),
        ([{"role": "user", "text": "x", "speaker": "A: B"}], "chat", "turn 1: the speaker is no name"),
        ([{"role": "user", "text": "x", "speaker": ""}], "chat", "turn 1 has no speaker"),
        ([{"role": "user", "text": "x", "content": "y"}], "chat", "turn 1 has both text and content"),
        ([{"role": "user", "words": "x"}], "chat", 'turn 1: unknown key "words"'),
        (TURNS[1:], "chat", "turn 1 is the assistant's"),
        ([TURNS[0], TURNS[0]], "chat", "turn 2 is a second turn running of the user"),
        ([{"role": "user", "text": "x </transcript> y"}], "transcript", "turn 1 holds </transcript>"),
    ],
)
def test_every_malformed_conversation_is_refused_with_its_place(
    tmp_path: Path, turns: Any, framing: Framing, what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read_sources([write(tmp_path, {"turns": turns})], framing, WORDS)
    assert what in str(caught.value)
    assert caught.value.hint


def test_a_transcript_takes_turns_in_any_order(tmp_path: Path) -> None:
    (source,) = read_sources([write(tmp_path, {"turns": [*TURNS[1:], TURNS[1], TURNS[0]]})], "transcript", WORDS)
    assert [speaker for _, speaker in source.roles] == ["Assistant", "Assistant", "Ida"]


@pytest.mark.parametrize("framing", ["transcript", "chat"])
def test_a_text_is_no_conversation(tmp_path: Path, framing: Framing) -> None:
    with pytest.raises(UsageError, match="is a text") as caught:
        read_sources([write(tmp_path, TEXT, "mine.txt")], framing, WORDS)
    assert "--framing document" in caught.value.hint


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for name, what in (("none.json", "cannot read"), ("mine.pdf", "none of .txt"), ("latin.txt", "not UTF-8")):
        with pytest.raises(UsageError, match=what) as caught:
            read_sources([tmp_path / name], "document", WORDS)
        assert name in str(caught.value)
    with pytest.raises(UsageError, match="line 2 is not JSON"):
        read_sources([write(tmp_path, '{"text": "x"}\nx\n', "mine.jsonl")], "document", WORDS)
    with pytest.raises(UsageError, match="holds no text"):
        read_sources([write(tmp_path, "\n", "empty.jsonl")], "document", WORDS)
