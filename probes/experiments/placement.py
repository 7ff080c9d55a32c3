"""Instruction placement: the same instruction before a text, after it, at both ends or elsewhere, each with controls.

    options -> for each length and block: a text with its facts -> for each arm: messages -> answers and margins

The text is prose, or a conversation, as a transcript or as real turns. Facts stand in it, in made-up texts ten, one in
each tenth. Generated answers tell which facts a summary keeps. For models that give log-probabilities, the margin of
each fact tells how available it is: the same stem is put in the model's mouth in every arm, and the right value is
compared with those of the others.

What can be chosen stands in placement_options.py, what is said in placement_tasks.py, how an arm becomes messages in
placement_frames.py, where texts and facts come from in placement_texts.py and placement_files.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probes.experiments.common import Ruler
from probes.experiments.placement_files import read_sources
from probes.experiments.placement_frames import Framed, frame_chat, frame_text
from probes.experiments.placement_options import (
    ARMS,
    CONTRASTS,
    DEFAULT_ARMS,
    INSTRUCTED,
    Arm,
    Measure,
    PlacementOptions,
    declared_contrasts,
)
from probes.experiments.placement_tasks import Facts, Framing, Task, Wording, own_wording, task_wording
from probes.experiments.placement_texts import (
    FACTS,
    KINDS,
    THING,
    Material,
    Source,
    facts_of_block,
    generated_source,
    material,
    williams_row,
)
from probes.models.base import Message, Request
from probes.plan import Plan, PlannedTrial
from tokenizer.errors import UsageError

__all__ = [
    "ARMS",
    "CONTRASTS",
    "DEFAULT_ARMS",
    "FACTS",
    "INSTRUCTED",
    "KINDS",
    "THING",
    "Arm",
    "Framing",
    "Measure",
    "PlacementOptions",
    "Task",
    "declared_contrasts",
    "plan_placement",
    "williams_row",
]


def plan_placement(options: PlacementOptions, ruler: Ruler) -> Plan:
    """Every request of the experiment, in the order of lengths, blocks, arms, and within an arm answers before margins.

    Raises:
        UsageError: a length is a share of a window still; a file of the user's cannot be read or has another shape.
        UserError: a document of the user's is not fit for this.
    """
    planner = _Planner(
        options, ruler, tuple(read_sources(options.document, options.framing, ruler)), _wordings(options)
    )
    trials = tuple(planner.trials())
    spec = options.model_dump(mode="json") | {
        "outcome": "margin where the model gives log-probabilities, coverage otherwise",
        "contrasts": [list(pair) for pair in declared_contrasts(options.place)],
        "declared": options.declared(blocks=len({trial.block for trial in trials})),
    }
    return Plan("placement", spec, trials)


@dataclass(frozen=True, slots=True)
class _Planner:
    """The plan of one experiment in the making; `own`: the user's own texts; `wordings`: by whose facts they hold."""

    options: PlacementOptions
    ruler: Ruler
    own: tuple[Source, ...]
    wordings: Mapping[Facts, Wording]

    def trials(self) -> Iterator[PlannedTrial]:
        """The trials of all lengths and blocks."""
        if self.own:
            yield from self._own_trials()
            return
        for length in self.options.lengths:
            if isinstance(length, str):
                raise UsageError(
                    f"{length} of a window that is not known", hint="name the model, or give --lengths in tokens"
                )
            for block in range(self.options.blocks):
                seed = f"document/{self.options.seed}/{block}"
                source = generated_source(self.options.framing, seed, length, self.ruler)
                facts = facts_of_block(self.options.seed, block, typed=self.options.facts == "typed")
                found = material(source, self.options.framing, facts)
                yield from self._block_trials(found, length, block)

    def _own_trials(self) -> Iterator[PlannedTrial]:
        """The trials of the user's texts: one block for each that has facts, else as many as are asked for, in turn.

        Their length, by which tables are grouped, is the mean of them all.
        """
        options, own = self.options, self.own
        if len(own) > options.blocks:
            raise UsageError(
                f"{options.blocks} blocks are too few for {len(own)} documents",
                hint=f"each takes one at least: give --blocks {len(own)}, or more",
            )
        if options.facts == "typed" and all(source.given for source in own):
            raise UsageError(
                "--facts typed is for facts that are planted, and every document has facts of its own",
                hint="leave it out; a fact of a document says its kind itself",
            )
        texts = tuple(source.haystack.text for source in own)
        made = []
        for block in range(options.blocks):
            source = own[block % len(own)]
            if source.given and block >= len(own):
                continue  # its facts cannot be moved, so that it would be the same text again
            typed = options.facts == "typed"
            # Each document has a square of its own, so that every fact visits every tenth of it.
            number = block // len(own) + FACTS * (block % len(own))
            facts = () if source.given else facts_of_block(options.seed, number, typed=typed, texts=texts)
            made.append((block, material(source, options.framing, facts)))
        length = round(sum(found.tokens for _, found in made) / len(made))
        for block, found in made:
            yield from self._block_trials(found, length, block)

    def _block_trials(self, found: Material, length: int, block: int) -> Iterator[PlannedTrial]:
        """The trials of one text in every arm."""
        options, wording = self.options, self.wordings["given" if found.is_given else "planted"]
        about = _cell_of_text(found, length, block, options.framing, wording)
        for arm in options.place:
            framed = (
                frame_chat(arm, found.turns, wording)
                if found.turns
                else frame_text(arm, options.framing, found.text, wording)
            )
            cell = about | {
                "arm": arm,
                "instruction_offsets": list(framed.instruction_offsets),
                "document_offset": framed.document_offset,
            }
            if "coverage" in options.measure:
                yield from self._answers(block, framed, cell)
            if "margin" in options.measure:
                yield from self._margins(block, framed, found, cell)

    def _answers(self, block: int, framed: Framed, cell: Mapping[str, Any]) -> Iterator[PlannedTrial]:
        """An answer for each temperature and sample."""
        for temperature in self.options.temperature or (None,):
            for sample in range(self.options.samples):
                request = Request(
                    framed.messages, max_tokens=self.options.max_tokens, temperature=temperature, sample=sample
                )
                added = {"measure": "coverage", "temperature": temperature, "sample": sample}
                yield PlannedTrial(block, request, {**cell, **added})

    def _margins(self, block: int, framed: Framed, found: Material, cell: Mapping[str, Any]) -> Iterator[PlannedTrial]:
        """Every value after the stem of every fact."""
        for asked, fact in enumerate(found.facts):
            messages = (*framed.messages, Message("assistant", fact.stem))
            for offered, other in enumerate(found.facts):
                request = Request(messages, continuation=f" {other.value}")
                yield PlannedTrial(block, request, {**cell, "measure": "margin", "asked": asked, "offered": offered})


def _wordings(options: PlacementOptions) -> dict[Facts, Wording]:
    """What is said, by whose facts the text holds; an instruction of the user's is the same for both."""
    whose: tuple[Facts, Facts] = ("planted", "given")
    if options.instruction_file is not None:
        return dict.fromkeys(whose, own_wording(options.instruction_file))
    return {facts: task_wording(options.task, options.framing, facts) for facts in whose}


def _cell_of_text(found: Material, length: int, block: int, framing: Framing, wording: Wording) -> dict[str, Any]:
    """What the cells of one text have in common."""
    cell: dict[str, Any] = {
        "block": block,
        "length_tokens": length,
        "document_tokens": found.tokens,
        "framing": framing,
        "task": wording.task,
        "names": [fact.name for fact in found.facts],
        "values": [fact.value for fact in found.facts],
        "positions": list(found.positions),
    }
    optional = {
        "speakers": list(found.speakers),
        "kinds": list(found.kinds or ()),
        "constraints": dict(wording.constraints or {}),
        "document": found.name,
    }
    return cell | {key: value for key, value in optional.items() if value}
