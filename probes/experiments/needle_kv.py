"""Key-value retrieval: the whole text is a JSON object of random keys and values, as in "Lost in the Middle".

Every key and value looks like a UUID, so that nothing but an exact match finds it, or is short, for models that cannot
repeat so much. One text a block; the pair at each depth is asked for.
"""

import itertools
from collections.abc import Iterator

from probes.draws import Draws
from probes.experiments.needle_forms import FORMS
from probes.experiments.needle_parts import Ground, IdStyle, Planted, asking_one
from probes.haystack import Placed
from tokenizer.errors import UserError

Pair = tuple[str, str]
SEPARATOR = ",\n "


def plant_kv(ground: Ground) -> Iterator[Planted]:
    """A JSON object of the length asked for, a question for the pair at each depth, and for a key that is not there.

    Raises:
        UserError: the length has room for fewer pairs than there are depths.
    """
    form = FORMS["kv"][ground.language]
    draws = Draws(f"kv/{ground.seed}/{ground.block}")
    ids = random_ids(draws, ground.ids)
    absent = next(ids)
    pairs = _pairs(ground, ids)
    chosen = [round(depth * (len(pairs) - 1)) for depth in ground.depths]
    if len(set(chosen)) < len(chosen):
        raise UserError(
            f"{len(pairs)} pairs of key and value are too few for {len(chosen)} depths",
            hint="ask for a greater --lengths, or fewer --depths",
        )
    entries = [form.statement.format(name=key, value=value) for key, value in pairs]
    text = _joined(entries)
    starts = [1, *(1 + end for end in itertools.accumulate(len(entry) + len(SEPARATOR) for entry in entries[:-1]))]
    placed = Placed(
        text,
        tuple(starts[index] for index in chosen),
        tuple(index / max(len(pairs) - 1, 1) for index in chosen),
    )
    questions = [asking_one(form, pairs[index][0], asked) for asked, index in enumerate(chosen)]
    tokens = ground.count(text)
    yield Planted(
        placed,
        tokens,
        tokens,
        tuple(entries[index] for index in chosen),
        ground.depths,
        tuple(pairs[index][1] for index in chosen),
        len(chosen),
        (*questions, asking_one(form, absent, None)),
    )


def random_ids(draws: Draws, style: IdStyle) -> Iterator[str]:
    """Hexadecimal digits without end, no two alike: 128 random bits as a UUID is written, or 32.

    Example: next(random_ids(Draws("a"), "uuid")) -> "8d0f6a4c-21b7-..."; with "short" -> "8d0f6a4c"
    """
    seen = set()
    while True:
        digits = "".join(f"{draws.below(2**32):08x}" for _ in range(4 if style == "uuid" else 1))
        if style == "uuid":
            digits = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        if digits not in seen:
            seen.add(digits)
            yield digits


def _pairs(ground: Ground, ids: Iterator[str]) -> list[Pair]:
    """As many pairs as come nearest to the length, and no fewer than the depths where no length is asked for."""
    pairs = [(next(ids), next(ids)) for _ in range(max(len(ground.depths), 8))]
    if ground.length is None:
        return pairs[: len(ground.depths)]
    form = FORMS["kv"][ground.language]

    def tokens(count: int) -> int:
        pairs.extend((next(ids), next(ids)) for _ in range(count - len(pairs)))
        return ground.count(_joined([form.statement.format(name=key, value=value) for key, value in pairs[:count]]))

    count = len(pairs)
    for _ in range(4):  # pairs differ by a token or two, so that the second guess is nearly always the last
        guess = max(round(count * ground.length / tokens(count)), 1)
        if guess == count:
            break
        count = guess
    while count > 1 and abs(tokens(count - 1) - ground.length) < abs(tokens(count) - ground.length):
        count -= 1
    while abs(tokens(count + 1) - ground.length) < abs(tokens(count) - ground.length):
        count += 1
    return pairs[:count]


def _joined(entries: list[str]) -> str:
    return "{" + SEPARATOR.join(entries) + "}"
