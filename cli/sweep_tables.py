"""What `tok sweep` shows: a row for each size, the sizes that are best for something, and the curves in characters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from cli.amounts import how_many
from cli.curves import size_chart
from cli.output import Column, Table
from cli.training_run import notes_on_training
from tokenizer import vocabulary_size

if TYPE_CHECKING:
    from tokenizer.sweeping import TokenCurve
    from tokenizer.training import Training

Row = dict[str, Any]
EXPLANATION = (
    (
        "Step cost: tokens of the held-out text x (parameters + vocabulary x width), the least being 1. It is what "
        "going over that text costs, and does not say how good the model is."
    ),
    (
        f"Published: {vocabulary_size.PAPER}, approaches 1 and 2 (IsoFLOPs: the best of many trainings of the same "
        "compute; derivative: where the compute that a text takes is least); for models trained on as much text as is "
        "best for them."
    ),
)
END = 0.1  # of the sizes measured
WORTH_TELLING = 0.05  # so much more of the text that was learned from goes into a token


@dataclass(frozen=True)
class Model:
    """The model that a vocabulary is for: its parameters outside of the vocabulary, and the width of an embedding."""

    params: int
    dim: int


@dataclass(frozen=True)
class Sweep:
    """What was measured: `sizes` as they were asked for, `curve` of the held-out text."""

    sizes: Sequence[int]
    training: "Training"
    curve: "TokenCurve"
    options: Mapping[str, Any]
    model: Model | None

    @property
    def reached(self) -> list[int]:
        """The sizes that there are: those asked for, and the last one where the training ended before the largest."""
        last = self.curve.last_size
        return [size for size in self.sizes if size < last] + [last]

    def bytes_per_token(self, size: int) -> float:
        """Of the held-out text."""
        return self.curve.bytes / self.curve.tokens_at(size)

    def learned_bytes_per_token(self, size: int) -> float | None:
        """Of the text that was learned from; unknown where pre-tokens were left out."""
        merges = size - self.curve.first_size
        if self.training.left_out:
            return None
        tokens = self.training.corpus_tokens[merges - 1] if merges else self.training.corpus_bytes
        return self.training.corpus_bytes / tokens

    def cost(self, size: int) -> int:
        """What going over the held-out text costs; only with a model."""
        assert self.model is not None
        return vocabulary_size.step_cost(self.curve.tokens_at(size), size, self.model.params, self.model.dim)

    @cached_property
    def cheapest(self) -> int:
        """The size with which that costs least, of all between the smallest possible and the last."""
        assert self.model is not None
        return vocabulary_size.cheapest_size(
            self.curve.tokens, self.curve.first_size, self.model.params, self.model.dim
        )

    @property
    def is_least_at_end(self) -> bool:
        """Whether that is among the last sizes measured, so that a larger one, if there can be one, may cost less."""
        goes_on = self.training.ended in ("complete", "interrupted")
        return goes_on and self.cheapest > max(self.curve.first_size, (1 - END) * self.curve.last_size)

    def cost_ratio(self, size: int) -> float:
        """What a size costs, the cheapest being 1."""
        return self.cost(size) / self.cost(self.cheapest)


def sweep_tables(sweep: Sweep, held_out: Mapping[str, Any]) -> list[Table]:
    """The table of sizes with its curves; with a model also the sizes that are best for it.

    `held_out`: how the held-out text was drawn, for the machine forms.
    """
    training, curve = sweep.training, sweep.curve
    meta = {
        "ended": training.ended,
        "documents": training.documents,
        "bytes": training.corpus_bytes,
        "held_out_documents": curve.documents,
        "held_out_bytes": curve.bytes,
        **held_out,
    }
    columns = [
        Column("vocab_size", "Vocabulary", "right"),
        Column("tokens", "Tokens", "right"),
        Column("bytes_per_token", "Bytes per token", "right"),
        Column("learned_bytes_per_token", "in learned text", "right"),
    ]
    notes = _notes_on_sizes(sweep)
    if sweep.model is not None:
        columns += [
            Column("vocabulary_params", "Embedding table", "right", show=short_count),
            Column("vocabulary_share", "of all", "right", show=lambda share: f"{100 * share:.1f}%"),
            Column("step_cost", "Tokens x parameters", "right"),
            Column("step_cost_ratio", "Step cost", "right"),
        ]
        meta |= {"params": sweep.model.params, "dim": sweep.model.dim, "published_by": vocabulary_size.PAPER}
    sizes = Table(
        "tok sweep", columns, _rows(sweep), meta=meta, notes=notes, picture=partial(_picture_of_lengths, sweep)
    )
    if sweep.model is None:
        return [sizes]
    return [replace(sizes, name="sizes", title="On the held-out text"), _optima_table(sweep)]


def without_sums(tables: Sequence[Table]) -> list[Table]:
    """The tables for people, to whom a step cost says something only beside the least one, and notes say the rest."""
    left_out = ("step_cost", "is_least_at_end")
    return [replace(each, columns=[one for one in each.columns if one.key not in left_out]) for each in tables]


def _rows(sweep: Sweep) -> list[Row]:
    rows: list[Row] = []
    for size in sweep.reached:
        row: Row = {
            "vocab_size": size,
            "tokens": sweep.curve.tokens_at(size),
            "bytes_per_token": sweep.bytes_per_token(size),
            "learned_bytes_per_token": sweep.learned_bytes_per_token(size),
        }
        if sweep.model is not None:
            table = size * sweep.model.dim
            row |= {
                "vocabulary_params": table,
                "vocabulary_share": table / (table + sweep.model.params),
                "step_cost": sweep.cost(size),
                "step_cost_ratio": sweep.cost_ratio(size),
            }
        rows.append(row)
    return rows


def _notes_on_sizes(sweep: Sweep) -> list[str]:
    training, curve = sweep.training, sweep.curve
    held_out, learned_from = _amount(curve.documents, curve.bytes), _amount(training.documents, training.corpus_bytes)
    notes = [f"Learned from {learned_from}; measured on {held_out}, held out."]
    *_, before, last = [curve.first_size, *sweep.reached]
    if before < last:
        saved = 1 - curve.tokens_at(last) / curve.tokens_at(before)
        notes.append(f"From {before:,} to {last:,} the held-out text loses {100 * saved:.1f}% of its tokens.")
    learned = sweep.learned_bytes_per_token(last)
    if learned is not None and learned > (1 + WORTH_TELLING) * sweep.bytes_per_token(last):
        notes.append(
            f"At {last:,} a token holds {learned:.2f} bytes of the text that was learned from, and "
            f"{sweep.bytes_per_token(last):.2f} of the held-out one: judge by the latter."
        )
    return notes + notes_on_training(training, sweep.options)


def _amount(documents: int, size: int) -> str:
    """What some text is: "1 document of 1,237 bytes"."""
    return f"{how_many(documents, 'document')} of {size:,} bytes"


# ------------------------------------------------------------------------------------------------- with a model


def _optima_table(sweep: Sweep) -> Table:
    """The sizes that are best: by what this text costs, and by what was published."""
    assert sweep.model is not None
    columns = [
        Column("by", "Best by"),
        Column("vocab_size", "Vocabulary", "right"),
        Column("step_cost_ratio", "Step cost", "right"),
        Column("is_extrapolated", "The fit is", show=lambda outside: "extrapolated" if outside else "within its range"),
        Column("is_beyond_measured", "Measured here", show=lambda beyond: "no" if beyond else "yes"),
        Column("is_least_at_end", "At the end"),
    ]
    rows = [_optimum_row(sweep, "this text", sweep.cheapest, None) | {"is_least_at_end": sweep.is_least_at_end}]
    for found in vocabulary_size.published_optima(sweep.model.params, sweep.model.dim):
        rows.append(_optimum_row(sweep, f"Tao, {found.approach}", found.vocab_size, found.is_extrapolated))
    notes = [*EXPLANATION, *_notes_on_optima(sweep, rows)]
    named = f"for {short_count(sweep.model.params)} parameters and a width of {sweep.model.dim:,}"
    picture = partial(_picture_of_costs, sweep)
    return Table("tok sweep", columns, rows, notes=notes, name="optima", title=f"Best sizes {named}", picture=picture)


def _notes_on_optima(sweep: Sweep, rows: Sequence[Row]) -> list[str]:
    """Where the figures reach beyond what was measured, here or for the paper."""
    assert sweep.model is not None
    low, high = (short_count(end) for end in vocabulary_size.FITTED)
    notes = []
    if sweep.is_least_at_end:
        notes.append(
            f"The cost still falls towards {sweep.curve.last_size:,}, the last size measured: the least may lie beyond."
        )
    if sweep.cheapest == sweep.curve.first_size:
        notes.append("No merge pays on this text: bytes alone cost least.")
    if rows[-1]["is_extrapolated"]:
        notes.append(
            f"Extrapolated: {short_count(sweep.model.params)} parameters are outside of the {low} to {high} to which "
            "the published sizes were fitted."
        )
    else:
        notes.append(f"Within its range: the published sizes were fitted to {low} to {high} parameters.")
    notes.append("Measured here: one training passes through all sizes up to its last, not only those of the table.")
    if any(row["vocab_size"] > sweep.curve.last_size for row in rows):
        notes.append(f"Sizes above {sweep.curve.last_size:,} were not measured here, and what they cost is unknown.")
    if any(row["vocab_size"] < sweep.curve.first_size for row in rows):
        notes.append(
            f"There are no sizes below {sweep.curve.first_size:,}, for every byte is a token: what was published is of "
            "no use for so few parameters with such a width."
        )
    return notes


def _optimum_row(sweep: Sweep, by: str, size: int, is_extrapolated: bool | None) -> Row:
    is_measured = sweep.curve.first_size <= size <= sweep.curve.last_size
    return {
        "by": by,
        "vocab_size": size,
        "step_cost_ratio": sweep.cost_ratio(size) if is_measured else None,
        "is_extrapolated": is_extrapolated,
        "is_beyond_measured": not is_measured,
    }


def short_count(params: int) -> str:
    """A number of parameters as people write it: 2900000000 -> "2.9B"."""
    for unit, scale in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if params >= scale:
            return f"{params / scale:.4g}{unit}"
    return str(params)


# ------------------------------------------------------------------------------------------------------- pictures


def lengths(sweep: Sweep) -> list[tuple[str, dict[int, float]]]:
    """Bytes per token at each size, of the held-out text and of that learned from, where it is known."""
    sizes = range(sweep.reached[0], sweep.curve.last_size + 1)
    held_out = {size: sweep.bytes_per_token(size) for size in sizes}
    learned = {size: value for size in sizes if (value := sweep.learned_bytes_per_token(size)) is not None}
    return [("held out", held_out)] + ([("learned from", learned)] if learned else [])


def costs(sweep: Sweep) -> dict[int, float]:
    """Step cost at each size, the least being 1."""
    least = sweep.cost(sweep.cheapest)
    return {size: sweep.cost(size) / least for size in range(sweep.reached[0], sweep.curve.last_size + 1)}


def _picture_of_lengths(sweep: Sweep, width: int, blocks: bool) -> list[str]:
    (name, held_out), *others = lengths(sweep)
    return size_chart([(f"bytes per token, {name}", held_out), *others], sweep.reached, width, blocks=blocks)


def _picture_of_costs(sweep: Sweep, width: int, blocks: bool) -> list[str]:
    """The published sizes stand at the foot as 1 and 2, where they were measured."""
    assert sweep.model is not None
    found = vocabulary_size.published_optima(sweep.model.params, sweep.model.dim)
    named = {str(number): one.vocab_size for number, one in enumerate(found, 1)}
    lines = size_chart([("step cost", costs(sweep))], sweep.reached, width, blocks=blocks, named=named)
    inside = [sign for sign, size in named.items() if sweep.reached[0] <= size <= sweep.curve.last_size]
    if lines and inside:
        lines[1] += f"   {', '.join(inside)}: approach {' and '.join(inside)} of Tao et al."
    return lines
