"""What a judge's run says, as rows: by arm, differences between arms, agreement with the score, and the cost.

Everything is averaged inside a block, and blocks are what is counted and compared, as in `placement_results`. A verdict
that is missing - the call failed, it was refused or cut, or has another form than was asked for - is in no rate: it
says nothing of the answer. Its share is told, and between what the rates would lie with any verdict there could be.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from probes.agreement import Counts, agreement
from probes.experiments.judge_prompt import HIGHEST, JUDGE, LOWEST, Verdict, read_verdict
from probes.experiments.placement_contrasts import CORRECTION, TEST, Declared, rest_of
from probes.experiments.placement_outcomes import Setting, in_order, mean
from probes.missing import paired_worst_case, worst_case_bounds
from probes.plan import Result
from probes.stats import Interval, holm, paired_difference, rate_interval
from probes.store import Score

SCORER = JUDGE
Row = dict[str, Any]
RATING, COVERAGE = "rating", "coverage_rate"  # what arms are compared in


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One answer that was to be judged: how many facts there are, those that the score finds in it, and the verdict.

    `outcome`: read, unreadable, refusal, truncated or error; None where it was not asked for yet. `said` is there
    only where it was read.
    """

    facts: int
    kept: frozenset[int]
    outcome: str | None
    said: Verdict | None

    @property
    def coverage(self) -> float | None:
        """The share of the facts that the judge finds stated."""
        return None if self.said is None else len(self.said.stated) / self.facts

    @property
    def contradicted(self) -> float | None:
        """The share of the facts that the judge finds contradicted."""
        return None if self.said is None else len(self.said.contradicted) / self.facts

    @property
    def rating(self) -> float | None:
        """The judge's rating, 1 to 5."""
        return None if self.said is None else float(self.said.rating)

    @property
    def scored(self) -> float | None:
        """The share of the facts that the score finds; None where there is no verdict to hold it against."""
        return None if self.said is None else len(self.kept) / self.facts

    def counts(self) -> Counts:
        """The facts of which the score, first, and the judge, second, say yes or no; none without a verdict."""
        if self.said is None:
            return Counts(0, 0, 0, 0)
        said = set(self.said.stated)
        both, either = len(self.kept & said), len(self.kept | said)
        return Counts(both, len(self.kept - said), len(said - self.kept), self.facts - either)


Blocks = dict[int, dict[str, dict[int, JudgedAnswer]]]  # block -> arm -> sample
Value = Callable[[JudgedAnswer], float | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A number that a verdict gives an answer, None where there is no verdict, and from where to where it can lie."""

    value: Value
    least: float = 0.0
    most: float = 1.0

    @property
    def span(self) -> float:
        """The largest difference that there can be between two answers."""
        return self.most - self.least

    def share(self, each: JudgedAnswer) -> float | None:
        """How much of the way from the least to the most it is."""
        value = self.value(each)
        return None if value is None else (value - self.least) / self.span


OUTCOMES: Mapping[str, Outcome] = {
    COVERAGE: Outcome(lambda each: each.coverage),
    RATING: Outcome(lambda each: each.rating, float(LOWEST), float(HIGHEST)),
}
CONTRADICTED = Outcome(lambda each: each.contradicted)


def read_judged(result: Result) -> JudgedAnswer:
    """What became of one trial of a judge's run."""
    cell, completion = result.trial.cell, result.completion
    outcome, verdict = None, None
    if completion is None:
        outcome = "error" if result.error_kind else None
    elif completion.stop_reason == "refusal":
        outcome = "refusal"
    elif completion.is_cut:
        outcome = "truncated"
    else:
        verdict = read_verdict(completion.text, cell["order"])
        outcome = "unreadable" if verdict is None else "read"
    return JudgedAnswer(len(cell["names"]), frozenset(cell["kept"]), outcome, verdict)


def read_all(results: Iterable[Result]) -> dict[Setting, Blocks]:
    """Every verdict, by the setting of the answer that is judged (`model` is the one that wrote it), block and arm."""
    found: dict[Setting, Blocks] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for result in results:
        cell = result.trial.cell
        setting = Setting(*(cell[key] for key in ("judged_model", "length_tokens", "framing", "task", "temperature")))
        found[setting][cell["block"]][cell["arm"]][cell["sample"]] = read_judged(result)
    return found


def verdicts(results: Iterable[Result]) -> list[Score]:
    """What is kept of each answer of the judge that was read or cut; one of another form is no verdict at all."""
    words = {"read": "hit", "refusal": "refusal", "truncated": "truncated"}  # those that the store knows
    scores = []
    for result in results:
        judged = read_judged(result)
        if judged.outcome in words:
            detail = asdict(judged.said) if judged.said else {}
            scores.append(Score(result.trial_id, words[judged.outcome], judged.coverage, detail))
    return scores


# ------------------------------------------------------------------------------------------------------- by arm


def arm_rows(found: Mapping[Setting, Blocks], *, judge: str, seed: int) -> list[Row]:
    """One row an arm: what the judge finds there and how it rates it, and what the score finds in the same answers.

    `answers` were to be judged; `read` verdicts are what every rate is over, `blocks` how many texts these are of.
    `coverage_worst_low` and `coverage_worst_high`: where the coverage would lie if every missing verdict had found
    nothing, or everything.
    """
    rows = []
    for setting, blocks in found.items():
        for arm in arms_in(blocks):
            groups = [list(arms[arm].values()) for arms in blocks.values() if arm in arms]
            every = [each for group in groups for each in group]
            outcomes = Counter(each.outcome for each in every)
            coverage, rating = OUTCOMES[COVERAGE], OUTCOMES[RATING]
            values = [coverage.value(each) for each in every]
            worst = worst_case_bounds(values, least=coverage.least, most=coverage.most) or (None, None)
            row: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "judge": judge}
            row |= {"answers": len(every), "read": outcomes["read"], "missing": len(every) - outcomes["read"]}
            row |= {name: outcomes[name] for name in ("unreadable", "refusal", "truncated", "error")}
            row |= {"blocks": sum(any(each.said for each in group) for group in groups)}
            row |= _limits("coverage", "rate", _over(groups, coverage, seed))
            row |= _limits("contradicted", "rate", _over(groups, CONTRADICTED, seed))
            row |= _limits("rating", "", _over(groups, rating, seed))
            row |= {"score_rate": mean(mean(each.scored for each in group) for group in groups)}
            rows.append(row | {"coverage_worst_low": worst[0], "coverage_worst_high": worst[1]} | rest_of(setting))
    return rows


def arms_in(blocks: Blocks) -> list[str]:
    """The arms that some block has, in the order of tables."""
    return in_order({arm for arms in blocks.values() for arm in arms})


def _over(groups: Sequence[Sequence[JudgedAnswer]], outcome: Outcome, seed: int) -> Interval | None:
    """An outcome over blocks, samples averaged inside them; a rating too has the interval of a share, of its scale."""
    means = (mean(map(outcome.share, group)) for group in groups)
    share = rate_interval([each for each in means if each is not None], seed=seed)
    if share is None:
        return None
    estimate, low, high = (outcome.least + outcome.span * each for each in (share.estimate, share.low, share.high))
    return Interval(estimate, low, high)


def _limits(prefix: str, unit: str, interval: Interval | None) -> Row:
    """An estimate and its two limits as keys."""
    name = f"{prefix}_{unit}" if unit else prefix
    limits = (interval.estimate, interval.low, interval.high) if interval else (None, None, None)
    return dict(zip((name, f"{prefix}_low", f"{prefix}_high"), limits, strict=True))


# --------------------------------------------------------------------------------------------------- differences


def contrast_rows(found: Mapping[Setting, Blocks], *, judge: str, seed: int, declared: Declared) -> list[Row]:
    """One row for each contrast that the judged run declared, of coverage and of the rating, by the judge.

    Blocks are compared with themselves; Holm's correction is over the contrasts of one outcome in one setting.
    `score_difference`: that of the score's coverage on the same answers. `worst_low` and `worst_high`: where the
    difference would lie with any verdicts in place of the missing ones.
    """
    rows = []
    for setting, blocks in found.items():
        pairs = declared.among(arms_in(blocks))
        for name, outcome in OUTCOMES.items():
            tests = [(pair, list(_differences(blocks, pair, outcome.value))) for pair in pairs]
            tests = [(pair, differences) for pair, differences in tests if differences]
            tested = [
                (pair, paired_difference(each, seed=seed, tests=len(tests), most=outcome.span)) for pair, each in tests
            ]
            made = [(pair, difference) for pair, difference in tested if difference is not None]
            corrected = holm([difference.p_value for _, difference in made])
            for (pair, difference), p_holm in zip(made, corrected, strict=True):
                head: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "outcome": name}
                rows.append(
                    head
                    | {"arm": pair[0], "control": pair[1], "judge": judge}
                    | {**difference.row(), "p_holm": p_holm}
                    | _beside(blocks, pair, name)
                    | {"declared": False, "unit": "block", "test": TEST, "correction": CORRECTION, "tests": len(made)}
                    | rest_of(setting)
                )
    return rows


def _differences(blocks: Blocks, pair: tuple[str, str], value: Value) -> Iterable[float]:
    """The arm's mean less the control's, for each block that has a verdict on both."""
    for arms in blocks.values():
        first, second = (mean(map(value, arms[arm].values())) if arm in arms else None for arm in pair)
        if first is not None and second is not None:
            yield first - second


def _beside(blocks: Blocks, pair: tuple[str, str], name: str) -> Row:
    """What the score says of the same answers, and what the missing verdicts leave open."""
    outcome = OUTCOMES[name]
    sides: tuple[list[float | None], list[float | None]] = ([], [])
    for arms in blocks.values():
        first, second = (arms.get(arm, {}) for arm in pair)
        for sample in sorted(first.keys() & second.keys()):
            sides[0].append(outcome.value(first[sample]))
            sides[1].append(outcome.value(second[sample]))
    low, high = paired_worst_case(*sides, least=outcome.least, most=outcome.most) or (None, None)
    scored = mean(_differences(blocks, pair, lambda each: each.scored)) if name == COVERAGE else None
    missing = sum(value is None for side in sides for value in side)
    return {"score_difference": scored, "missing": missing, "worst_low": low, "worst_high": high}


# ----------------------------------------------------------------------------------------------------- agreement


def agreement_rows(found: Mapping[Setting, Blocks], *, judge: str, seed: int) -> list[Row]:
    """One row for each setting (`arm` null), and one for each of its arms: how far judge and score agree on facts.

    `both`, `only_score`, `only_judge` and `neither` are facts of the `answers` whose verdict was read;
    `agreement_rate` and Cohen's `kappa` are of all of them together, with intervals over blocks.
    """
    rows = []
    for setting, blocks in found.items():
        for arm in (None, *arms_in(blocks)):
            groups = [group for arms in blocks.values() if (group := _of_arm(arms, arm))]
            each_block = [_sum(each.counts() for each in group) for group in groups]
            counts = _sum(each_block)
            agreed = agreement(each_block, seed=seed)
            row: Row = {"model": setting.model, "length_tokens": setting.length_tokens, "arm": arm, "judge": judge}
            row |= {"blocks": sum(sum(each) > 0 for each in each_block)}
            row |= {"answers": sum(each.said is not None for group in groups for each in group)}
            row |= {"facts": sum(counts)}
            row |= dict(zip(("both", "only_score", "only_judge", "neither"), counts, strict=True))
            row |= _limits("agreement", "rate", agreed and agreed.rate)
            row |= _limits("kappa", "", agreed and agreed.kappa)
            rows.append(row | rest_of(setting))
    return rows


def _sum(counts: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(*counts, strict=True)))


def _of_arm(arms: Mapping[str, Mapping[int, JudgedAnswer]], arm: str | None) -> list[JudgedAnswer]:
    """The answers of one arm of a block, or of all its arms."""
    return [each for name, samples in arms.items() if arm in (None, name) for each in samples.values()]
