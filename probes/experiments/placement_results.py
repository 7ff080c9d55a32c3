"""What a placement run found: per arm the coverage of its answers and the margin of its facts, and declared contrasts.

Coverage: a fact counts as covered when its value and its name stand in one sentence of the answer; a value in a
sentence with only another fact's name is mis-bound. Margin: the log-probability of the right value less the logarithm
of the mean probability of the other planted values, after the same stem, in nats. Both are averaged inside a block,
and blocks are what is compared. Where the text is a transcript, an answer that begins as a turn of it, with a speaker's
name and a colon, is counted as a dialogue continued; what follows the name is not judged.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from probes.experiments.placement import ARMS, CONTRASTS, FACTS, INSTRUCTED
from probes.models.base import Completion
from probes.plan import PlannedTrial, Result
from probes.scoring import Outcome, abstains, mentions
from probes.sentences import sentence_ends
from probes.stats import (
    LEVEL,
    Interval,
    difference_words,
    fewest_blocks,
    holm,
    mean_interval,
    paired_difference,
    too_few_words,
)
from probes.store import Score as Verdict

SCORER = "coverage@2"
Row = dict[str, Any]
Setting = tuple[str, int]  # model, length in ruler tokens
SUMMARY_RATE = 0.3  # with fewer of the facts kept, answers are no summaries of them
COPIED_RUN = 8  # words in a row that no summary shares with its document by accident


@dataclass(frozen=True, slots=True)
class Summary:
    """What one generated answer holds.

    `covered` and `misbound` are numbers of facts, first tenth of the document to last. `copied` is the share of the
    answer's eight-word runs that stand in the document word for word, `repeated` the share that stood earlier in the
    answer itself. `continued`: the answer begins as a turn of the dialogue; None where the text is none.
    """

    outcome: Outcome
    covered: tuple[int, ...] = ()
    misbound: tuple[int, ...] = ()
    copied: float = 0.0
    repeated: float = 0.0
    continued: bool | None = None


@dataclass(frozen=True, slots=True)
class Margins:
    """The margins of one document in one arm, a value for each fact, and the raw log-probabilities beside them."""

    margins: tuple[float, ...]
    logprobs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The document's margin."""
        return sum(self.margins) / len(self.margins)


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """Everything known of one document in one arm; None where it was not asked, or not all of it came back."""

    summary: Summary | None
    margins: Margins | None


Outcomes = dict[Setting, dict[int, dict[str, ArmOutcome]]]  # setting -> block -> arm


def verdicts(results: Iterable[Result]) -> list[Verdict]:
    """What is kept of each generated answer's score; errors are no answers and have none."""
    found = []
    for each in results:
        if each.trial.cell["measure"] == "coverage" and each.completion is not None:
            summary = read_summary(each.completion, each.trial)
            kept = {key: value for key, value in asdict(summary).items() if key != "outcome"}
            found.append(Verdict(each.trial_id, summary.outcome, len(summary.covered) / FACTS, kept))
    return found


def read_outcomes(results: Iterable[Result]) -> Outcomes:
    """Score every answer, and put the log-probabilities of each document and arm together.

    The results must hold their prompts: what is copied is told by the document.
    """
    grouped: dict[tuple[Setting, int, str], list[Result]] = defaultdict(list)
    for result in results:
        cell = result.trial.cell
        grouped[(result.model, cell["length_tokens"]), cell["block"], cell["arm"]].append(result)
    outcomes: Outcomes = defaultdict(lambda: defaultdict(dict))
    for (setting, block, arm), group in grouped.items():
        answers = [each for each in group if each.trial.cell["measure"] == "coverage"]
        tried = [each for each in answers if each.completion is not None or each.error_kind is not None]
        summary = read_summary(tried[0].completion, tried[0].trial) if tried else None
        scored = [each for each in group if each.trial.cell["measure"] == "margin"]
        outcomes[setting][block][arm] = ArmOutcome(summary, _margins(scored))
    return outcomes


def read_summary(completion: Completion | None, trial: PlannedTrial) -> Summary:
    """Score one answer: which facts it keeps with their names, which it gives to another, and what it is like.

    An answer that continues a dialogue is no refusal, whatever its speakers decline.
    """
    cell = trial.cell
    if completion is None:
        return Summary("error")
    text = completion.text
    ends = (*sentence_ends(text), len(text))
    sentences = [text[start:end] for start, end in pairwise(ends)]
    covered, misbound = [], []
    for fact, (name, value) in enumerate(zip(cell["names"], cell["values"], strict=True)):
        holding = [sentence for sentence in sentences if mentions(sentence, value)]
        if any(mentions(sentence, name) for sentence in holding):
            covered.append(fact)
        elif any(mentions(sentence, other) for sentence in holding for other in cell["names"]):
            misbound.append(fact)
    continued = continues(text, cell["speakers"]) if "speakers" in cell else None
    declines = not covered and not misbound and not continued and abstains(text)
    if completion.stop_reason == "refusal" or declines:
        outcome: Outcome = "refusal"
    elif completion.stop_reason in ("max_tokens", "context_full"):
        outcome = "truncated"
    else:
        outcome = "hit" if covered else "miss"
    prompt = "\n".join(message.content for message in trial.request.messages)
    runs, known = _runs(text), set(_runs(prompt))
    copied = sum(run in known for run in runs) / len(runs) if runs else 0.0
    repeated = 1 - len(set(runs)) / len(runs) if runs else 0.0
    return Summary(outcome, tuple(covered), tuple(misbound), copied, repeated, continued)


def continues(text: str, speakers: Sequence[str]) -> bool:
    """Whether an answer begins with a speaker's name and a colon, as a turn of the dialogue does; marks do not count.

    Example: continues("**Ben:** It rained.", ["Ana", "Ben"]) -> True; continues("Ana and Ben: a summary", ...) -> False
    """
    names = "|".join(map(re.escape, speakers))
    return re.match(rf"[\W_]*(?:{names})[*_\s]*:", text) is not None


def _runs(text: str) -> list[tuple[str, ...]]:
    """Every run of eight words of a text, in order; none in a shorter text."""
    words = text.lower().split()
    return [tuple(words[start : start + COPIED_RUN]) for start in range(len(words) - COPIED_RUN + 1)]


def _margins(results: Sequence[Result]) -> Margins | None:
    """The margins of one document in one arm; None unless every log-probability is there."""
    missing = any(each.completion is None or each.completion.logprobs is None for each in results)
    if missing or len(results) < FACTS**2:  # each of the values after the question for each of the facts
        return None
    logprobs: dict[int, dict[int, float]] = defaultdict(dict)
    for each in results:
        assert each.completion is not None
        assert each.completion.logprobs is not None
        cell = each.trial.cell
        logprobs[cell["asked"]][cell["offered"]] = sum(token.logprob for token in each.completion.logprobs)
    margins = tuple(margin(offered[asked], _without(offered, asked)) for asked, offered in sorted(logprobs.items()))
    return Margins(margins, tuple(offered[asked] for asked, offered in sorted(logprobs.items())))


def margin(right: float, others: Sequence[float]) -> float:
    """Log p(right) - log of the mean p of the others, all given as natural logarithms.

    Example: margin(log 0.5, [log 0.1, log 0.3]) -> log(0.5 / 0.2) = 0.916
    """
    highest = max(others)
    mean = sum(math.exp(other - highest) for other in others) / len(others)
    return right - highest - math.log(mean)


def _without(values: Mapping[int, float], key: int) -> list[float]:
    return [value for number, value in values.items() if number != key]


def arm_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row an arm: margin and coverage with their intervals over blocks, and the outcomes counted apart."""
    rows = []
    for (model, length), blocks in outcomes.items():
        for arm in ARMS:
            found = [block[arm] for block in blocks.values() if arm in block]
            margins = [each.margins for each in found if each.margins]
            summaries = [each.summary for each in found if each.summary]
            read = [each for each in summaries if each.outcome not in ("error", "refusal")]
            margin_interval = mean_interval([each.mean for each in margins], seed=seed)
            coverage = mean_interval([len(each.covered) / FACTS for each in read], seed=seed, least=0.0, most=1.0)
            if not margins and not summaries:
                continue
            counts = Counter(each.outcome for each in summaries)
            continued = [each.continued for each in read if each.continued is not None]
            rows.append(
                {
                    "model": model,
                    "length_tokens": length,
                    "arm": arm,
                    "margin_blocks": len(margins),
                    "margin_nats": margin_interval.estimate if margin_interval else None,
                    "margin_low": margin_interval.low if margin_interval else None,
                    "margin_high": margin_interval.high if margin_interval else None,
                    "logprob_nats": _mean([sum(each.logprobs) / len(each.logprobs) for each in margins]),
                    "coverage_blocks": len(read),
                    "coverage_rate": coverage.estimate if coverage else None,
                    "coverage_low": coverage.low if coverage else None,
                    "coverage_high": coverage.high if coverage else None,
                    "misbound_rate": _mean([len(each.misbound) / FACTS for each in read]),
                    "copied_rate": _mean([each.copied for each in read]),
                    "repeated_rate": _mean([each.repeated for each in read]),
                    "continued": sum(continued) if continued else None,
                    **{name: counts[name] for name in ("refusal", "truncated", "error")},
                }
            )
    return rows


def decile_rows(outcomes: Outcomes) -> list[Row]:
    """One row for each arm and tenth of the document: the mean margin and the coverage there."""
    rows = []
    for (model, length), blocks in outcomes.items():
        for arm in ARMS:
            found = [block[arm] for block in blocks.values() if arm in block]
            margins = [each.margins.margins for each in found if each.margins]
            read = [each.summary for each in found if each.summary and each.summary.outcome not in ("error", "refusal")]
            for decile in range(FACTS) if margins or read else ():
                rows.append(
                    {
                        "model": model,
                        "length_tokens": length,
                        "arm": arm,
                        "decile": decile + 1,
                        "margin_blocks": len(margins),
                        "margin_nats": _mean([values[decile] for values in margins]),
                        "coverage_blocks": len(read),
                        "coverage_rate": _mean([float(decile in summary.covered) for summary in read]),
                    }
                )
    return rows


def contrast_rows(outcomes: Outcomes, *, seed: int) -> list[Row]:
    """One row a declared contrast and outcome, with the p-values of a setting's contrasts corrected after Holm."""
    rows = []
    for (model, length), blocks in outcomes.items():
        for outcome, most in (("margin_nats", math.inf), ("coverage_rate", 1.0)):
            pairs = {pair: differences for pair in CONTRASTS if (differences := _paired(blocks, pair, outcome))}
            found = [
                (pair, difference)
                for pair, differences in pairs.items()
                if (difference := paired_difference(differences, seed=seed, tests=len(pairs), most=most)) is not None
            ]
            corrected = holm([difference.p_value for _, difference in found])
            for ((arm, control), difference), p_holm in zip(found, corrected, strict=True):
                rows.append(
                    {"model": model, "length_tokens": length, "outcome": outcome, "arm": arm, "control": control}
                    | difference.row()
                    | {"p_holm": p_holm}
                )
    return rows


def instructed_summaries(outcomes: Outcomes) -> list[Summary]:
    """The answers that were tried in the arms that hold the instruction."""
    return [
        summary
        for blocks in outcomes.values()
        for block in blocks.values()
        for arm in INSTRUCTED
        if arm in block and (summary := block[arm].summary) is not None
    ]


def manner_sentence(summaries: Sequence[Summary], model: str = "this model") -> str:
    """Whether answers to the instruction are summaries at all, in words chosen by the figures.

    `model` names the model inside a sentence, e.g. "a model this small".
    """
    read = [each for each in summaries if each.outcome not in ("error", "refusal")]
    continued = [each for each in read if each.continued]
    others = [each for each in read if not each.continued]
    copied = _copies(others)
    repeated = sum(each.repeated >= 0.5 > each.copied for each in others)
    kept, facts = sum(len(each.covered) for each in read), FACTS * len(read)
    sentences = [_dialogue_sentence(continued, len(read))] if any(each.continued is not None for each in read) else []
    if others or not read:
        which = f"the other {len(others)}" if continued else f"{len(others)} answers to the instruction"
        sentences.append(
            f"Of {which}, {copied} mostly copy the text word for word, {repeated} mostly repeat themselves, and "
            f"{len(others) - copied - repeated} are in words of their own."
        )
    sentences.append(f"Together they keep {kept} of {facts} facts with their names.")
    if len(continued) > len(read) / 2:
        reciting = ", mostly by reciting it" if _copies(continued) > len(continued) / 2 else ""
        sentences.append(f"So {model} continues a dialogue instead of summarising it{reciting}.")
    elif copied + repeated + len(continued) > len(read) / 2:
        sentences.append(f"So {model} goes on with the text instead of summarising it.")
    elif kept < SUMMARY_RATE * facts:
        sentences.append("So they are no summaries that could be compared.")
    return " ".join(sentences)


def _dialogue_sentence(continued: Sequence[Summary], answers: int) -> str:
    """In how many answers the model went on with the dialogue, and what these are like."""
    if not continued:
        return f"In none of {answers} answers to the instruction did the model go on with the dialogue."
    count = f"all {answers}" if len(continued) == answers else f"{len(continued)} of {answers}"
    return (
        f"In {count} answers to the instruction the model went on with the dialogue, a speaker's name first, instead "
        f"of summarising it; {_copies(continued)} of these mostly copy the text word for word."
    )


def _copies(summaries: Sequence[Summary]) -> int:
    """How many answers mostly copy the text."""
    return sum(each.copied >= 0.5 for each in summaries)


def contrast_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence a contrast, in words chosen by the figures, and what this many blocks could have shown.

    `rows` are the contrasts of one outcome, which are one family of tests.
    """
    sentences = []
    for row in rows:
        unit, scale, digits = ("nats", 1, 2) if row["outcome"] == "margin_nats" else ("points", 100, 0)
        interval = Interval(row["difference"], row["low"], row["high"])
        figures = difference_words(interval, row["p_holm"], row["blocks"], scale=scale, unit=unit, digits=digits)
        what = "margin" if row["outcome"] == "margin_nats" else "coverage"
        pair = CONTRASTS[row["arm"], row["control"]]
        if row["detectable"]:
            figures += f", which can show {scale * row['detectable']:.{digits}f} or more"
        if row["p_holm"] < 1 - LEVEL and row["low"] * row["high"] > 0:
            more = "more" if row["difference"] > 0 else "less"
            sentences.append(f"{pair}: {more} {what} ({figures}).")
        else:
            sentences.append(f"{pair}: no clear difference in {what} ({figures}).")
    tests = len(rows)
    if rows and (most := max(row["blocks"] for row in rows)) < fewest_blocks(tests):
        sentences.append(too_few_words(most, tests))
    elif tests > 1:
        sentences.append(f"The p-values are corrected for {tests} contrasts (Holm), the intervals are not.")
    return sentences


def _paired(blocks: Mapping[int, Mapping[str, ArmOutcome]], pair: tuple[str, str], outcome: str) -> list[float]:
    """One difference for each block that has the outcome in both arms."""
    differences = []
    for arms in blocks.values():
        values = [_value(arms.get(arm), outcome) for arm in pair]
        if values[0] is not None and values[1] is not None:
            differences.append(values[0] - values[1])
    return differences


def _value(found: ArmOutcome | None, outcome: str) -> float | None:
    if found is None:
        return None
    if outcome == "margin_nats":
        return found.margins.mean if found.margins else None
    if found.summary is None or found.summary.outcome in ("error", "refusal"):
        return None
    return len(found.summary.covered) / FACTS


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
