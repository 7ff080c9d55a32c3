"""`runs show --prompts --answers --attempts`: single trials, as blocks for people and as rows for programs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.output import Column, OutputOptions, Table, emit, new_console, on_terminal, print_tables
from cli.tables import Row, machine_table
from cli.visible import visible
from probes.models.base import Message
from probes.prices import NANO
from probes.scoring import Wanted
from probes.store_rows import AttemptRow, TrialRow
from probes.trial_rows import CELL, flat_cell, judged, keys_of, trial_row

if TYPE_CHECKING:
    from rich.console import Console

Prompts = Mapping[str, tuple[Message, ...]]

BLOCKS_SHOWN = 10
CANNOT = "cannot be made again as it was sent; `needlepoint runs verify` says why"
NAMING = ("position", "trial", "model", "block", "state", "outcome")
ATTEMPT_KEYS = (
    "position",
    "trial",
    "model",
    "call",
    "status",
    "started_utc",
    "latency_s",
    "cost_usd",
    "reserved_usd",
    "error_kind",
    "error_text",
    "request_id",
)


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials to be shown: of a run of this probe, with their prompts by hash, and the calls that the run made.

    `prompts`, `attempts`: None where they were not asked for; a prompt that is not among them cannot be made again.
    """

    run: str
    probe: str
    trials: Sequence[TrialRow]
    answers: bool
    prompts: Prompts | None
    attempts: Sequence[AttemptRow] | None


def emit_trials(found: Trials, meta: Row, output: OutputOptions, *, limit: int | None) -> None:
    """Show trials: at the most `limit`, by itself ten for people and all for programs."""
    shown = found.trials[:limit] if limit else found.trials
    tables = list(_tables(found, shown, meta))
    emit(tables, output, human=lambda: _show_people(found, limit) if on_terminal() else print_tables(tables))


def _tables(found: Trials, shown: Sequence[TrialRow], meta: Row) -> Iterator[Table]:
    if found.answers or found.prompts is not None:
        rows = [_machine_row(found, trial) for trial in shown]
        keys = [key for key in keys_of(rows, full=False) if any(key in row for row in rows)]
        if found.answers:
            keys = keys_of(rows, full=False)
        keys += ["prompt", "messages"] if found.prompts is not None else []
        columns = [Column(key, key) for key in keys]
        yield Table("runs show", columns, rows, meta=meta, title="Trials", name="trial")
    if found.attempts is not None:
        table = machine_table("runs show", "call", _attempt_rows(shown, found.attempts), title="Calls", meta=meta)
        yield Table(
            table.command, [Column(key, key) for key in ATTEMPT_KEYS], table.rows, meta, table.title, (), "call"
        )


def _machine_row(found: Trials, trial: TrialRow) -> dict[str, Any]:
    row = trial_row(found.probe, trial)
    if not found.answers:
        row = {key: value for key, value in row.items() if key in NAMING or key.startswith(CELL)}
    if found.prompts is not None:
        messages = found.prompts.get(trial.prompt_hash)
        row["prompt"] = "changed" if messages is None else "as sent"
        row["messages"] = messages and [{"role": one.role, "content": one.content} for one in messages]
    return row


def _attempt_rows(trials: Sequence[TrialRow], attempts: Sequence[AttemptRow]) -> list[dict[str, Any]]:
    calls = _by_trial(attempts)
    rows = []
    for trial in trials:
        for number, call in enumerate(calls.pop(trial.result.trial_id, ()), 1):
            row = {
                "position": trial.position,
                "trial": call.trial_id,
                "model": trial.result.model,
                "call": number,
                "status": call.status,
                "started_utc": call.started_utc,
                "latency_s": call.latency_s,
                "cost_usd": _usd(call.cost_nano_usd),
                "reserved_usd": _usd(call.reserved_nano_usd),
                "error_kind": call.error_kind,
                "error_text": call.error_text,
                "request_id": call.request_id,
            }
            rows.append(row)
    return rows


def _by_trial(attempts: Sequence[AttemptRow]) -> dict[str, list[AttemptRow]]:
    calls: dict[str, list[AttemptRow]] = defaultdict(list)
    for call in attempts:
        calls[call.trial_id].append(call)
    return calls


def _usd(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO


# ---------------------------------------------------------------------------------------------------- for people


def _show_people(found: Trials, limit: int | None) -> None:
    console = new_console(highlight=False)
    shown = found.trials[: limit or BLOCKS_SHOWN]
    calls = _by_trial(found.attempts or ())
    for trial in shown:
        _show_trial(console, found, trial, calls.get(trial.result.trial_id, []))
    if len(shown) < len(found.trials):
        _line(console, f"{len(shown)} of {len(found.trials):,} trials; more with -n, fewer with --where KEY=VALUE", 0)


def _show_trial(console: "Console", found: Trials, trial: TrialRow, calls: Sequence[AttemptRow]) -> None:
    result = trial.result
    outcome = judged(found.probe, result).outcome or trial.state
    _line(console, f"trial {trial.position}: {outcome}  {result.model}, block {result.trial.block}", 0, style="bold")
    cell = {key.removeprefix(CELL): value for key, value in flat_cell(result.trial.cell).items()}
    facts = (f"{key} {value}" for key, value in cell.items() if value is not None)
    _line(console, ", ".join(facts), 2, style="dim")
    if found.prompts is not None:
        _show_prompt(console, trial, found.prompts.get(trial.prompt_hash))
    if found.answers:
        _show_answer(console, found, trial)
    if found.attempts is not None:
        _show_calls(console, found.run, trial, calls)
    console.print()


def _show_prompt(console: "Console", trial: TrialRow, messages: Sequence[Message] | None) -> None:
    if messages is None:
        _line(console, f"prompt: {CANNOT}", 2)
        return
    for message in messages:
        _line(console, f"prompt, {message.role}, {len(message.content):,} characters:", 2)
        _line(console, message.content, 4)
    if (continuation := trial.result.trial.request.continuation) is not None:
        _line(console, f"continuation: {continuation!r}", 2)


def _show_answer(console: "Console", found: Trials, trial: TrialRow) -> None:
    result, completion = trial.result, trial.result.completion
    if completion is None:
        what = f"{result.error_kind}: {result.error_text}" if result.error_kind else "not asked yet"
        _line(console, f"no answer, {what}", 2)
        return
    if result.trial.request.continuation is not None:
        total = sum(one.logprob for one in completion.logprobs or ())
        _line(console, f"log-probability {total:.3f} nats, of {result.trial.request.continuation!r}", 2)
        return
    tokens = "" if completion.usage.output_tokens is None else f"{completion.usage.output_tokens:,} tokens, "
    again = "" if trial.answered_by in (None, found.run) else f", from run {trial.answered_by}"
    _line(console, f"answer, {tokens}{completion.latency_s:.2f} s, ended by {completion.stop_reason}{again}:", 2)
    _line(console, completion.text or "(nothing)", 4)
    if found.probe == "needle" and (verdict := judged(found.probe, result)).outcome:
        wanted = Wanted.from_cell(result.trial.cell)
        given = ", ".join(wanted.values[number] for number in verdict.given or ()) or "none of the values"
        _line(console, f"given: {given}; right: {', '.join(wanted.accepted) or 'to give none'}", 2)


def _show_calls(console: "Console", run: str, trial: TrialRow, calls: Sequence[AttemptRow]) -> None:
    if not calls:
        by = f", it was answered in run {trial.answered_by}" if trial.answered_by not in (None, run) else ""
        _line(console, f"no call in this run{by}", 2)
    for number, call in enumerate(calls, 1):
        latency = "" if call.latency_s is None else f", {call.latency_s:.2f} s"
        cost = "" if not call.cost_nano_usd else f", ${call.cost_nano_usd / NANO:.6f}"
        error = "" if call.error_kind is None else f", {call.error_kind}: {call.error_text}"
        _line(console, f"call {number}: {call.status} at {call.started_utc}{latency}{cost}{error}", 2)


def _line(console: "Console", text: str, indent: int, *, style: str = "") -> None:
    """Text from wherever, made harmless, wrapped at the console's width inside its indent."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Padding(Text(visible(text), style=style, overflow="fold"), (0, 0, 0, indent), expand=False))
