"""Contrasts between arms on answers made by hand: what is declared, what is left at equal length, what is noise."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from probes.equivalence import equivalence
from probes.experiments.placement_contrasts import Declared, contrast_rows, length_rows, noise_rows
from probes.experiments.placement_outcomes import Mass, centre_shift, read_outcomes, shift_values
from probes.experiments.placement_sentences import (
    at_length_sentences,
    contrast_sentences,
    disagreement_sentences,
    length_sentences,
    noise_sentences,
    shift_sentences,
)
from probes.plan import Result
from probes.stats import holm, paired_difference
from tests.probes.placement_answers import TEXT, answered, keeping, scored

Row = dict[str, Any]


def rows_of(results: Sequence[Result], outcome: str, **declared: Any) -> dict[tuple[str, str], Row]:
    rows = contrast_rows(read_outcomes(results), seed=1, declared=Declared(**declared))
    return {(row["arm"], row["control"]): row for row in rows if row["outcome"] == outcome}


def covering(blocks: int, **arms: Callable[[int], Sequence[int]]) -> list[Result]:
    """Answers of several arms (`_` for `-`); each says of a block which facts it keeps."""
    return [
        keeping(kept(block), arm=arm.replace("_", "-"), block=block)
        for block in range(blocks)
        for arm, kept in arms.items()
    ]


def test_only_declared_contrasts_are_tested_and_corrected_together() -> None:
    results = covering(
        8,
        before=lambda block: range(3 + block % 2),
        after=lambda block: range(5 + block % 3),
        padded_before=lambda block: range(2 + block % 2),
        padded_after=lambda _: range(4),
    )
    rows = rows_of(results, "coverage_rate", contrasts=(("after", "before"), ("before", "padded-before")))
    family = [row for row in rows.values() if row["declared"]]
    assert [(row["arm"], row["control"]) for row in family] == [("after", "before"), ("before", "padded-before")]
    differences = [(5 + block % 3 - 3 - block % 2) / 10 for block in range(8)]
    expected = paired_difference(differences, seed=1, most=1.0)
    assert expected is not None
    assert (family[0]["difference"], family[0]["p_value"]) == (
        pytest.approx(expected.interval.estimate),
        expected.p_value,
    )
    assert [row["p_holm"] for row in family] == holm([row["p_value"] for row in family])
    assert {row["tests"] for row in family} == {2}
    everything = rows_of(results, "coverage_rate")
    assert {pair for pair, row in everything.items() if row["declared"]} == {
        *(("before", "padded-before"), ("after", "padded-after"), ("after", "before"))
    }


def test_a_spec_says_what_was_declared_and_older_ones_name_their_contrasts() -> None:
    spec = {"contrasts": [["after", "before"]]}
    assert Declared.of_spec(spec).contrasts == (("after", "before"),)
    newer = {"contrasts": [["bookend", "before"]], "equivalence_points": 8, "interactions": ["length"]}
    assert Declared.of_spec(spec | {"declared": newer}) == Declared((("bookend", "before"),), 0.08, length=True)
    assert Declared.of_spec({}).among(["none", "before", "after"]) == [("after", "before")]


def test_no_effect_is_said_only_where_the_interval_is_inside_the_margin() -> None:
    def arm(odd: int) -> Callable[[int], Sequence[int]]:
        return lambda block: range(5 + (block % 4 == odd))

    many = rows_of(covering(40, before=arm(0), after=arm(1)), "coverage_rate")["after", "before"]
    assert many["equivalent"]
    assert -0.05 < many["equivalence_low"] < 0 < many["equivalence_high"] < 0.05
    said = contrast_sentences([many])[0]
    assert "no effect within 5 points (90% interval" in said
    assert "40 blocks" in said
    few = rows_of(covering(8, before=arm(0), after=arm(1)), "coverage_rate", equivalence=0.01)["after", "before"]
    assert not few["equivalent"]
    assert "no clear difference in coverage" in contrast_sentences([few])[0]


def test_missing_answers_bound_the_difference_and_can_undo_it() -> None:
    results = covering(8, before=lambda _: range(4), after=lambda block: range(6 + block % 2))
    results += [keeping(range(4), block=8), answered(None, arm="after", block=8)]
    row = rows_of(results, "coverage_rate")["after", "before"]
    found = [(2 + block % 2) / 10 for block in range(8)]
    assert (row["missing"], row["blocks"]) == (1, 8)
    assert row["difference"] == pytest.approx(sum(found) / 8)
    assert row["worst_low"] == pytest.approx((sum(found) - 0.4) / 9)
    assert row["worst_high"] == pytest.approx((sum(found) + 0.6) / 9)
    said = " ".join(contrast_sentences([row]))
    assert "1 answer has no value there; with any that they could have, the mean lies from +18 to +29." in said
    lost = [answered(None, arm="after", block=block) for block in range(8, 16)]
    more = rows_of(results + lost[1:] + [keeping(range(4), block=block) for block in range(9, 16)], "coverage_rate")
    assert "which could undo the difference" in " ".join(contrast_sentences([more["after", "before"]]))


def test_what_was_never_asked_is_not_missing() -> None:
    results = covering(8, before=lambda _: range(4), after=lambda _: range(6))
    row = rows_of([each for each in results if each.trial.cell["block"] < 5 or each.trial.cell["arm"] == "before"],
                  "coverage_rate")["after", "before"]  # fmt: skip
    assert (row["blocks"], row["missing"], row["worst_low"]) == (5, 0, pytest.approx(0.2))


def test_a_longer_answer_covers_no_more_once_both_are_cut_to_one_length() -> None:
    results = covering(8, before=lambda block: range(3 + block % 2), after=lambda block: range(6 + block // 2 % 2))
    coverage = rows_of(results, "coverage_rate")["after", "before"]
    matched = rows_of(results, "coverage_matched_rate")["after", "before"]
    assert coverage["difference"] == pytest.approx(0.3)
    assert matched["difference"] == 0.0
    assert rows_of(results, "coverage_adjusted_rate") == {}  # in every block it is the longer one
    (said,) = at_length_sentences([coverage], [matched])
    assert "no longer clear: a longer answer has room for more" in said


def test_a_denser_answer_of_the_same_length_covers_more_at_that_length_too() -> None:
    before = "Brenmoor 47. and so on and so on"
    after = ("Brenmoor 47. Castelin 12, then. Dorvica 30, too.", "Brenmoor 47. Castelin 12, then.")
    results = [
        answered(before if arm == "before" else after[block % 2], arm=arm, block=block)
        for arm in ("before", "after")
        for block in range(8)
    ]
    coverage, matched, adjusted = (
        rows_of(results, f"coverage_{name}rate")["after", "before"] for name in ("", "matched_", "adjusted_")
    )
    assert coverage["difference"] == matched["difference"] == pytest.approx(0.15)
    assert adjusted["difference"] == pytest.approx(0.2)  # where both have as many words
    assert "the difference is clear too" in at_length_sentences([coverage], [matched])[0]


def test_the_shift_of_the_centre_is_in_shares_of_the_text() -> None:
    results = covering(8, before=lambda block: [0, 1 + block % 2], after=lambda block: [8 - block % 2, 9])
    row = rows_of(results, "centre_of_mass")["after", "before"]
    before, after = (0.05 + 0.20) / 2, (0.80 + 0.95) / 2
    assert row["difference"] == pytest.approx(after - before)
    assert row["low"] <= row["difference"] <= row["high"]
    assert (row["test"], row["correction"], row["tests"]) == ("sign-flip permutation", "Holm", 1)
    assert row["p_value"] == row["p_holm"] == pytest.approx(2 / 2**8)  # every block moves the same way
    assert "what is kept stands later in the text (+75 points of its length, 95% interval" in shift_sentences([row])[0]
    assert "p = 0.008, 8 blocks" in shift_sentences([row])[0]
    still = rows_of(covering(8, before=lambda _: [0, 9], after=lambda _: [0, 9]), "centre_of_mass")
    assert shift_sentences(list(still.values())) == ["No clear shift of the centre of what is kept."]


def test_the_shift_is_tested_by_what_each_block_adds_to_it() -> None:
    """By hand: the same centre, once of four facts and once of two, the blocks drawn apart to either side by turns."""
    pairs = [(Mass(4, 2.0 + apart), Mass(2, 1.0 - apart)) for apart in (0.4, -0.4, 0.2, -0.2, 0.1, -0.1)]
    values = shift_values(pairs)
    assert values == pytest.approx([apart / 4 + apart / 2 for apart in (0.4, -0.4, 0.2, -0.2, 0.1, -0.1)])
    uneven = [(Mass(8, 4.8), Mass(1, 0.2)), (Mass(2, 0.4), Mass(3, 1.4))]
    shift = centre_shift(uneven, seed=1)
    assert shift is not None
    assert sum(shift_values(uneven)) / 2 == pytest.approx(shift.estimate) == pytest.approx(5.2 / 10 - 1.6 / 4)


def test_two_arms_that_keep_the_same_places_have_no_clear_shift_whatever_they_keep() -> None:
    results = covering(
        10,
        before=lambda block: [block % 10, (block + 5) % 10, (block + 3) % 10],
        after=lambda block: [block % 10, (block + 5) % 10, (block + 3) % 10, (block + 8) % 10, (block + 1) % 10],
    )
    row = rows_of(results, "centre_of_mass")["after", "before"]
    assert row["p_holm"] > 0.05
    assert shift_sentences([row]) == ["No clear shift of the centre of what is kept."]


def test_a_difference_of_differences_reaches_from_minus_two_to_two() -> None:
    """The instruction keeps everything after the text and undoes everything before it: +1 less -1 in every block."""
    results = covering(
        8,
        before=lambda _: [],
        padded_before=lambda _: range(10),
        after=lambda _: range(10),
        padded_after=lambda _: [],
    )
    net = rows_of(results, "coverage_rate")["after less padded-after", "before less padded-before"]
    assert net["difference"] == 2.0
    assert (net["high"], net["equivalence_high"]) == (2.0, 2.0)
    assert net["equivalence_low"] < 2.0
    expected = equivalence([2.0] * 8, margin=0.05, seed=1, most=2.0)
    assert expected is not None
    assert (net["equivalence_low"], net["equivalence_p"]) == (expected.interval90.low, expected.p_value)


def sentences_about(before: int, padded: int, other: int) -> str:
    rows = rows_of(
        covering(
            10,
            before=lambda block: range(before + block % 2),
            padded_before=lambda block: range(padded + block // 2 % 2),
            irrelevant_before=lambda block: range(other + block // 4 % 2),
        ),
        "coverage_rate",
    )
    return " ".join(contrast_sentences(list(rows.values())))


def test_this_instruction_is_told_from_any_instruction() -> None:
    assert "Before the text, it is this instruction that does it, and not any." in sentences_about(8, 2, 2)
    assert "Before the text, this instruction and any other are not told apart." in sentences_about(8, 2, 8)
    assert "Before the text, another instruction does even more." in sentences_about(5, 1, 9)
    assert "Before the text" not in sentences_about(2, 2, 2)  # there is nothing to explain


def test_what_neutral_words_do_as_well_is_no_effect_of_the_place() -> None:
    """After beats before, and neutral words after beat neutral words before by as much: distance alone."""
    results = covering(
        10,
        before=lambda block: range(3 + block % 2),
        padded_before=lambda block: range(3 + block // 2 % 2),
        after=lambda block: range(7 + block // 3 % 2),
        padded_after=lambda block: range(7 + block // 4 % 2),
    )
    rows = rows_of(results, "coverage_rate")
    assert rows["after", "before"]["p_holm"] < 0.05
    net = rows["after less padded-after", "before less padded-before"]
    assert (net["difference"], net["declared"], net["correction"]) == (pytest.approx(0.0, abs=0.05), False, None)
    said = contrast_sentences(list(rows.values()))
    assert any(
        "not told apart in coverage: distance and length alone could make the difference" in line for line in said
    )


def margins_of(right: Callable[[str], float], wrong: Callable[[str], float], blocks: int = 8) -> list[Result]:
    return [
        result
        for block in range(blocks)
        for arm in ("before", "after")
        for a, b in [(right(arm) - 0.001 * block, wrong(arm))]
        for result in scored([[a, b], [b, a]], arm=arm, block=block)
    ]


def test_margin_and_raw_log_probability_that_disagree_are_named() -> None:
    results = margins_of(lambda arm: -2.0 if arm == "after" else -1.5, lambda arm: -4.0 if arm == "after" else -2.0)
    margins, raw = (rows_of(results, f"{name}_nats") for name in ("margin", "logprob"))
    assert margins["after", "before"]["difference"] == pytest.approx(1.5)
    assert raw["after", "before"]["difference"] == pytest.approx(-0.5)
    (said,) = disagreement_sentences(list(margins.values()), list(raw.values()))
    assert (
        "disagree in sign (+1.50 and -0.50 nats): the right values are less likely, the wrong ones even less so" in said
    )
    alike = margins_of(lambda arm: -1.0 if arm == "after" else -1.5, lambda _: -3.0)
    assert (
        disagreement_sentences(*(list(rows_of(alike, f"{name}_nats").values()) for name in ("margin", "logprob"))) == []
    )


def test_a_contrast_that_grows_with_the_length_has_its_slope_for_each_doubling() -> None:
    results = [
        keeping(
            range(3 + (arm == "after") * doublings * (1 + block % 2)),
            arm=arm,
            block=block,
            length_tokens=400 * 2**doublings,
        )
        for doublings in range(3)
        for block in range(8)
        for arm in ("before", "after")
    ]
    rows = length_rows(read_outcomes(results), seed=1, declared=Declared(length=True))
    (row,) = rows
    assert row["per_doubling"] == pytest.approx((0.1 + 0.2) / 2)
    assert (row["lengths"], row["blocks"], row["declared"]) == ([400, 800, 1600], 8, True)
    assert "the difference in coverage rises with the length of the text (+15 points" in length_sentences(rows)[0]
    assert length_rows(read_outcomes(results[:16]), seed=1) == []  # one length has no slope


def test_what_a_slope_could_have_shown_is_of_the_whole_family_of_slopes() -> None:
    results = [
        keeping(range(3 + (arm == "after") * doublings * (1 + block % 2)), arm=arm, block=block,
                length_tokens=400 * 2**doublings)
        for doublings in range(2)
        for block in range(8)
        for arm in ("before", "padded-before", "after", "padded-after")
    ]  # fmt: skip
    rows = {(row["arm"], row["control"]): row for row in length_rows(read_outcomes(results), seed=1)}
    assert {row["tests"] for row in rows.values()} == {3}
    slopes = [0.1 * (1 + block % 2) for block in range(8)]  # one doubling
    expected = paired_difference(slopes, seed=1, tests=3, most=1.0)
    assert expected is not None
    assert rows["after", "before"]["detectable"] == pytest.approx(expected.detectable)
    assert [row["p_holm"] for row in rows.values()] == holm([row["p_value"] for row in rows.values()])


def test_noise_is_told_from_a_difference_of_arms() -> None:
    """Samples of one arm differ by two facts; the arms differ by as much in block 0 and by six more in block 1."""
    kept = {("before", 0): (4, 6), ("after", 0): (4, 6), ("before", 1): (0, 2), ("after", 1): (6, 8)}
    results = [
        keeping(range(count), arm=arm, block=block, sample=sample)
        for (arm, block), counts in kept.items()
        for sample, count in enumerate(counts)
    ]
    (row,) = noise_rows(read_outcomes(results), seed=1)
    between = [(0 + 2 + 2 + 0) / 4 / 10, (6 + 8 + 4 + 6) / 4 / 10]
    assert row["arms_difference"] == pytest.approx(sum(between) / 2)
    assert row["samples_difference"] == pytest.approx(0.2)
    assert row["excess"] == pytest.approx(sum(between) / 2 - 0.2)
    assert "not told apart from noise" in noise_sentences([row])[0]
    assert "more than noise" in noise_sentences([row | {"low": 0.1, "blocks": 20}])[0]
    assert noise_rows(read_outcomes([each for each in results if each.trial.cell["sample"] == 0]), seed=1) == []


def test_nothing_is_said_of_differences_between_answers_that_are_no_summaries() -> None:
    results = [
        answered(f"As it says: {TEXT[: 200 + 20 * (arm == 'after') + block]}", arm=arm, block=block)
        for arm in ("before", "after")
        for block in range(8)
    ]
    rows = rows_of(results, "coverage_rate")
    assert rows["after", "before"]["measurable"] is False
    assert contrast_sentences(list(rows.values())) == []


def test_constraints_followed_are_compared_as_shares() -> None:
    wanted = {"bullets": 1, "closing": "End."}
    results = [
        answered("- Sun\nEnd." if arm == "after" else "- Sun", arm=arm, block=block, constraints=wanted)
        for arm in ("before", "after")
        for block in range(8)
    ]
    row = rows_of(results, "constraint_rate")["after", "before"]
    assert (row["difference"], row["declared"]) == (0.5, False)


def test_log_probabilities_that_are_missing_are_counted_and_have_no_bounds() -> None:
    results = margins_of(lambda _: -1.0, lambda _: -2.0)
    cut = [each for each in results if (each.trial.cell["block"], each.trial.cell["arm"]) != (7, "after")]
    broken = [*cut, *scored([[-1.0, -2.0], [-2.0, -1.0]], arm="after", block=7)[:3]]
    row = rows_of(broken, "margin_nats")["after", "before"]
    assert (row["missing"], row["blocks"], row["worst_low"]) == (1, 7, None)
    assert any("1 answer has no value there" in line for line in contrast_sentences([row]))
    assert math.isclose(row["difference"], 0.0, abs_tol=1e-9)
