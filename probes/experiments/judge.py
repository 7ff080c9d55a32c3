"""A second reading of the written answers of a placement run: a judge says of each which facts it holds.

    a placement run's answers -> one question an answer, blind to the arm -> a run of its own -> judge_results.py

A judge's calls are trials like any other, in a run of their own that names the run whose answers it reads. Each trial's
cell holds the answer that is judged, so that the run's prompts can be made again from nothing but its own rows. Two
answers that say the same of the same facts make the same prompt, whatever arm they came from: it is asked once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.answers import without_thinking
from probes.draws import Draws
from probes.experiments.judge_prompt import HIGHEST, JUDGE, LOWEST, facts_in_order, judge_prompt, prompt_hash
from probes.experiments.placement_outcomes import least_measurable, read_outcomes, setting_of
from probes.experiments.placement_summary import SCORER, read_summary
from probes.models.base import Message, Request
from probes.plan import Plan, PlannedTrial, Result
from tokenizer.errors import UserError

PROBE, MEASURE = "judge", "verdict"
LEAST_TOKENS, TOKENS_A_FACT = 512, 16  # of a judge's answer, where nobody says how long it may be
_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{6,8})$")
_KEPT_OF_SPEC = ("framing", "task", "contrasts")


def plan_judge(
    run_id: str,
    spec: Mapping[str, Any],
    results: Sequence[Result],
    *,
    max_tokens: int | None = None,
    where: Sequence[str] = (),
) -> Plan:
    """One question for each written answer of a placement run that its coverage counts, in an order drawn by its seed.

    Calls that failed, refusals and what was never asked have no answer to judge; the spec says how many there were.
    Where fewer answers are summaries than coverage takes, the spec says so as well (`not_measurable`), for which the
    results must hold their prompts. `where`: what the results were chosen by, to be kept. `max_tokens`: the most tokens
    of a verdict, by itself as many as its lines take and some to think.

    Raises:
        UserError: there is no answer to judge.
    """
    seed, left_out, cells = spec["seed"], Counter[str](), []
    written = [result for result in results if result.trial.cell["measure"] == "coverage"]
    for result in written:
        summary = read_summary(result.completion, result.trial)
        if result.completion is None:
            left_out["error" if result.error_kind else "missing"] += 1
        elif not summary.readable:
            left_out[summary.outcome] += 1
        else:
            cells.append(_cell(result, without_thinking(result.completion.text), summary.covered, seed))
    if not cells:
        raise UserError(
            f"run {run_id} holds no written answer that could be judged",
            hint="a judge reads answers of `probe placement`, asked for with --measure coverage",
        )
    facts = max(len(cell["names"]) for cell in cells)
    kept = {
        "judged_run": run_id,
        "judged_models": list(dict.fromkeys(cell["judged_model"] for cell in cells)),
        "where": list(where),
        "answers": len(cells),
        "not_judged": dict(sorted(left_out.items())),
        "not_measurable": _not_measurable(written),
        "scorer": SCORER,
        "prompt": JUDGE,
        "prompt_sha256": prompt_hash(),
        "scale": [LOWEST, HIGHEST],
        "seed": seed,
        "blocks": len({cell["block"] for cell in cells}),
        "lengths": list(dict.fromkeys(cell["length_tokens"] for cell in cells)),
        "max_tokens": max_tokens or max(LEAST_TOKENS, TOKENS_A_FACT * facts),
        **{key: spec[key] for key in _KEPT_OF_SPEC if key in spec},
    }
    return plan_of_cells(kept, Draws(f"judge/{seed}").shuffled(cells))


def _not_measurable(written: Sequence[Result]) -> list[dict[str, Any]]:
    """The settings in which too few answers of some arm are summaries for any coverage to mean something."""
    return [
        setting._asdict() | least._asdict()
        for setting, blocks in read_outcomes(written).items()
        if (least := least_measurable(blocks)) is not None and not least.measurable
    ]


def plan_of_cells(spec: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> Plan:
    """The plan of a judge's run from its spec and the cells of its trials, in their order."""
    return Plan(PROBE, spec, tuple(_trial(cell, spec) for cell in cells))


def _cell(result: Result, answer: str, kept: Sequence[int], seed: int) -> dict[str, Any]:
    """What is kept of one answer: where it comes from, the facts, those that the score found, and the answer itself."""
    cell, setting = result.trial.cell, setting_of(result)
    names, values = list(cell["names"]), list(cell["values"])
    return {
        "measure": MEASURE,
        "judged_model": setting.model,
        "block": cell["block"],
        "length_tokens": setting.length_tokens,
        "framing": setting.framing,
        "task": setting.task,
        "temperature": setting.temperature,
        "arm": cell["arm"],
        "sample": cell.get("sample", 0),
        "names": names,
        "values": values,
        "kept": list(kept),
        "order": facts_in_order(names, values, answer, seed),
        "judged": {"trial": result.trial_id, "answer": answer},
    }


def _trial(cell: Mapping[str, Any], spec: Mapping[str, Any]) -> PlannedTrial:
    """The question about one answer. Of the cell it is told the facts and the answer, and nothing else."""
    prompt = judge_prompt(cell["names"], cell["values"], cell["order"], cell["judged"]["answer"], spec["seed"])
    return PlannedTrial(cell["block"], Request((Message("user", prompt),), max_tokens=spec["max_tokens"]), cell)


def writer_like(
    judge: str, identity: Mapping[str, Any], results: Iterable[Result], writers: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """The model under test that a judge is, by its name, by what a server calls it, or by its weights; None if none.

    Names count without their endpoint, parameters and date, so that one model behind two servers, or under an alias,
    is one. `writers`: the identities of the run's models, by their names.

    Example: writer_like("openrouter/acme-7", {}, (), {"acme/acme-7-2025-11-01": {}}) -> "acme/acme-7-2025-11-01"
    """
    names = {name: {_bare(name)} for name in writers}
    for result in results:
        if result.completion and result.completion.model and not result.model.startswith("sim/"):  # all are called sim
            names[result.model].add(_bare(result.completion.model))
    weights = identity.get("weights")
    same = (
        name
        for name, writer in writers.items()
        if _bare(judge) in names[name] or (weights is not None and writer.get("weights") == weights)
    )
    return next(same, None)


def _bare(name: str) -> str:
    """Example: "openai/gpt-5-mini-2025-08-07" -> "gpt-5-mini"; "sim/u-shape?seed=2" -> "u-shape"."""
    return _DATE.sub("", name.partition("?")[0].rpartition("/")[2].lower())
