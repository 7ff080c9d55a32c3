"""Learn a vocabulary from documents."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from tokenizer.byte_alphabet import BYTES_BY_LETTER, from_letters
from tokenizer.corpus import Chunk, document_chunks, read_chunks
from tokenizer.counting import PlainPreTokens, PreTokens, stretches
from tokenizer.encoding import Tokenizer
from tokenizer.engines import compiled_module
from tokenizer.errors import UsageError, UserError
from tokenizer.reference import Merge
from tokenizer.splits import NAMED_PATTERNS, Split, as_text, make_split

Engine = Literal["compiled", "python"]
Layout = Literal["hf", "bytes"]
LITTLE_TEXT = 1 << 19  # bytes; loading the compiled engine would take longer than learning from so few


@dataclass(frozen=True, slots=True)
class Training:
    """What came of a training. The three lists have an entry for each merge.

    Attributes:
        tokenizer: the result.
        pair_counts: how often the pair occurred when it was merged.
        words_touched: how many distinct pre-tokens changed.
        corpus_tokens: how many tokens the pre-tokens that are learned from had afterwards.
        documents: how many there were.
        corpus_bytes: and what they hold together.
        pre_tokens: occurrences of pre-tokens, those left out included.
        distinct_pre_tokens: different ones, without those left out.
        longest_pre_tokens: the beginnings of the ten longest (at most 200 bytes), and how many bytes each has.
        left_out: occurrences of pre-tokens longer than `max_pretoken_bytes`, which are not learned from.
        ended: why there are no more merges.
        engine: what did it; the result does not depend on it.
    """

    tokenizer: Tokenizer
    pair_counts: list[int]
    words_touched: list[int]
    corpus_tokens: list[int]
    documents: int
    corpus_bytes: int
    pre_tokens: int
    distinct_pre_tokens: int
    longest_pre_tokens: list[tuple[bytes, int]]
    left_out: int
    ended: Literal["complete", "no pairs left", "min frequency", "interrupted"]
    engine: Engine


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: merges done and wanted, the newest token, the corpus in tokens and in bytes."""

    done: int
    wanted: int
    newest: bytes
    corpus_tokens: int
    corpus_bytes: int


def train(files: Iterable[str | Path], *, vocab_size: int, split: str = "gpt2", **options: Any) -> Tokenizer:
    """Train a tokenizer on files; each is a document, or holds some (.jsonl, .parquet).

    Args:
        files: paths and whatever else `corpus.read_chunks` takes.
        vocab_size: how many ids there shall be, the 256 bytes and the special tokens included.
        split: gpt2, cl100k, o200k or a regex.
        options: as in `learn`.

    Example: train(["shakespeare.txt"], vocab_size=4096).save("shakespeare.json")

    Raises:
        UserError, UsageError: as in `learn` and `corpus.read_chunks`.
    """
    return learn(read_chunks(files), vocab_size=vocab_size, split=split, **options).tokenizer


def train_on(documents: Iterable[str | bytes], *, vocab_size: int, split: str = "gpt2", **options: Any) -> Tokenizer:
    """Train a tokenizer on texts in memory, each of which is a document. As `train` otherwise.

    Example: train_on(["low low lower"], vocab_size=258).id_of(b"low") == 257
    """
    return learn(document_chunks(documents), vocab_size=vocab_size, split=split, **options).tokenizer


def learn(
    chunks: Iterable[Chunk],
    *,
    vocab_size: int,
    split: str = "gpt2",
    layout: Layout = "hf",
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
    max_token_bytes: int | None = None,
    max_pretoken_bytes: int | None = None,
    jobs: int | None = None,
    on_count: Callable[[int], None] | None = None,
    on_merge: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    engine: Engine | None = None,
) -> Training:
    """Train a tokenizer; the merges are those of Hugging Face's `BpeTrainer` (`hf`) or of rustbpe (`bytes`).

    A corpus that runs out of pairs ends the training early: then the result's `vocab_size` is smaller than asked.

    Args:
        chunks: the documents; no token comes from two of them. The text of a special token is ordinary text in them,
            but no merge ever spells one.
        vocab_size: how many ids there shall be, the 256 bytes and the special tokens included.
        split: gpt2, cl100k, o200k or a regex, as in `splits.make_split`.
        layout: `hf` gives ids to special tokens, then to the bytes in the order of their letters, then to merges;
            `bytes` to the byte values, then to merges, then to special tokens. It also decides ties.
        special_tokens: texts that stand for something else than themselves.
        min_frequency: stop when the best pair is rarer than this.
        max_token_bytes: make no longer token; its pair is passed over.
        max_pretoken_bytes: do not learn from longer pre-tokens.
        jobs: how many threads count; all processors if None. The result does not depend on it.
        on_count: told how many bytes have been counted, now and then.
        on_merge: told of the newest merge, now and then.
        interrupted: asked now and then whether to end with what was learned so far.
        engine: which one must be used; if None the compiled one, but for little text and where there is none.

    Raises:
        UsageError: options that cannot be met, such as a vocabulary smaller than its alphabet.
        UserError: the documents hold no text.
    """
    chosen = make_split(split)
    plan = _Plan.made(vocab_size, layout, special_tokens)
    _check_limits(max_token_bytes=max_token_bytes, max_pretoken_bytes=max_pretoken_bytes, jobs=jobs)
    chunks = iter(chunks)
    pre_tokens, first_chunks = _pre_tokens(chunks, engine, chosen, max_pretoken_bytes, jobs)
    corpus = _Corpus(chain(first_chunks, chunks), on_count, interrupted)
    corpus.count(pre_tokens, chosen)
    learned = _Learned(plan)
    batches = pre_tokens.learn(
        0 if corpus.is_interrupted else plan.wanted,
        byte_ids=plan.byte_ids,
        first_id=plan.first_byte + 256,
        min_frequency=min_frequency,
        max_token_bytes=max_token_bytes,
        never=plan.never,
    )
    for batch in batches:
        learned.add(batch)
        if on_merge and batch:
            on_merge(Progress(len(learned.merges), plan.wanted, learned.tokens[-1], batch[-1].tokens, corpus.bytes))
        if interrupted and interrupted():
            corpus.is_interrupted = True
            break
    return Training(
        tokenizer=learned.tokenizer(chosen),
        pair_counts=learned.pair_counts,
        words_touched=learned.words_touched,
        corpus_tokens=learned.corpus_tokens,
        documents=corpus.documents,
        corpus_bytes=corpus.bytes,
        pre_tokens=pre_tokens.occurrences,
        distinct_pre_tokens=pre_tokens.distinct,
        longest_pre_tokens=pre_tokens.longest(),
        left_out=pre_tokens.left_out,
        ended=learned.ended(pre_tokens, min_frequency, is_interrupted=corpus.is_interrupted),
        engine=pre_tokens.engine,
    )


def smaller(tokenizer: Tokenizer, vocab_size: int) -> Tokenizer:
    """The tokenizer that the same training would have given for a smaller vocabulary: its first merges.

    Example: smaller(train_on(texts, vocab_size=2000), 1000).merges == train_on(texts, vocab_size=1000).merges

    Raises:
        UsageError: the size is too small or too large, or the tokenizer was not made by training.
    """
    if tokenizer.merges is None or tokenizer.layout == "other":
        raise UsageError(
            f"{tokenizer.name} has no order of merges from which a smaller one follows",
            hint="take a tokenizer that `tok train` made",
        )
    specials = sorted(tokenizer.special_tokens, key=tokenizer.special_tokens.__getitem__)
    plan = _Plan.made(vocab_size, "hf" if tokenizer.layout == "hf" else "bytes", specials)
    if plan.wanted > len(tokenizer.merges):
        raise UsageError(
            f"{tokenizer.name} has {tokenizer.vocab_size} ids, fewer than {vocab_size}",
            hint="train again with a larger vocabulary",
        )
    learned = _Learned(plan)
    learned.merges = list(tokenizer.merges[: plan.wanted])
    learned.tokens += [left + right for left, right in learned.merges]
    return learned.tokenizer(tokenizer.split, tokenizer.name)


# ------------------------------------------------------------------------------------------------------- options


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the options come to.

    Attributes:
        layout: the order of ids.
        special_tokens: in the order of their ids.
        wanted: how many merges.
        first_byte: the id of the first byte of the alphabet; merges follow the last.
        alphabet: the 256 bytes in the order of their ids.
        byte_ids: the id of each byte.
        never: tokens that must not be made.
    """

    layout: Layout
    special_tokens: Sequence[str]
    wanted: int
    first_byte: int
    alphabet: Sequence[int]
    byte_ids: Sequence[int]
    never: frozenset[bytes]

    @classmethod
    def made(cls, vocab_size: int, layout: Layout, special_tokens: Sequence[str]) -> "_Plan":
        if layout not in ("hf", "bytes"):
            raise UsageError(f"there is no layout {layout!r}", hint="layouts are hf and bytes")
        if not isinstance(vocab_size, int):
            raise UsageError(f"{vocab_size!r} is no size of a vocabulary", hint="give a whole number")
        if isinstance(special_tokens, str) or not isinstance(special_tokens, Sequence):
            raise UsageError(
                f"the special tokens are a {type(special_tokens).__name__}",
                hint="give a list, in the order of their ids",
            )
        never = _spelled_like(special_tokens)
        wanted = vocab_size - 256 - len(special_tokens)
        if wanted < 0:
            raise UsageError(
                f"a vocabulary of {vocab_size} cannot hold 256 bytes and {len(special_tokens)} special tokens",
                hint=f"the smallest possible size is {vocab_size - wanted}",
            )
        first_byte = len(special_tokens) if layout == "hf" else 0
        alphabet = BYTES_BY_LETTER if layout == "hf" else range(256)
        id_of = {byte: first_byte + place for place, byte in enumerate(alphabet)}
        byte_ids = [id_of[byte] for byte in range(256)]
        return cls(layout, special_tokens, wanted, first_byte, alphabet, byte_ids, never)


def _spelled_like(special_tokens: Sequence[str]) -> frozenset[bytes]:
    """The ordinary tokens that a vocabulary file would write like one of the special tokens."""
    never = set()
    for place, token in enumerate(special_tokens):
        if not token or token in special_tokens[:place]:
            raise UsageError(
                f"the special token {token!r} is given twice" if token else "a special token is empty",
                hint="give each special token once, as text",
            )
        if any("\ud800" <= letter <= "\udfff" for letter in token):
            raise UsageError(f"the special token {token!r} is not text", hint="write it in UTF-8")
        try:
            spelled = from_letters(token)
        except KeyError:  # holds a character that no byte is written as: nothing can be mistaken for it
            continue
        if len(spelled) == 1:
            raise UsageError(
                f"the special token {token!r} is the letter that stands for a byte",
                hint="take a longer text, as <|end|>",
            )
        never.add(spelled)
    return frozenset(never)


def _check_limits(**limits: int | None) -> None:
    for name, limit in limits.items():
        if limit is not None and limit < 1:
            raise UsageError(f"{name} cannot be {limit}", hint="give a number from 1 on, or leave it out")


# ------------------------------------------------------------------------------------------------------- engines


def _pre_tokens(
    chunks: Iterator[Chunk], engine: Engine | None, split: Split, max_bytes: int | None, jobs: int | None
) -> tuple[PreTokens, list[Chunk]]:
    """The engine's counter, and the chunks that were read to see whether there is little text."""
    first: list[Chunk] = []
    if engine not in (None, "compiled", "python"):
        raise UsageError(f"there is no engine {engine!r}", hint="engines are compiled and python, or None for either")
    if engine is None:
        size = 0
        while size < LITTLE_TEXT and (chunk := next(chunks, None)):
            first.append(chunk)
            size += len(chunk.data)
        engine = "python" if size < LITTLE_TEXT else "compiled"
    compiled = compiled_module("tokenizer.compiled_counting") if engine == "compiled" else None
    if compiled is None:
        return PlainPreTokens(split, max_bytes), first
    return compiled.CompiledPreTokens(split, max_bytes, jobs), first


# -------------------------------------------------------------------------------------------------------- states


class _Corpus:
    """The documents while they are counted."""

    def __init__(
        self,
        chunks: Iterable[Chunk],
        on_count: Callable[[int], None] | None,
        interrupted: Callable[[], bool] | None,
    ) -> None:
        self.documents = self.bytes = 0
        self.is_interrupted = False
        self._chunks = chunks
        self._on_count = on_count
        self._interrupted = interrupted

    def count(self, pre_tokens: PreTokens, split: Split) -> None:
        """Count the pre-tokens of all documents, or of those that were read before the interruption."""
        is_matched = split.name in NAMED_PATTERNS
        for text in stretches(self._read(), pre_tokens.safe_cut):
            is_matched = is_matched or split.matches(as_text(text))
            pre_tokens.add(text)
        pre_tokens.finish()
        if self.is_interrupted:
            return
        if not pre_tokens.occurrences:
            raise UserError("there is no text to learn from", hint="give documents that are not empty")
        if not is_matched:
            raise UsageError(
                "the split pattern matches nothing in the text, which would be a single piece",
                hint="write a pattern that matches words, such as '\\S+|\\s+', or take gpt2, cl100k or o200k",
            )

    def _read(self) -> Iterator[Chunk]:
        for chunk in self._chunks:
            self.documents += chunk.ends_document
            self.bytes += len(chunk.data)
            yield chunk
            if self._on_count:
                self._on_count(self.bytes)
            if self._interrupted and self._interrupted():
                self.is_interrupted = True
                break


class _Learned:
    """The vocabulary while it grows."""

    def __init__(self, plan: _Plan) -> None:
        self.merges: list[tuple[bytes, bytes]] = []
        self.pair_counts: list[int] = []
        self.words_touched: list[int] = []
        self.corpus_tokens: list[int] = []
        self.tokens = [bytes([byte]) for byte in plan.alphabet]  # in the order of their ids
        self._plan = plan

    def add(self, batch: Sequence[Merge]) -> None:
        """Take the next merges."""
        for (left, right), count, words, tokens in batch:
            pair = self.tokens[left - self._plan.first_byte], self.tokens[right - self._plan.first_byte]
            self.merges.append(pair)
            self.tokens.append(pair[0] + pair[1])
            self.pair_counts.append(count)
            self.words_touched.append(words)
            self.corpus_tokens.append(tokens)

    def ended(
        self, pre_tokens: PreTokens, min_frequency: int, *, is_interrupted: bool
    ) -> Literal["complete", "no pairs left", "min frequency", "interrupted"]:
        """Why there are no more merges."""
        if is_interrupted:
            return "interrupted"
        if len(self.merges) == self._plan.wanted:
            return "complete"
        tokens = self.corpus_tokens[-1] if self.corpus_tokens else pre_tokens.learned_bytes
        has_pairs = tokens > pre_tokens.occurrences - pre_tokens.left_out
        return "min frequency" if has_pairs and min_frequency > 1 else "no pairs left"

    def tokenizer(self, split: Split, name: str = "trained") -> Tokenizer:
        """The tokenizer that was learned."""
        first_special = 0 if self._plan.layout == "hf" else len(self.tokens)
        return Tokenizer(
            name=name,
            split=split,
            vocabulary={token: self._plan.first_byte + place for place, token in enumerate(self.tokens)},
            special_tokens={token: first_special + place for place, token in enumerate(self._plan.special_tokens)},
            merges=self.merges,
            whole_pieces=False,
        )
