"""The placement plan is balanced, byte-exact, and says where everything stands."""

import hashlib
from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import pytest

from probes.experiment_file import options_of_spec
from probes.experiments.common import Ruler, with_windows
from probes.experiments.placement import (
    ARMS,
    CONTRASTS,
    DEFAULT_ARMS,
    FACTS,
    KINDS,
    Arm,
    Framing,
    PlacementOptions,
    declared_contrasts,
    plan_placement,
    williams_row,
)
from probes.models.base import canonical_json
from probes.plan import Plan, PlannedTrial
from tokenizer import load_tokenizer
from tokenizer.errors import UsageError

WORDS = Ruler("words", lambda text: len(text.split()))
FRAMINGS: tuple[Framing, ...] = ("document", "transcript", "chat")


def plan(**options: object) -> Plan:
    return plan_placement(PlacementOptions(**{"lengths": (120,), "blocks": 6, **options}), WORDS)  # type: ignore[arg-type]


def whole(trial: PlannedTrial) -> str:
    """The whole prompt, by which offsets count."""
    return "\n\n".join(message.content for message in trial.request.messages)


def sentences(trial: PlannedTrial) -> list[str]:
    form = {
        None: "The quota for {} is {}.",
        "decision": "They resolved that the quota for {} is {}.",
        "commitment": "They promised that the quota for {} is {}.",
        "incidental": "They remarked that the quota for {} is {}.",
    }
    cell = trial.cell
    kinds = cell.get("kinds") or [None] * len(cell["names"])
    return [form[kind].format(*rest) for kind, *rest in zip(kinds, cell["names"], cell["values"], strict=True)]


# ------------------------------------------------------------------------------------------------ the same as ever


@pytest.mark.parametrize(
    ("ruler", "options", "trials", "digest"),
    [
        ("words", {}, 6060, "8b94850296307d7013b4c5a62b15e415b29c38e42b794afaeb4035b60654f8ff"),
        (
            "words",
            {"framing": "transcript"},
            6060,
            "74753b3726db31de0555b7b81b35f693270d6037ad7fd41c7269f6e0da724df4",
        ),
        (
            "small",
            {"blocks": 23, "lengths": (150, 300), "measure": ("coverage",), "seed": 7, "max_tokens": 80},
            276,
            "937af130d595a75caecc6bbf06403ad0b1a82fb2bc485b7d17d867f4c28e3439",
        ),
        (
            "small",
            {
                "blocks": 12,
                "framing": "transcript",
                "measure": ("coverage",),
                "lengths": (250,),
                "place": ("before", "after"),
            },
            24,
            "1fb55cfa01d0bd4896ad72d323d5745953ac3f4bf89897a28f5ccdba76767ad0",
        ),
    ],
)
def test_requests_are_those_of_the_first_version(
    ruler: str, options: dict[str, object], trials: int, digest: str
) -> None:
    """By hashes that were taken before there were other arms, framings and tasks: kept runs rest on it."""
    small = load_tokenizer("small")
    rulers = {"words": WORDS, "small": Ruler("small", lambda text: small.count(text, disallowed_special=()))}
    found = plan_placement(PlacementOptions(**options), rulers[ruler]).trials  # type: ignore[arg-type]
    hashed = hashlib.sha256()
    for trial in found:
        request = asdict(trial.request) | {"cache_prefix": 0}
        hashed.update(f"{canonical_json([trial.block, request])}\n".encode())
    assert (len(found), hashed.hexdigest()) == (trials, digest)


def test_the_spec_of_a_run_from_before_makes_the_same_plan_again() -> None:
    old = {
        "framing": "transcript",
        "place": ["before", "after"],
        "measure": ["coverage"],
        "lengths": [120],
        "blocks": 3,
        "seed": 4,
        "ruler": "small",
        "max_tokens": 80,
        "outcome": "margin where the model gives log-probabilities, coverage otherwise",
        "contrasts": [],
    }
    again = options_of_spec("placement", old)
    assert isinstance(again, PlacementOptions)
    now = plan(framing="transcript", place=("before", "after"), measure=("coverage",), blocks=3, seed=4, max_tokens=80)
    assert plan_placement(again, WORDS).trials == now.trials
    assert options_of_spec("placement", now.spec) == again


# ---------------------------------------------------------------------------------------------------------- balance


def test_the_square_is_latin_and_balances_neighbours() -> None:
    rows = [williams_row(row) for row in range(FACTS)]
    assert all(len({row[column] for row in rows}) == FACTS for column in range(FACTS))
    neighbours = [pair for row in rows for pair in pairwise(row)]
    assert len(set(neighbours)) == len(neighbours) == FACTS * (FACTS - 1)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_over_ten_blocks_every_fact_stands_once_in_every_tenth(framing: Framing) -> None:
    trials = plan(blocks=10, measure=("coverage",), place=("none",), framing=framing, lengths=(300,)).trials
    stands = {(name, tenth) for trial in trials for tenth, name in enumerate(trial.cell["names"])}
    assert len(stands) == FACTS * FACTS
    for trial in trials:
        text = whole(trial)
        offsets = [text.index(sentence) for sentence in sentences(trial)]
        assert offsets == sorted(offsets)
        tenths = [round(offset / len(text) * FACTS - 0.5) for offset in offsets]
        assert all(abs(tenth - expected) <= 1 for expected, tenth in enumerate(tenths))


def test_over_three_squares_every_kind_is_as_often_in_every_tenth() -> None:
    trials = plan(blocks=30, measure=("coverage",), place=("none",), facts="typed", lengths=(200,)).trials
    by_tenth = Counter((kind, tenth) for trial in trials for tenth, kind in enumerate(trial.cell["kinds"]))
    assert by_tenth == {(kind, tenth): 10 for kind in KINDS for tenth in range(FACTS)}
    for square in range(3):
        blocks = trials[10 * square : 10 * square + 10]
        counts = {tuple(sorted(Counter(trial.cell["kinds"]).values())) for trial in blocks}
        assert counts == {(3, 3, 4)}
        kinds = {
            (name, kind) for each in blocks for name, kind in zip(each.cell["names"], each.cell["kinds"], strict=True)
        }
        assert len(kinds) == FACTS  # a fact is of one kind wherever it stands
    for trial in trials:
        said = sentences(trial)
        assert all(sentence in whole(trial) for sentence in said)
        lengths = {len(sentence) - len(name) for sentence, name in zip(said, trial.cell["names"], strict=True)}
        assert lengths == {len("They resolved that the quota for  is 47.")}


# ------------------------------------------------------------------------------------------- arms on the same text


@pytest.mark.parametrize("facts", ["plain", "typed"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_every_arm_has_the_same_text_and_says_where_things_stand(framing: Framing, facts: str) -> None:
    trials = plan(blocks=2, measure=("coverage",), place=ARMS, framing=framing, facts=facts).trials
    for block in range(2):
        arms: dict[str, PlannedTrial] = {trial.cell["arm"]: trial for trial in trials if trial.block == block}
        assert list(arms) == list(ARMS)
        bare = whole(arms["none"])
        start = arms["none"].cell["document_offset"]
        text = bare[start:].removesuffix(f"\n</{framing}>")
        instruction = whole(arms["after"]).removeprefix(bare).strip()
        assert instruction.startswith("Summarise the ")
        for arm, trial in arms.items():
            prompt, cell = whole(trial), trial.cell
            assert prompt.startswith(text, cell["document_offset"]), arm
            assert prompt.count(text) == (2 if arm == "twice" else 1)
            found = [prompt[offset : offset + len(instruction)] for offset in cell["instruction_offsets"]]
            expected = {"bookend": 2, **dict.fromkeys(("before", "after", "system", "reminder", "twice"), 1)}.get(
                arm, 0
            )
            assert found == [instruction] * expected
            assert prompt.count(instruction) == expected
            for position, sentence in zip(cell["positions"], sentences(trial), strict=True):
                assert prompt.startswith(sentence, cell["document_offset"] + round(position * len(text)))
        assert whole(arms["system"]) == f"{instruction}\n\n{bare}"
        assert [message.role for message in arms["system"].request.messages][:2] == ["system", "user"]
        assert whole(arms["reminder"]).startswith(f"{whole(arms['before'])}\n\n")
        for place in ("before", "after"):
            lengths = {len(whole(arms[f"{kind}{place}"])) for kind in ("", "padded-", "irrelevant-")}
            assert len(lengths) == 1
        assert arms["before"].cell["instruction_offsets"] == [0]
        assert arms["bookend"].cell["instruction_offsets"][1] == len(whole(arms["bookend"])) - len(instruction)


@pytest.mark.parametrize("arm", ARMS)
def test_chats_alternate_from_user_to_user_with_turns_that_stay_what_they_are(arm: Arm) -> None:
    for trial in plan(blocks=10, measure=("coverage",), place=("none", arm)[arm == "none" :], framing="chat").trials:
        if trial.cell["arm"] == "none":
            bare = trial.request.messages
        messages = [message for message in trial.request.messages if message.role != "system"]
        assert [message.role for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
        if arm != "twice":
            assert len(messages) == len(bare)
            assert messages[1:-1] == list(bare[1:-1])
            assert bare[0].content in messages[0].content
            assert bare[-1].content in messages[-1].content
    assert "speakers" not in trial.cell


def test_the_same_conversation_stands_in_transcript_and_chat() -> None:
    transcripts = plan(blocks=10, measure=("coverage",), place=("none",), framing="transcript").trials
    chats = plan(blocks=10, measure=("coverage",), place=("none",), framing="chat").trials
    closed = 0
    for transcript, chat in zip(transcripts, chats, strict=True):
        text = whole(transcript).removeprefix("<transcript>\n").removesuffix("\n</transcript>")
        turns = [line.split(": ", 1)[1] for line in text.splitlines()]
        said = [message.content for message in chat.request.messages]
        assert said[: len(turns)] == turns
        assert said[len(turns) :] == ["I see."] * (1 - len(turns) % 2)
        closed += len(said) - len(turns)
        assert transcript.cell["names"] == chat.cell["names"]
        roles = {
            message.role
            for message in chat.request.messages
            for sentence in sentences(chat)
            if sentence in message.content
        }
        assert roles == {"user", "assistant"}
    assert 0 < closed < 10


def test_a_transcript_is_turns_by_two_speakers_of_the_length_asked_for() -> None:
    for trial in plan(blocks=10, measure=("coverage",), place=("none",), framing="transcript").trials:
        text = whole(trial).removeprefix("<transcript>\n").removesuffix("\n</transcript>")
        turns = [line.split(": ", 1) for line in text.splitlines()]
        assert [speaker for speaker, _ in turns] == (trial.cell["speakers"] * len(turns))[: len(turns)]
        prose = text
        for fact in sentences(trial):
            assert sum(fact in said for _, said in turns) == 1
            prose = prose.replace(fact, "")
        assert trial.cell["document_tokens"] == WORDS.count(prose)  # the speakers' names are words of it
        assert abs(trial.cell["document_tokens"] - 120) <= 20


# --------------------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("framing", FRAMINGS)
def test_margins_offer_every_value_after_every_stem_in_every_arm(framing: Framing) -> None:
    trials = [
        trial for trial in plan(blocks=1, framing=framing, facts="typed").trials if trial.cell["measure"] == "margin"
    ]
    assert len(trials) == len(DEFAULT_ARMS) * FACTS * FACTS
    stems = {(trial.cell["asked"], trial.request.messages[-1].content) for trial in trials}
    assert stems == {(asked, f"The quota for {name} is") for asked, name in enumerate(trials[0].cell["names"])}
    for trial in trials:
        assert trial.request.messages[-1].role == "assistant"
        assert trial.request.messages[-2].role == "user"
        assert trial.request.continuation == f" {trial.cell['values'][trial.cell['offered']]}"
        assert "temperature" not in trial.cell


def test_answers_are_asked_for_at_every_temperature_as_often_as_samples() -> None:
    trials = plan(blocks=1, place=("before",), temperature=(0.0, 0.7), samples=3).trials
    answers = [trial for trial in trials if trial.cell["measure"] == "coverage"]
    asked = [(trial.request.temperature, trial.request.sample) for trial in answers]
    assert asked == [(heat, sample) for heat in (0.0, 0.7) for sample in range(3)]
    assert asked == [(trial.cell["temperature"], trial.cell["sample"]) for trial in answers]
    assert len(trials) - len(answers) == FACTS * FACTS


def test_tasks_with_longer_answers_may_take_more_tokens() -> None:
    assert PlacementOptions().max_tokens == PlacementOptions(task="summary").max_tokens == 160
    assert PlacementOptions(task="extraction").max_tokens > 160
    assert PlacementOptions(task="extraction", max_tokens=50).max_tokens == 50


# ---------------------------------------------------------------------------------------------------- what is declared


def test_what_is_declared_is_in_the_spec() -> None:
    spec = plan(place=("before", "after", "bookend"), lengths=(120, 240), blocks=1, equivalence=3).spec
    pairs = [["after", "before"], ["bookend", "before"], ["bookend", "after"]]
    assert spec["contrasts"] == spec["declared"]["contrasts"] == pairs
    assert spec["declared"]["primary"] == "margin"
    assert spec["declared"]["interactions"] == ["length"]
    assert spec["declared"]["stopping"] == "fixed blocks"
    assert spec["declared"]["equivalence_points"] == 3
    one = plan(blocks=1, measure=("coverage",)).spec["declared"]
    assert (one["primary"], one["interactions"]) == ("coverage", [])


@pytest.mark.parametrize(
    "arm", [arm for arm in ARMS if arm in ("before", "after", "bookend", "system", "reminder", "twice")]
)
def test_every_arm_with_the_instruction_has_a_contrast(arm: Arm) -> None:
    assert any(arm == each for each, _ in declared_contrasts(ARMS))
    assert all(pair in CONTRASTS for pair in declared_contrasts(ARMS))


def test_a_contrast_that_stands_in_is_declared_only_without_the_other() -> None:
    assert ("bookend", "none") in declared_contrasts(ARMS)
    assert ("bookend", "after") not in declared_contrasts(ARMS)
    assert declared_contrasts(["system", "none"]) == [("system", "none")]
    assert declared_contrasts(["system", "none", "before"]) == [("system", "before")]
    assert declared_contrasts(["before"]) == []
    assert declared_contrasts(DEFAULT_ARMS) == [
        ("before", "padded-before"),
        ("after", "padded-after"),
        ("bookend", "none"),
        ("after", "before"),
    ]


def test_lengths_can_be_shares_of_the_smallest_window() -> None:
    options = PlacementOptions(lengths=("5%", 300))  # type: ignore[arg-type]
    assert with_windows(options, [None, 8000, 4000]).lengths == (200, 300)
    with pytest.raises(UsageError, match="not known"):
        plan_placement(options, WORDS)
    with pytest.raises(UsageError, match="no model says"):
        with_windows(options, [None])
