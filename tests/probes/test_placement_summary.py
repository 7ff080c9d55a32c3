"""What one answer holds, counted by hand: facts with their names, their order, numbers made up, constraints, manner."""

import pytest

from probes.experiments.placement_summary import Summary, followed, read_summary
from tests.probes.placement_answers import FACTS, NAMES, TEXT, VALUES, answered, cell_of, keeping


def read(text: str, **given: object) -> Summary:
    result = answered(text, **given)  # type: ignore[arg-type]
    return read_summary(result.completion, result.trial)


@pytest.mark.parametrize(
    ("text", "covered", "misbound"),
    [
        ("Brenmoor has 47, and Castelin 13.", (0,), ()),
        ("Castelin gets 47. Brenmoor is named.", (), (0,)),
        ("There were 47 of them.", (), ()),
        ("Brenmoor has 47 and Castelin has 12.", (0, 1), ()),
        ("Brenmoor has 12 and Castelin has 47.", (), (0, 1)),  # each value stands beside the other's name
        ("12 go to Brenmoor, 47 to Castelin.", (), (0, 1)),
        ("Brenmoor and Castelin get 47 and 12.", (0, 1), ()),  # they do not take turns: nothing tells them apart
        ("- Brenmoor: 12\n- Castelin: 47", (), (0, 1)),
        ("- Brenmoor: 47\n- Castelin: 12", (0, 1), ()),
        ("1. Brenmoor\n   - quota: 47\n2. Castelin\n   - quota: 12", (0, 1), ()),
        ("**Brenmoor** (47); **Castelin** (12)", (0, 1), ()),
        ("<think>Brenmoor has 47.</think>Castelin has 12.", (1,), ()),
        ("BRENMOOR: 47.0", (0,), ()),
    ],
)
def test_a_fact_is_kept_where_its_value_stands_with_its_own_name(
    text: str, covered: tuple[int, ...], misbound: tuple[int, ...]
) -> None:
    found = read(text)
    assert (found.covered, found.misbound) == (covered, misbound)


def test_facts_of_a_text_of_the_user_s_own_may_be_few_and_words() -> None:
    found = read("They chose the oak for the hall, and the bell is for Monday.", names=["hall", "bell"],
                 values=["oak", "next Friday"], facts=2)  # fmt: skip
    assert (found.covered, found.coverage) == ((0,), 0.5)


def test_the_order_is_kendall_s_tau_b_of_the_facts_told() -> None:
    def order(*kept: int) -> float | None:
        result = keeping(kept)
        return read_summary(result.completion, result.trial).order_kept()

    assert order(0, 3, 7) == 1.0
    assert order(7, 3, 0) == -1.0
    assert order(0, 7, 3) == pytest.approx(1 / 3)  # of three pairs two are in order and one is not
    assert order(4) is None
    assert order() is None


def test_coverage_within_so_many_words_counts_facts_told_by_then() -> None:
    found = read("One two three. Brenmoor gets 47. Castelin gets 12.")
    assert found.words == 9
    assert found.kept_after == (6, 9)
    assert [found.coverage_within(words) for words in (5, 6, 8, 9)] == [0.0, 0.1, 0.1, 0.2]


def test_numbers_beside_a_name_that_the_text_does_not_hold_are_altered() -> None:
    assert read("Brenmoor has 48, Castelin 12.").altered == ("48",)
    assert read("Brenmoor has 12.").altered == ()  # another fact's value: mis-bound, not made up
    assert read("In 1999 it rained. Brenmoor has 47.").altered == ()  # no name beside it
    assert read("1. Brenmoor: 47\n2. Castelin: 1,300 of 12").altered == ("1300",)
    assert read("Brenmoor has 7 and 5.", prompt=f"Within 7 days: {TEXT}").altered == ("5",)
    assert read("Brenmoor has 48.", prompt="").altered is None  # nobody can tell


CONSTRAINTS = {"bullets": 2, "most_words": 6, "required": ["quota"], "forbidden": ["very"], "closing": "End of list."}


@pytest.mark.parametrize(
    ("text", "followed_ones"),
    [
        ("- A quota one\n* And two\nEnd of list.", "bullets required forbidden closing"),  # eight words
        ("- The quota\n- Two\n**End of list.**", "bullets most_words required forbidden closing"),
        ("- Quotas\n- Very\nEnd of list. Yes.", "bullets most_words"),
        ("1. quota\n2. two", "most_words required forbidden"),
        ("- a - b\nquota", "most_words required forbidden"),
        ("", ""),
    ],
)
def test_each_constraint_is_followed_or_not(text: str, followed_ones: str) -> None:
    found = followed(CONSTRAINTS, text)
    assert list(found) == list(CONSTRAINTS)
    assert {name for name, is_followed in found.items() if is_followed} == set(followed_ones.split())


def test_constraints_are_read_from_the_cell_and_an_unknown_one_is_none() -> None:
    assert read("- one", constraints={"bullets": 1, "rhymes": True}).constraints == {"bullets": True}


@pytest.mark.parametrize(
    ("text", "stop", "outcome"),
    [
        ("Brenmoor has 47.", "stop", "hit"),
        ("It rained.", "stop", "miss"),
        ("Brenmoor has 47 and", "max_tokens", "truncated"),
        ("I'm sorry, but I cannot help with that.", "stop", "refusal"),
        ("I cannot summarise this.", "stop", "refusal"),
        ("No document was provided.", "stop", "refusal"),
        ("", "refusal", "refusal"),
        ("Nobody had much to say. There is no quota.", "stop", "miss"),  # says so of the text, and declines nothing
        ("A talk of rain. I cannot tell more.", "stop", "miss"),
    ],
)
def test_refusals_begin_by_declining(text: str, stop: str, outcome: str) -> None:
    assert read(text, stop=stop).outcome == outcome


def test_a_call_that_failed_is_an_error_and_nothing_else() -> None:
    result = answered(None)
    found = read_summary(result.completion, result.trial)
    assert (found.outcome, found.readable, found.is_summary) == ("error", False, False)


def test_what_is_no_summary() -> None:
    copied = f"As said: {TEXT[:200]}"
    looped = "The page says that nothing has been said at all. " * 12
    speakers = ["Ana", "Ben"]
    assert read("A short account.").is_summary
    assert not read(copied).is_summary
    assert read(" ".join(FACTS)).is_summary  # to quote the facts is what was asked for
    assert not read(TEXT).is_summary  # it keeps all of them, and the rest of the text beside them
    assert not read(looped).is_summary
    assert not read("Ben: It rained.", speakers=speakers).is_summary
    assert read("Ben said that it rained.", speakers=speakers).is_summary
    assert not read("").is_summary
    assert not read("I cannot help with that.").is_summary


def test_copying_is_told_across_the_words_of_the_prompt_only() -> None:
    words = [f"word{number}" for number in range(20)]
    prompt = " ".join(words)
    assert read(prompt, prompt=prompt).copied == 1.0
    assert read(" ".join([*words[:10], "other"]), prompt=prompt).copied == pytest.approx(3 / 4)
    assert read("ord1 " + " ".join(words[2:9]), prompt=prompt).copied == 0.0  # a part of a word is no word


def test_the_facts_of_the_tests_are_told_apart() -> None:
    cell = cell_of()
    assert read(TEXT).covered == tuple(range(10))
    assert (tuple(cell["names"]), tuple(cell["values"])) == (NAMES, VALUES)
