"""The prompts and answers that a report shows: one of each kind, shortened around what was planted."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from probes.plan import Result
from probes.report.data import Exchange, Material, Piece
from probes.scoring import Wanted, mentions
from probes.trial_rows import judged

MOST_TEXT = 3_000  # characters of a message or an answer; longer ones lose their middle
AROUND = 160  # characters shown on either side of a planted value that stands in the part left out
MOST_VALUES = 12
KNOWN = ("needle", "placement")  # probes whose answers can be judged here
KIND = ("arm", "control", "depth", "place", "measure", "framing", "task")
MEASURED_AMONG = 2  # log-probabilities are all alike: so many are enough where answers were written as well


class _Tried(NamedTuple):
    """A trial that was asked: its place in the plan, its result, and what became of it in words."""

    position: int
    result: Result
    outcome: str

    @property
    def is_measured(self) -> bool:
        """Whether a log-probability was asked for, and no answer."""
        return self.result.trial.request.continuation is not None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What is alike in trials of which one is shown before the second of any; how many facts are kept is not."""
        cell = self.result.trial.cell
        outcome = "facts" if self.outcome.endswith("facts") else self.outcome
        about = (str(cell.get(name)) for name in KIND)
        return (self.is_measured, self.result.model, cell.get("length_tokens"), *about, outcome)


def exchanges(material: Material, most: int) -> tuple[list[Exchange], str]:
    """Up to `most` prompts with their answers, and in words how many are left out.

    The first of each kind in the order of the plan, a kind being the model, the length, the arm or depth and the
    verdict; then the kinds' next ones. Log-probabilities come last, as there are so many of them.
    """
    if most < 1:
        return [], ""
    kinds: dict[tuple[Any, ...], list[_Tried]] = {}
    tried = 0
    for position, result in enumerate(material.results):
        if result.completion is None and result.error_kind is None:
            continue
        tried += 1
        each = _Tried(position, result, _outcome(material, result))
        kinds.setdefault(each.kind, []).append(each)
    chosen = sorted(_in_turn(list(kinds.values()), most), key=lambda each: each.position)
    shown = [_exchange(material, each) for each in chosen]
    left_out = ""
    if len(shown) < tried:
        left_out = (
            f"{len(shown)} of {tried:,} are shown, the first of each kind: model, length, arm or depth, and outcome. "
            f"All of them: needlepoint runs show {material.id} --prompts --answers -n {tried}"
        )
    return shown, left_out


def _in_turn(groups: Sequence[Sequence[_Tried]], most: int) -> list[_Tried]:
    """The first of every group, then the second of every group, until there are enough; log-probabilities after all."""
    written = [group for group in groups if not group[0].is_measured]
    measured = [group for group in groups if group[0].is_measured]
    room = max(most - min(MEASURED_AMONG, len(measured)), 1) if written else most
    turns = list(islice(_round(written), room))
    return turns + list(islice(_round(measured), most - len(turns)))


def _round(groups: Sequence[Sequence[_Tried]]) -> Iterator[_Tried]:
    for turn in range(max(map(len, groups), default=0)):
        for group in groups:
            if turn < len(group):
                yield group[turn]


def _outcome(material: Material, result: Result) -> str:
    """What became of a trial, in a word or two; no more than that it was answered where it cannot be judged here."""
    if result.trial.request.continuation is not None:
        return "log-probability" if result.completion is not None else "error"
    lacks_prompt = material.probe == "placement" and not result.trial.request.messages  # it tells what is copied
    if material.probe not in KNOWN or lacks_prompt:
        return "answered" if result.completion is not None else "error"
    verdict = judged(material.probe, result)
    if material.probe == "placement" and verdict.outcome in ("hit", "miss"):
        return f"{len(verdict.given or ())} of {len(result.trial.cell['names'])} facts"
    return verdict.outcome or "answered"


def _exchange(material: Material, tried: _Tried) -> Exchange:
    result, cell = tried.result, tried.result.trial.cell
    planted = [str(value) for value in cell.get("values", ())][:MOST_VALUES]
    asked = cell.get("asked")
    if material.probe == "needle":
        planted = list(Wanted.from_cell(cell).accepted)[:MOST_VALUES]
    elif isinstance(asked, int):
        planted = [str(cell["values"][asked])]
    messages = [
        (message.role, excerpt(message.content, planted)) for message in material.prompts.get(result.trial_id, ())
    ]
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in _facts(cell).items())
    return Exchange(
        name=f"Trial {tried.position}: {_place(cell)}{tried.outcome} ({result.model}, text {result.trial.block})",
        facts=facts,
        messages=messages,
        answer=_answer(result, planted),
        answer_facts=_answer_facts(result),
    )


def _place(cell: Mapping[str, Any]) -> str:
    """Where things stand in a trial: "before, ", "depth 50%, ", "closed-book, "."""
    if arm := cell.get("arm"):
        return f"arm {arm}, "
    if control := cell.get("control"):
        return f"{control}, "
    return "" if cell.get("depth") is None else f"depth {100 * cell['depth']:.0f}%, "


def _facts(cell: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("length_tokens", "arm", "measure", "control", "depth", "actual_depth", "place", "layout", "name", "asked")
    return {key: cell[key] for key in kept if cell.get(key) is not None}


def _answer(result: Result, planted: Sequence[str]) -> list[Piece]:
    if result.completion is None:
        return [Piece("gap", f"no answer: {result.error_kind}, {result.error_text}")]
    if result.trial.request.continuation is not None:
        total = sum(one.logprob for one in result.completion.logprobs or ())
        return [
            Piece("gap", f"{total:.3f} nats for the continuation"),
            Piece("text", result.trial.request.continuation),
        ]
    return excerpt(result.completion.text, planted) or [Piece("gap", "nothing")]


def _answer_facts(result: Result) -> str:
    if result.completion is None:
        return ""
    usage = result.completion.usage
    counts = [
        f"{count:,} {words}"
        for count, words in ((usage.input_tokens, "tokens in"), (usage.output_tokens, "out"))
        if count
    ]
    return ", ".join([*counts, f"{result.completion.latency_s:.2f} s", f"ended by {result.completion.stop_reason}"])


def excerpt(text: str, marked: Sequence[str], most: int = MOST_TEXT) -> list[Piece]:
    """A text in pieces: planted values marked, and of a long text the beginning, the end and what stands around these.

    Example: excerpt("The code is 42.", ["42"]) -> text "The code is ", mark "42", text "."
    """
    spots = sorted({(start, start + len(value)) for value in marked if value for start in mentions(text, value)})
    shown = [(0, len(text))]
    if len(text) > most:
        around = [(max(0, start - AROUND), min(len(text), end + AROUND)) for start, end in spots[:MOST_VALUES]]
        shown = _merged([(0, most // 2), *around, (len(text) - most // 2, len(text))])
    pieces: list[Piece] = []
    reached = 0
    for start, end in shown:
        if start > reached:
            pieces.append(Piece("gap", f"{start - reached:,} characters left out"))
        at = start
        for first, last in spots:
            if at <= first and last <= end:
                pieces += [Piece("text", text[at:first]), Piece("mark", text[first:last])]
                at = last
        pieces.append(Piece("text", text[at:end]))
        reached = end
    return [piece for piece in pieces if piece.text]


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch as one. Example: [(0, 5), (8, 9), (4, 6)] -> [(0, 6), (8, 9)]."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
