"""Needle retrieval: statements in a text that says nothing of the kind, and questions whose answers are theirs alone.

    options -> for each length, layout, block: a ground -> Task.plant -> texts and questions -> prompts -> trials

What is asked and what is right stands in needle_tasks.py, how it is put to a model in needle_prompts.py, what can be
chosen in needle_options.py.

Controls tell finding from other things: a question whose answer is not there (`absent`), a question without the text
(`closed-book`), the needles in a text of a few sentences (`short`). The last two are asked once a block.

Lengths are those of the text without its needles, which come on top; both lengths are in the cell.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.context import focused, numbered_excerpts
from probes.experiments.common import Ruler
from probes.experiments.needle_factors import declaration
from probes.experiments.needle_files import OwnNeedle, read_needles
from probes.experiments.needle_forms import FORMS
from probes.experiments.needle_options import (
    CONTROLS,
    NEEDLES,
    NeedleOptions,
    chunks_of,
    layout_depths,
)
from probes.experiments.needle_parts import DIGITS, THING, Ground, Planted, Question, Task
from probes.experiments.needle_prompts import arrange, places_of
from probes.experiments.needle_tasks import find_task
from probes.haystack import CountTokens, Haystack, make_haystack
from probes.models.base import Message, Request
from probes.plan import Plan, PlannedTrial
from probes.statements import Statement, distractor_statements
from tokenizer.errors import UsageError, UserError

__all__ = ["CONTROLS", "NEEDLES", "NeedleOptions", "layout_depths", "plan_needle"]

SHORT_TOKENS = 60  # the text of the control `short`: two or three sentences


def plan_needle(options: NeedleOptions, ruler: Ruler) -> Plan:
    """Every request of the experiment, in the order of lengths, layouts, blocks and questions.

    Raises:
        UsageError: a length is a share of a window still, or there are fewer needles of the user's than depths.
        UserError: a file of the user's cannot be read, or is not fit for this.
    """
    planner = _Planner(
        options, ruler, find_task(options.task), read_needles(options.needles) if options.needles else ()
    )
    if planner.own and planner.task.several and len(planner.own) < len(options.depths):
        raise UsageError(
            f"{options.needles} has {len(planner.own)} needles, and there are {len(options.depths)} depths to fill",
            hint="add needles, or give as many --depths as there are, e.g. --depths 0,50,100",
        )
    trials = [
        trial
        for length in options.lengths
        for layout in options.layout
        for block in range(options.blocks)
        for trial in planner.block_trials(length, layout, block)
    ]
    outcome = "given when asked, by position" if planner.task.several else "right answers, by depth"
    spec = options.model_dump(mode="json") | {"outcome": outcome, "declared": declaration(options)}
    return Plan("needle", spec, tuple(trials))


@dataclass(frozen=True, slots=True)
class View:
    """What a model is shown of a text: the whole, a part, or its pieces, and where each statement stands there."""

    text: str
    offsets: tuple[int | None, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Planner:
    """The plan of one experiment in the making."""

    options: NeedleOptions
    ruler: Ruler
    task: Task
    own: tuple[OwnNeedle, ...]
    haystacks: dict[tuple[int | str, str, int], Haystack] = field(default_factory=dict)
    asked: set[tuple[Any, ...]] = field(default_factory=set)  # the controls so far: none is asked twice

    def block_trials(self, length: int | str, layout: str, block: int) -> Iterator[PlannedTrial]:
        """The trials of one block, its controls last."""
        if isinstance(length, str):
            raise UsageError(
                f"{length} of a window that is not known", hint="name the model, or give --lengths in tokens"
            )
        for structure in self.options.structure:
            ground = self._ground(length, layout, structure, block)
            texts = list(self.task.plant(ground))
            for index, planted in enumerate(texts):
                cell = self._cell(planted, layout, block) | {"length_tokens": length, "structure": structure}
                yield from self._text_trials(planted, cell, block, is_middle=index == len(texts) // 2)
        if "answer" in self.options.measure and (length, layout) == (self.options.lengths[0], self.options.layout[0]):
            yield from self._control_trials(layout, block)

    # ------------------------------------------------------------------------------------------------------ texts

    def _ground(self, length: int | None, layout: str, structure: str, block: int) -> Ground:
        options = self.options
        depths = layout_depths(layout, options.depths)
        distractors = self.task.distractors if options.distractors is None and not self.own else options.distractors
        count = functools.cache(self.ruler.count)

        def haystack(drawn: Sequence[Statement]) -> Haystack:
            key = (options.lengths[0] if length is None else length, structure, block)
            if key not in self.haystacks:
                if len(options.layout) == 1:  # no other layout will ask for the texts of earlier blocks
                    self._forget_but(block)
                self.haystacks[key] = self._haystack(int(key[0]), structure, block, drawn)
                self._check_places(self.haystacks[key], int(key[0]), len(set(depths)))
            return self.haystacks[key] if length else _beginning(self.haystacks[key], SHORT_TOKENS, count)

        return Ground(
            options.seed,
            block,
            length,
            depths,
            options.language,
            distractors or 0,
            self.own,
            haystack,
            count,
            options.ids,
        )

    def _forget_but(self, block: int) -> None:
        for key in [key for key in self.haystacks if key[-1] != block]:
            del self.haystacks[key]

    def _haystack(self, length: int, structure: str, block: int, drawn: Sequence[Statement]) -> Haystack:
        options = self.options
        seed = f"haystack/{options.seed}/{block}"
        more = distractor_statements(THING, digits=DIGITS, seed=f"{seed}/needles", avoid=drawn)
        return make_haystack(
            "files" if options.haystack else options.haystack_style,
            seed,
            length,
            self.ruler.count,
            language=options.language,
            files=options.haystack,
            shuffled=options.shuffle,
            headings=structure == "headings",
            statements=self._statements(more) if options.haystack_style == "needles-only" else None,
        )

    def _statements(self, statements: Iterable[Statement]) -> Iterator[str]:
        """Statements like the task's own, if these have a form of their own."""
        single, own = FORMS["single"], FORMS.get(self.task.name, FORMS["single"])
        form = own[self.options.language].statement or single[self.options.language].statement
        return (form.format(name=each.name, value=each.value) for each in statements)

    def _check_places(self, haystack: Haystack, length: int, needed: int) -> None:
        """Raise UserError for a text with fewer places than depths, or one of the user's of quite another length."""
        tokens, places = haystack.tokens or self.ruler.count(haystack.text), len(haystack.sentence_ends)
        if self.options.haystack and (abs(tokens - length) > length / 5 or places < needed):
            raise UserError(
                f"the haystack has too few sentence ends: the stretch nearest to {length} tokens has {tokens}, and "
                f"{places} places for a needle",
                hint="use a text with sentences, or a greater --lengths",
            )
        if places < needed:
            raise UserError(
                f"a text of {length} tokens has {places} places for a needle, and there are {needed} depths",
                hint="ask for a greater --lengths, or fewer --depths",
            )

    def _view(self, planted: Planted, context: str, about: Sequence[int]) -> View:
        placed = planted.placed
        if context == "whole":
            return View(placed.text, placed.offsets, planted.text_tokens)
        spans = [(offset, offset + len(text)) for offset, text in zip(placed.offsets, planted.statements, strict=True)]
        chunks = chunks_of(context)
        if chunks is not None:
            cut = numbered_excerpts(placed.text, chunks, spans)
            offsets: tuple[int | None, ...] = cut.offsets
        else:
            cut = focused(placed.text, [spans[index] for index in about])
            standing = dict(zip(about, cut.offsets, strict=True))
            offsets = tuple(standing.get(index) for index in range(len(spans)))
        return View(cut.text, offsets, self.ruler.count(cut.text))

    # ----------------------------------------------------------------------------------------------------- trials

    def _text_trials(
        self, planted: Planted, cell: Mapping[str, Any], block: int, *, is_middle: bool
    ) -> Iterator[PlannedTrial]:
        """Every question about one text, in every context and every way of asking.

        What is absent is asked of one text a block, the middle one; its likelihoods are taken in each, for comparison.
        """
        questions = [each for each in planted.questions if not each.absent or "absent" in self.options.controls]
        repeats = len(questions) * self.options.samples * max(len(self.options.temperature), 1)
        shares = repeats > 1 or "likelihood" in self.options.measure
        for context in self.options.context:
            view = None if context == "focused" else self._view(planted, context, ())
            for style in self.options.prompt_style:
                for place in places_of(style, self.options.place):
                    arm = {**cell, "context": context, "prompt_style": style, "place": place}
                    for question in questions:
                        shown = view or self._view(planted, context, _about(planted, question, block))
                        measures = [
                            measure
                            for measure in self.options.measure
                            if measure == "likelihood" or is_middle or not question.absent
                        ]
                        yield from self._trials(planted, question, arm, shown, measures, shares=shares)

    def _control_trials(self, layout: str, block: int) -> Iterator[PlannedTrial]:
        """One question a block without the text, and one in a text of a few sentences, in every way of asking."""
        kinds = [control for control in ("closed-book", "short") if control in self.options.controls]
        if not kinds:
            return
        texts = list(self.task.plant(self._ground(None, layout, self.options.structure[0], block)))
        planted = texts[len(texts) // 2]
        present = [each for each in planted.questions if not each.absent]
        question = present[block // len(present) % len(present)]
        cell = self._cell(planted, layout, block) | {"structure": self.options.structure[0], "context": "whole"}
        for control in kinds:
            view = self._view(planted, "whole", ()) if control == "short" else None
            length = SHORT_TOKENS if view else 0
            for style in self.options.prompt_style:
                for place in places_of(style, self.options.place):
                    arm = {**cell, "control": control, "length_tokens": length, "prompt_style": style, "place": place}
                    for trial in self._trials(planted, question, arm, view, ["answer"], shares=False):
                        request = trial.request
                        key = (request.messages, request.temperature, request.sample)
                        if key not in self.asked:
                            self.asked.add(key)
                            yield trial

    def _trials(
        self,
        planted: Planted,
        question: Question,
        arm: Mapping[str, Any],
        view: View | None,
        measures: Sequence[str],
        *,
        shares: bool,
    ) -> Iterator[PlannedTrial]:
        """The requests of one question in one arm: its samples at every temperature, the values offered."""
        options = self.options
        prompt = arrange(arm["prompt_style"], arm["place"], self.task, question, view.text if view else None)
        asked = question.asked if view else None
        start, offset = prompt.text_start, view.offsets[asked] if view and asked is not None else None
        cell = {
            **arm,
            "haystack_tokens": planted.haystack_tokens if view else 0,
            "text_tokens": view.tokens if view else 0,
            "asked": question.asked,
            "depth": planted.depths[asked] if asked is not None else None,
            "actual_depth": round(planted.placed.depths[asked], 4) if asked is not None else None,
            "offset": offset + start if offset is not None and start is not None else None,
            "name": question.name,
            "right": list(question.right),
            "answer": question.answer,
            "expected": list(question.expected),
        }
        if question.absent:
            cell["control"] = "absent"
        cache_prefix = prompt.shared if shares else 0
        if "answer" in measures:
            for temperature in options.temperature or (None,):
                for sample in range(options.samples):
                    request = Request(
                        prompt.messages,
                        max_tokens=options.max_tokens,
                        temperature=temperature,
                        sample=sample,
                        cache_prefix=cache_prefix,
                    )
                    yield PlannedTrial(arm["block"], request, {**cell, "temperature": temperature, "sample": sample})
        if "likelihood" in measures:
            messages = (*prompt.messages, Message("assistant", question.stem))
            for offered, value in enumerate(planted.values):
                request = Request(messages, continuation=f" {value}", cache_prefix=cache_prefix)
                yield PlannedTrial(arm["block"], request, {**cell, "measure": "likelihood", "offered": offered})

    def _cell(self, planted: Planted, layout: str, block: int) -> dict[str, Any]:
        """What the cells of one text have in common."""
        several = [round(depth, 4) for depth in planted.depths[: planted.needles]]
        return {
            "block": block,
            "task": self.task.name,
            "layout": layout if self.task.several else "-",
            "control": None,
            "measure": "answer",
            "temperature": None,
            "sample": 0,
            "values": list(planted.values),
            "needles": min(planted.needles, len(planted.values)),
            "depths": several,
        }


def _beginning(haystack: Haystack, length: int, count: CountTokens) -> Haystack:
    """The first sentences of a text, until they have so many tokens."""
    start = haystack.sentence_ends[0]  # after a heading, where the text begins with one
    last = next(
        (end for end in haystack.sentence_ends if count(haystack.text[start:end]) >= length), len(haystack.text)
    )
    inside = tuple(end for end in haystack.sentence_ends if end <= last)
    plain = haystack.plain_ends and haystack.plain_ends[: len(inside)]
    return Haystack(haystack.text[:last], inside, count(haystack.text[:last]), plain)


def _about(planted: Planted, question: Question, block: int) -> list[int]:
    """The statements that a focused text shows: those asked for; any one where there is no answer."""
    if question.answer != "one":
        return list(range(planted.needles))
    return [question.asked if question.asked is not None else block % planted.needles]
