"""The planted effects, each with its reader, its plan, and what intervals, tests and sentences have to say of it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from probes.experiments.needle import plan_needle
from probes.experiments.needle_options import NeedleOptions
from probes.power import CORRELATION, DISCORDANT, planned_difference
from tests import calibrate_truth as truth
from tests.calibrate_parts import (
    BLOCKS,
    COVERAGE,
    DEVIATION,
    DIFFER,
    MARGIN,
    NOISE,
    OUTCOMES,
    covered,
    gain_of,
    kept,
    mean_of,
    nothing,
    placement_plan,
    plan_for,
    recency_of,
    word,
)
from tests.calibrate_studies import (
    WORDS,
    Check,
    Effect,
    Figure,
    Study,
    answers,
    any_contrast,
    contrast,
    needle_contrast,
    net,
    of_arm,
    per_doubling,
    position,
)


def no_effect(outcome: str) -> Effect:
    """The same rate everywhere: nothing may be found, and the intervals of the arms must hold their means."""
    said, pairs = word(outcome), [("after", "before"), ("after", "padded-after")]
    plan = plan_for(outcome, ("before", "padded-after", "after"), ("none", "bookend"))
    planted = truth.mean(0.6, DEVIATION, OUTCOMES[outcome])
    return Effect(
        f"no effect, {said}",
        f"sim/even?rate=0.6&{DIFFER}",
        plan,
        (
            Check("covers", "after", planted, of_arm("after", said)),
            Check("covers", "recency, after", 0.0, position("after", outcome, "recency")),
            *nothing(outcome, *pairs, *([("bookend", "none")] if outcome == COVERAGE else [])),
            Check("silent", "any declared contrast (Holm)", 0, any_contrast(outcome)),
            *(no_shift("after", "before") if outcome == COVERAGE else ()),
        ),
    )


def no_shift(arm: str, control: str) -> list[Check]:
    """What is kept stands where it stood, however much it is."""
    read = contrast("centre_of_mass", arm, control)
    return [Check(what, f"{arm} - {control}, centre of mass", 0, read) for what in ("covers", "silent")]


def recency(outcome: str) -> Effect:
    """More of the last tenth, whatever is asked and wherever."""
    near, far = 0.9, 0.4
    plan = plan_for(outcome, ("before", "irrelevant-after", "after"))
    planted = np.mean([recency_of(trial, near, far, OUTCOMES[outcome]) for trial in truth.prompts(plan, "before")])
    nothing_there = nothing(MARGIN, ("after", "irrelevant-after")) if outcome == MARGIN else []
    return Effect(
        f"recency, {word(outcome)}",
        f"sim/recency?near={near}&far={far}&{DIFFER}",
        plan,
        (
            Check("covers", "recency, before", float(planted), position("before", outcome, "recency")),
            covered(plan, outcome, ("after", "before"), lambda trial: truth.recency_rates(trial, near, far)),
            *nothing_there,
        ),
    )


def last_instruction(outcome: str) -> Effect:
    """The instruction counts where it comes last, and `before` is ignored."""
    more, less = 0.75, 0.5
    plan = plan_for(outcome, ("padded-before", "before", "padded-after", "after"), ("bookend",))
    gain = gain_of(more, less, OUTCOMES[outcome])
    pairs = [("after", "before"), ("after", "padded-after")] + [("bookend", "before")] * (outcome == COVERAGE)
    return Effect(
        f"last instruction only, {word(outcome)}",
        f"sim/last-instruction?rate={more}&otherwise={less}&{DIFFER}",
        plan,
        (
            *(Check("covers", f"{arm} - {control}", gain, contrast(outcome, arm, control)) for arm, control in pairs),
            Check("covers", "net of padding", gain, net(outcome, "padded")),
            *nothing(outcome, ("before", "padded-before"), *([("bookend", "after")] if outcome == COVERAGE else [])),
            *(no_shift("after", "before") if outcome == COVERAGE else ()),  # more is kept, and all over the text alike
        ),
    )


def chat() -> Effect:
    """The same in real turns, with the controls that move the conversation as far."""
    more, less = 0.75, 0.5
    arms = ("irrelevant-before", "before", "irrelevant-after", "after")
    gain, told = gain_of(more, less, truth.plainly), truth.mean(more, DEVIATION)  # another one last gets its own answer
    return Effect(
        "last instruction only, in a chat",
        f"sim/last-instruction?rate={more}&otherwise={less}&{DIFFER}",
        placement_plan(arms, ("coverage",), framing="chat"),
        (
            Check("covers", "after - before, coverage", gain, contrast(COVERAGE, "after", "before")),
            Check(
                "covers", "after - irrelevant-after, coverage", told, contrast(COVERAGE, "after", "irrelevant-after")
            ),
            Check(
                "silent", "before - irrelevant-before, coverage", 0, contrast(COVERAGE, "before", "irrelevant-before")
            ),
        ),
    )


def any_instruction(outcome: str) -> Effect:
    """Any instruction helps, another one as well: no effect of placing this one."""
    more, less = 0.75, 0.5
    first = ("before", "irrelevant-before")
    gain = gain_of(more, less, OUTCOMES[outcome])
    return Effect(
        f"any instruction, {word(outcome)}",
        f"sim/any-instruction?rate={more}&otherwise={less}&{DIFFER}",
        plan_for(outcome, ("padded-after", "irrelevant-after", "after"), first),
        (
            Check("covers", "after - padded-after", gain, contrast(outcome, "after", "padded-after")),
            *nothing(outcome, ("after", "irrelevant-after")),
            *(nothing(outcome, first, ("after", "before")) if outcome == COVERAGE else ()),
            *([Check("silent", "net of another instruction", 0, net(outcome, "irrelevant"))] * (outcome == COVERAGE)),
        ),
    )


def distance_to_question(outcome: str) -> Effect:
    """Only the distance to the nearest thing that is asked counts: no effect of placing this instruction."""
    near, half = 0.9, 800
    plan = plan_for(outcome, ("irrelevant-after", "after", "bookend", "none"), ("irrelevant-before", "before"))
    return Effect(
        f"distance only, to what is asked, {word(outcome)}",
        f"sim/distance-only?near={near}&half={half}&{DIFFER}",
        plan,
        (
            *nothing(outcome, ("after", "irrelevant-after")),
            *(nothing(outcome, ("before", "irrelevant-before")) if outcome == COVERAGE else ()),
            *([Check("silent", "net of another instruction", 0, net(outcome, "irrelevant"))] * (outcome == COVERAGE)),
            covered(
                plan,
                outcome,
                ("bookend", "none"),
                lambda trial: truth.distance_rates(trial, near, half, to_answer=False),
            ),
        ),
    )


def distance_to_answer(outcome: str) -> Effect:
    """Only the distance to where the answer begins counts, so that neutral words after the text do the same."""
    near, half = 0.9, 800
    plan = plan_for(outcome, ("before", "padded-after", "irrelevant-after", "after"), ("padded-before",))
    rates = lambda trial: truth.distance_rates(trial, near, half, to_answer=True)  # noqa: E731 - said once, used twice
    return Effect(
        f"distance only, to the answer, {word(outcome)}",
        f"sim/distance-only?near={near}&half={half}&to_answer=1&{DIFFER}",
        plan,
        (
            *nothing(outcome, ("after", "padded-after"), ("after", "irrelevant-after")),
            *([Check("silent", "net of padding", 0, net(outcome, "padded"))] * (outcome == COVERAGE)),
            covered(plan, outcome, ("after", "before"), rates),
        ),
    )


def length_interaction() -> Effect:
    """The nearer end helps the more, the longer the text is; another instruction there does so just as much."""
    near, half, lengths = 0.95, 1000, (120, 240, 480)
    pairs = (("bookend", "before"), ("after", "irrelevant-after"))
    plan = placement_plan(("before", "irrelevant-after", "after", "bookend"), ("coverage",), lengths=lengths)
    rates = lambda trial: truth.distance_rates(trial, near, half, to_answer=False)  # noqa: E731 - as above
    slopes = {
        pair: truth.slope(
            {
                length: mean_of(plan, pair[0], rates, length) - mean_of(plan, pair[1], rates, length)
                for length in lengths
            }
        )
        for pair in pairs
    }
    return Effect(
        "interaction with length",
        f"sim/distance-only?near={near}&half={half}&{DIFFER}",
        plan,
        (
            Check("covers", "bookend - before, per doubling", slopes[pairs[0]], per_doubling(COVERAGE, *pairs[0])),
            Check("silent", "after - irrelevant-after, per doubling", 0, per_doubling(COVERAGE, *pairs[1])),
        ),
    )


def verbose() -> Effect:
    """More is said where the instruction comes last, facts and general words; log-probabilities do not change."""
    plan = placement_plan(("before", "after"))
    gain = truth.mean(0.75, DEVIATION) - truth.mean(0.55, DEVIATION)
    return Effect(
        "longer answers, more facts",
        f"sim/verbose?rate=0.55&more=0.2&words=30&{DIFFER}",
        plan,
        (
            Check("covers", "after - before, coverage", gain, contrast(COVERAGE, "after", "before")),
            Check("silent", "after - before, margin", 0, contrast(MARGIN, "after", "before")),
        ),
    )


def only_words() -> Effect:
    """Only general words are added: no more is kept, at the same length neither."""
    plan = placement_plan(("before", "after"), ("coverage",))
    return Effect(
        "longer answers, only words",
        f"sim/verbose?rate=0.55&more=0&words=30&{DIFFER}",
        plan,
        (Check("silent", "after - before, coverage", 0, contrast(COVERAGE, "after", "before")),),
    )


def flaky_late() -> Effect:
    """More calls fail in one arm: no difference in what is known, and the worst case holds what was lost."""
    plan = placement_plan(("before", "after"), ("coverage",), blocks=30)
    reader = f"sim/flaky-late?rate=0.6&{DIFFER}"

    def within_worst_case(study: Study) -> Figure:
        (row,) = [each for each in study.contrasts if each["outcome"] == COVERAGE]
        unharmed = answers(plan, study.reader + "&early=0&late=0")
        rates = {arm: kept([each for each in unharmed if each.trial.cell["arm"] == arm]) for arm in ("before", "after")}
        difference = rates["after"] - rates["before"]
        return Figure(difference, holds=row["worst_low"] - 1e-9 <= difference <= row["worst_high"] + 1e-9)

    return Effect(
        "more failures in one arm",
        f"{reader}&early=0.05&late=0.4",
        plan,
        (
            *(
                Check(what, "after - before, coverage", 0, contrast(COVERAGE, "after", "before"))
                for what in ("covers", "silent")
            ),
            Check("holds", "the worst case, with the answers that were lost", None, within_worst_case),
        ),
    )


def detectable(outcome: str) -> Effect:
    """An effect of just the size that a table prints as what it could have shown."""
    values = OUTCOMES[outcome]
    measure = ("coverage",) if outcome == COVERAGE else ("margin",)
    plan = placement_plan(("before", "after"), measure)
    rate = truth.detectable_rate(0.5, NOISE, BLOCKS, values)
    planted = truth.mean(rate, NOISE, values) - truth.mean(0.5, NOISE, values)
    read = contrast(outcome, "after", "before")
    return Effect(
        f"as large as can be shown, {word(outcome)}",
        f"sim/last-instruction?rate={rate:.6f}&otherwise=0.5&noise={NOISE}",
        plan,
        (
            Check("finds", f"after - before, {word(outcome)}", planted, read),
            Check("covers", f"after - before, {word(outcome)}", planted, read),
        ),
    )


def planned() -> Effect:
    """An effect of just the size that the plan prints, with answers as the plan takes them to be."""
    difference = planned_difference(BLOCKS, truth.FACTS)
    assert difference is not None
    less, more, noise = truth.rates_with(difference, DISCORDANT, CORRELATION)
    return Effect(
        "as large as the plan says can be shown",
        f"sim/last-instruction?rate={more:.6f}&otherwise={less:.6f}&noise={noise:.6f}",
        placement_plan(("before", "after"), ("coverage",)),
        (Check("finds", "after - before, coverage", difference, contrast(COVERAGE, "after", "before")),),
    )


def equivalence_margin() -> Effect:
    """An effect as large as the margin of equivalence: it may not be called none."""
    plan = placement_plan(("before", "after"), ("coverage",), blocks=50)
    read = contrast(COVERAGE, "after", "before")
    return Effect(
        "as large as the margin of equivalence",
        "sim/last-instruction?rate=0.97&otherwise=0.92",
        plan,
        (
            Check("claims", "after - before, coverage: called no effect", 0.05, read),
            Check("covers", "after - before, coverage", 0.05, read),
        ),
    )


def needle(name: str, reader: str, ends: float, end: float) -> Effect:
    """A needle experiment: the two ends of a text against what is between them, and the end against the beginning."""
    options: Mapping[str, Any] = {"task": "single", "blocks": 40, "lengths": (100,), "controls": ()}
    pairs = {("ends", "middle"): ends, ("end", "beginning"): end}
    return Effect(
        f"needles: {name}",
        reader,
        plan_needle(NeedleOptions(**options), WORDS),
        tuple(
            Check(what, f"{level} - {base}", planted, needle_contrast(level, base))
            for (level, base), planted in pairs.items()
            for what in (("covers",) if planted else ("covers", "silent"))
        ),
    )


EFFECTS: Mapping[str, Callable[[], Effect]] = {
    **{
        f"{name}-{word(outcome)}": partial(effect, outcome)
        for outcome in (COVERAGE, MARGIN)
        for name, effect in (
            ("none", no_effect),
            ("recency", recency),
            ("last-instruction", last_instruction),
            ("any-instruction", any_instruction),
            ("distance-to-question", distance_to_question),
            ("distance-to-answer", distance_to_answer),
            ("detectable", detectable),
        )
    },
    "chat": chat,
    "length-interaction": length_interaction,
    "verbose": verbose,
    "only-words": only_words,
    "flaky-late": flaky_late,
    "planned": planned,
    "equivalence-margin": equivalence_margin,
    "needle-none": lambda: needle("no effect", "sim/even?rate=0.7", 0.0, 0.0),
    "needle-u-shape": lambda: needle("both ends", "sim/u-shape?edge=0.9&middle=0.5", 0.4, 0.0),
    "needle-recency": lambda: needle("the last tenth", "sim/recency?near=0.9&far=0.4", 0.25, 0.5),
}
