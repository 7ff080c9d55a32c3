"""The part of the page about one text and one tokenizer: sentences, tables, trees, digests, and what is left out."""

import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from cli.amounts import how_many
from cli.chosen_tokenizer import labels, shown
from cli.main import version
from cli.token_page.measured import MEASURES, Cut, Text, Token
from cli.token_page.pictures import pictures
from cli.token_page.segments import Shown, by_direction, segments
from cli.tree_command import pair_counts, tree_lines
from probes.pages.parts import Picture, WordTable
from tokenizer.metrics.figures import Ratio
from tokenizer.recipes import Recipes
from tokenizer.registry import digest
from tokenizer.unicode_classes import UNICODE_VERSION

MOST_BYTES = 50_000  # of the text are shown one by one
FREQUENT = 30  # rows of the table of frequent tokens
TREES = 60
LONGEST_TREE = 48  # bytes of a token whose tree is shown
LONGEST_TITLE = 40  # signs of a text that has no name
LONGEST_CELL = 60  # signs of a token in a table, and bytes in hexadecimal

SIGNS = "·~is a space, →~a tab, ⏎~a line end; other characters that cannot be seen are spelled out."


@dataclass(frozen=True, slots=True)
class Tree:
    """Of which tokens a token is made: the line that stands for it, and the lines of its tree."""

    summary: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """What the page shows of one cut; what is empty is left out."""

    title: str
    tokenizer: str
    lead: Sequence[str]
    legend: Sequence[str]
    stretches: Sequence[tuple[bool, Sequence[Sequence[Shown]]]]
    tokens: WordTable
    frequent: WordTable
    trees: Sequence[Tree]
    trees_left_out: str
    pictures: Sequence[Picture]
    measures: WordTable
    origins: Sequence[tuple[str, str]]


def section(cut: Cut, most_tokens: int) -> Section:
    """All about one cut."""
    tokens = cut.excerpt(most_tokens, MOST_BYTES)
    parts = segments(tokens, cut.tokenizer)
    trees, left_out = _trees(cut)
    return Section(
        title=f"{title(cut.text)} by {cut.tokenizer.name}",
        tokenizer=cut.tokenizer.name,
        lead=_lead(cut),
        legend=[_excerpt_words(cut, tokens), *_legend(parts)],
        stretches=by_direction(parts),
        tokens=_token_table(tokens),
        frequent=_frequent_table(cut),
        trees=trees,
        trees_left_out=left_out,
        pictures=list(pictures(cut)),
        measures=_measure_table(cut),
        origins=_origins(cut),
    )


def side_by_side(cuts: Sequence[Cut]) -> WordTable:
    """The cuts of the page in a column each, named by what tells them apart."""
    several_texts = len({cut.text for cut in cuts}) > 1
    several_tokenizers = len({cut.tokenizer.name for cut in cuts}) > 1
    files = labels(list({cut.text.name for cut in cuts if cut.text.name != "text"}))
    tokenizers = labels(list({cut.tokenizer.name for cut in cuts}))
    names = [
        " by ".join(
            [files.get(cut.text.name) or title(cut.text)] * several_texts
            + [tokenizers[cut.tokenizer.name]] * (several_tokenizers or not several_texts)
        )
        for cut in cuts
    ]
    rows = [("Tokens", *(f"{len(cut.ids):,}" for cut in cuts))]
    for name, (words, _, _, _) in MEASURES.items():
        rows.append((words, *(_value(name, cut.measures[name]) for cut in cuts)))
    return WordTable("Side by side", ("Measure", *names), rows)


def title(text: Text) -> str:
    """What a text is called: by its file's name, or by how it begins."""
    if text.name != "text":
        return text.name
    begin = shown(text.data[: 4 * LONGEST_TITLE + 4]).replace("·", " ")
    return f'"{begin}"' if len(begin) <= LONGEST_TITLE else f'"{begin[:LONGEST_TITLE]}..."'


def _lead(cut: Cut) -> list[str]:
    """What is to be said first."""
    name, count = cut.tokenizer.name, len(cut.ids)
    size = f"{how_many(len(cut.text.data), 'byte')}, {how_many(cut.character_count, 'character')}"
    if not count:
        return ["The text is empty: there is no token in it."]
    sentences = [f"{name} makes {how_many(count, 'token')} of this text of {size}."]
    split = cut.measures["split_characters"]
    if split.numerator:
        sentences.append(
            f"{int(split.numerator):,} of {how_many(cut.character_count, 'character')} "
            f"{'lies' if split.numerator == 1 else 'lie'} in several tokens, each of which holds some of the bytes."
        )
    stray = cut.text.stray_bytes
    if stray:
        sentences.append(f"{how_many(stray, 'byte')} {'is' if stray == 1 else 'are'} not UTF-8.")
    return sentences


def _excerpt_words(cut: Cut, tokens: Sequence[Token]) -> str:
    """How much of the text is shown one by one."""
    if len(tokens) == len(cut.ids):
        return f"All {how_many(len(tokens), 'token')} of the text." if len(tokens) > 1 else "The whole text."
    end, size = tokens[-1].end, len(cut.text.data)
    return (
        f"This is the beginning: {len(tokens):,} of {len(cut.ids):,} tokens, which are {end:,} of "
        f"{size:,} bytes ({100 * end / size:.2g}%). All figures are of the whole text."
    )


def _legend(parts: Sequence[Sequence[Shown]]) -> Iterator[str]:
    """What the signs in the coloured text mean, as far as they are in it."""
    tokens = [token for segment in parts for token in segment]
    kinds = {run.kind for token in tokens for run in token.runs}
    yield "A thin line stands where a token begins, and neighbours have different colours."
    if "sign" in kinds:
        yield SIGNS.replace("~", "\N{NO-BREAK SPACE}")
    if "chip" in kinds:
        yield (
            "A character in bold lies in several tokens, which are underlined together: it is followed by the bytes "
            "that each of them holds, in hexadecimal, and the token's id."
        )
    if "stray" in kinds:
        yield "Bytes that are not UTF-8 are in hexadecimal, underlined with dots."
    if any(token.special for token in tokens):
        yield "A special token is underlined twice."


def _cell(token: bytes) -> str:
    """A token in a table; of a long one its beginning."""
    words = shown(token[: 4 * LONGEST_CELL])
    return words if len(words) <= LONGEST_CELL and len(token) <= 4 * LONGEST_CELL else f"{words[:LONGEST_CELL]}..."


def _hex(token: bytes) -> str:
    """The bytes of a token; of a long one the first, and how many there are."""
    if len(token) <= LONGEST_CELL:
        return token.hex(" ").upper()
    return f"{token[:LONGEST_CELL].hex(' ').upper()} ... {len(token):,} bytes"


def _token_table(tokens: Sequence[Token]) -> WordTable:
    """Every token that is shown, with its place."""
    return WordTable(
        "The tokens one by one",
        ("Number", "Id", "Token", "Bytes in hex", "Bytes", "Characters"),
        [
            (
                str(token.position),
                str(token.id),
                _cell(token.data),
                _hex(token.data),
                f"{token.start}-{token.end}",
                f"{token.first_character}-{token.end_character}",
            )
            for token in tokens
        ],
    )


def _frequent_table(cut: Cut) -> WordTable:
    """The most frequent tokens of the whole text."""
    total = max(1, len(cut.ids))
    rows = [
        (_cell(kind.data), str(kind.id), _hex(kind.data), f"{kind.times:,}", f"{100 * kind.times / total:.2f}%")
        for kind in cut.kinds[:FREQUENT]
    ]
    more = len(cut.kinds) - len(rows)
    left_out = f" {how_many(more, 'rarer one')} {'is' if more == 1 else 'are'} left out." if more else ""
    title = f"The {len(rows)} most frequent of {how_many(len(cut.kinds), 'different token')}."
    if not more:
        title = f"All {how_many(len(rows), 'different token')}, the most frequent first."
    return WordTable(
        "The most frequent tokens", ("Token", "Id", "Bytes in hex", "Times", "Share"), rows, [f"{title}{left_out}"]
    )


def _trees(cut: Cut) -> tuple[list[Tree], str]:
    """The trees of the most frequent tokens that are made of others, and what is left out."""
    recipes, counts = Recipes(cut.tokenizer), pair_counts(cut.tokenizer)
    special = set(cut.tokenizer.special_tokens.values())
    ordinary = [kind for kind in cut.kinds if kind.id not in special or cut.tokenizer.id_of(kind.data) == kind.id]
    longer = [kind for kind in ordinary if len(kind.data) > 1]
    fitting = (kind for kind in longer if len(kind.data) <= LONGEST_TREE and recipes.of(kind.data) is not None)
    chosen = list(islice(fitting, TREES))
    trees = [
        Tree(
            f"{_cell(kind.data)} (id {kind.id}, {how_many(kind.times, 'time')} in the text)",
            list(tree_lines(cut.tokenizer, recipes, kind.data, counts)),
        )
        for kind in chosen
    ]
    single, more = len(ordinary) - len(longer), len(longer) - len(trees)
    words = [
        f"Here are the trees of {len(trees):,} of {how_many(len(cut.kinds), 'different token')}, the frequent first."
    ]
    if single:
        words.append(f"{how_many(single, 'single byte')} {'is' if single == 1 else 'are'} made of no others.")
    if more:
        words.append(
            f"{how_many(more, 'other')} {'is' if more == 1 else 'are'} left out: rarer ones, those of more than "
            f"{LONGEST_TREE} bytes, and those that no merge makes. "
            f"needlepoint tok tree --id ID -t {cut.tokenizer.name} shows any."
        )
    return trees, " ".join(words)


def _value(name: str, ratio: Ratio) -> str:
    return "-" if ratio.value is None else MEASURES[name][1].format(ratio.value)


def _measure_table(cut: Cut) -> WordTable:
    """Each measure with what is counted over what."""
    rows = []
    for name, ratio in cut.measures.items():
        title, _, above, below = MEASURES[name]
        counted = f"{above}: {ratio.numerator:,.0f} / {below}: {ratio.denominator:,.0f}"
        rows.append((title, _value(name, ratio), counted))
    return WordTable("In numbers", ("Measure", "Value", "What is counted over what"), rows)


def _origins(cut: Cut) -> list[tuple[str, str]]:
    """What made the page, and digests of what it was made from."""
    tokenizer = cut.tokenizer
    found = digest(tokenizer.name)
    ids = cut.ids.astype("<i4").tobytes()
    return [
        ("Made by", f"needlepoint {version()}, Python {platform.python_version()}"),
        ("Tokenizer", f"{tokenizer.name}, {tokenizer.vocab_size:,} ids, split {tokenizer.split.name}"),
        ("Its file", f"sha256 {found}" if found else "cannot be read again"),
        ("Text", f"{cut.text.name}, {how_many(len(cut.text.data), 'byte')}"),
        ("Its bytes", f"sha256 {hashlib.sha256(cut.text.data).hexdigest()}"),
        ("Its ids", f"sha256 {hashlib.sha256(ids).hexdigest()}, as little-endian numbers of 32 bits"),
        ("Unicode", f"character classes of {UNICODE_VERSION}, whatever the Python"),
    ]
