"""Who is compared, and what all of them were asked.

A trial is identical for two contenders when the messages sent are the same bytes, the text whose likelihood is asked
for is the same, and so is the cell; what not all contenders were asked is counted and never compared. A contender is a
model with its identity in a run; two runs that hold the same answers, or different parts of one study, are one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from probes.comparison.names import named
from probes.comparison.outcomes import whole
from probes.models.base import Message, canonical_json
from probes.plan import Result
from tokenizer.errors import UserError

Key = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One trial of a run with what comparing needs beyond its result.

    `prompt` is the hash of the messages sent, `characters` how long they are, where that is known; `identity` is the
    model's.
    """

    result: Result
    prompt: str
    identity: Mapping[str, Any]
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """The trials of one run, with its id, its probe and its spec."""

    id: str
    probe: str
    spec: Mapping[str, Any]
    trials: tuple[Asked, ...]


@dataclass(slots=True)
class Contender:
    """One side of a comparison: a model as it was in some runs. `label` tells it from the others, in words."""

    model: str
    identity: Mapping[str, Any]
    runs: list[str]
    is_baseline: bool
    trials: dict[Key, Asked]
    label: str = ""

    def results(self, keys: Iterable[Key]) -> list[Result]:
        """The results of some trials, in their order."""
        return [self.trials[key].result for key in keys]


def compared_run(
    run_id: str,
    probe: str,
    spec: Mapping[str, Any],
    trials: Iterable[tuple[Result, str, Mapping[str, Any]]],
    prompts: Mapping[str, Sequence[Message]],
) -> ComparedRun:
    """A run as it is compared, from its results, each with its prompt's hash and its model's identity.

    `prompts` are the messages by their hashes, as far as they are known: their lengths are read from them.
    """
    lengths = {name: sum(len(message.content) for message in messages) for name, messages in prompts.items()}
    asked = (Asked(result, prompt, identity, lengths.get(prompt)) for result, prompt, identity in trials)
    return ComparedRun(run_id, probe, spec, tuple(asked))


def contenders_of(runs: Sequence[ComparedRun], baseline: Sequence[ComparedRun] = ()) -> list[Contender]:
    """Who is compared: models in runs, those of the baseline last; the runs are all of one probe.

    Models of two runs are one contender where nothing that both runs asked was answered otherwise; the baseline's are
    always contenders of their own.
    """
    known = _shared_cell_keys([*runs, *baseline])
    found: list[Contender] = []
    for run, is_baseline in [*((run, False) for run in runs), *((run, True) for run in baseline)]:
        for trials in _by_model(run):
            keyed = {_key(run.probe, asked, known): asked for asked in trials}
            new = Contender(trials[0].result.model, trials[0].identity, [run.id], is_baseline, keyed)
            same = next((each for each in found if _is_same(each, new)), None)
            if same is None:
                found.append(new)
            else:
                _add(same, new)
    labels = named([(each.model, each.identity, each.runs[0], each.is_baseline) for each in found])
    for contender, label in zip(found, labels, strict=True):
        contender.label = label
    return found


def asked_alike(runs: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """Runs of one probe in groups: those that share a question stand in one, in the order of their first.

    What stands in different groups has nothing in common that could be compared: other tasks, lengths or seeds. A
    control, such as a question without its text, is the same in many experiments and makes none of them alike.
    """
    known = _shared_cell_keys(runs)
    groups: list[tuple[list[ComparedRun], set[Key]]] = []
    for run in runs:
        questions = (asked for asked in run.trials if asked.result.trial.cell.get("control") is None)
        group, keys = [run], {_key(run.probe, asked, known) for asked in questions}
        apart = []
        for there, theirs in groups:
            if keys & theirs:
                group, keys = [*there, *group], keys | theirs
            else:
                apart.append((there, theirs))
        groups = [*apart, (group, keys)]
    place = {id(run): number for number, run in enumerate(runs)}
    ordered = [sorted(group, key=lambda run: place[id(run)]) for group, _ in groups]
    return sorted(ordered, key=lambda group: place[id(group[0])])


def identical_trials(contenders: Sequence[Contender]) -> list[Key]:
    """The trials that all contenders were asked, in the order of the first.

    Raises:
        UserError: there is none.
    """
    first, *others = contenders
    common = [key for key in first.trials if all(key in other.trials for other in others)]
    if common:
        return common
    prompts = set.intersection(*({key[0] for key in each.trials} for each in contenders))
    why = (
        "they share prompts, but not what the trials say of them"
        if prompts
        else "not one prompt is the same bytes for all of them"
    )
    counts = "; ".join(f"{each.label}: {len(each.trials):,} trials" for each in contenders)
    raise UserError(
        f"nothing was asked of all contenders alike: {why} ({counts})",
        hint="compare runs of one experiment: the same options and --seed make the same prompts for every model",
    )


def pairs_of(contenders: Sequence[Contender]) -> list[tuple[int, int]]:
    """Who is compared with whom, by number: each with each other, or each with its own model in the baseline.

    A model that the baseline does not name is held against the baseline's only one.

    Raises:
        UserError: the baseline has several models, and not one of them is clearly the one to be held against.
    """
    baseline = [number for number, each in enumerate(contenders) if each.is_baseline]
    if not baseline:
        return list(combinations(range(len(contenders)), 2))
    pairs = []
    for number, each in enumerate(contenders):
        if each.is_baseline:
            continue
        own = [other for other in baseline if contenders[other].model == each.model]
        exact = [other for other in own if contenders[other].identity == each.identity]
        against = next((some for some in (exact, own, baseline) if len(some) == 1), None)
        if against is None:
            labels = ", ".join(contenders[other].label for other in own or baseline)
            raise UserError(
                f"{each.label} could be held against several models of the baseline: {labels}",
                hint="give a baseline with one model, or one with the same models",
            )
        pairs.append((number, against[0]))
    return pairs


def is_same_answer(first: Result, second: Result) -> bool:
    """Whether two results hold one and the same answer, with its time to the microsecond: kept, not given twice."""
    if first.completion is None or second.completion is None or first.trial_id != second.trial_id:
        return False
    bare = [replace(completion, raw={}, request_id=None) for completion in (first.completion, second.completion)]
    return bare[0] == bare[1]


def _shared_cell_keys(runs: Iterable[ComparedRun]) -> set[str]:
    """What the cells of every run speak of: what only later versions say describes the same bytes."""
    spoken = [{key for asked in run.trials for key in whole(run.probe, asked.result.trial.cell)} for run in runs]
    return set.intersection(*spoken)


def _by_model(run: ComparedRun) -> list[list[Asked]]:
    groups: dict[tuple[str, str], list[Asked]] = {}
    for asked in run.trials:
        groups.setdefault((asked.result.model, canonical_json(dict(asked.identity))), []).append(asked)
    return list(groups.values())


def _key(probe: str, asked: Asked, known: set[str]) -> Key:
    trial = asked.result.trial
    cell = {key: value for key, value in whole(probe, trial.cell).items() if key in known}
    return asked.prompt, trial.request.continuation, canonical_json(cell)


def _is_same(known: Contender, new: Contender) -> bool:
    """Whether two runs speak of one contender: the same model, and no trial of both was answered otherwise."""
    if (known.model, known.is_baseline) != (new.model, new.is_baseline) or known.identity != new.identity:
        return False
    both = known.trials.keys() & new.trials.keys()
    return all(_agree(known.trials[key].result, new.trials[key].result) for key in both)


def _agree(first: Result, second: Result) -> bool:
    """Whether two results are of the same request, and not two answers to it."""
    if first.trial_id != second.trial_id:
        return False
    return first.completion is None or second.completion is None or is_same_answer(first, second)


def _add(contender: Contender, more: Contender) -> None:
    """Take in the trials of another run, and of a trial that both have the one with an answer."""
    contender.runs += [run for run in more.runs if run not in contender.runs]
    answered = {key: asked for key, asked in more.trials.items() if asked.result.completion is not None}
    contender.trials = {**more.trials, **contender.trials, **answered}
