"""The texts that are measured, laid end to end, and their tokens by one tokenizer; all places are in bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tokenizer.corpus import read_chunks
from tokenizer.encoding import Tokenizer
from tokenizer.packed import PackedVocabulary
from tokenizer.segmentations import Reach, reach_of
from tokenizer.sources import find_sources
from tokenizer.splits import as_text
from tokenizer.unicode_classes import white_space

Numbers = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
CodePoints = npt.NDArray[np.uint32]

FIRST_PART = 0.8  # of each document; the rest is what is held out
_AT_ONCE = 1 << 24  # characters; NumPy takes no string of several gigabytes


@dataclass(frozen=True)
class Words:
    """Runs of characters without white space: where each begins and ends. None crosses documents."""

    starts: Numbers
    ends: Numbers


@dataclass(frozen=True)
class Corpus:
    """Documents from files.

    Attributes:
        documents: their bytes, one after the other.
        files: the names of the files.
        file_ends: after which document each file ends.

    Example: Corpus.of_texts({"a": [b"one two"], "b": [b"three"]}).words.starts.tolist() == [0, 4, 7]
    """

    documents: Sequence[bytes]
    files: Sequence[str]
    file_ends: Sequence[int]

    @classmethod
    def of_texts(cls, texts: dict[str, list[bytes]]) -> "Corpus":
        """Documents in memory, by the name of what holds them."""
        ends = np.cumsum([len(documents) for documents in texts.values()])
        return cls([one for documents in texts.values() for one in documents], list(texts), ends.tolist())

    @classmethod
    def of_files(cls, names: Iterable[str | Path], field: str | None = None) -> "Corpus":
        """The documents of files as `tokenizer.corpus` reads them: a file, or a line of JSONL, is one.

        Raises:
            UserError, UsageError: as `tokenizer.corpus.read_chunks`.
        """
        texts: dict[str, list[bytes]] = {}
        for name in dict.fromkeys(find_sources(names)):
            documents = texts["stdin" if name == "-" else name] = []
            parts = []
            for chunk in read_chunks([name], field=field):
                parts.append(chunk.data)
                if chunk.ends_document:
                    documents.append(b"".join(parts))
                    parts.clear()
        return cls.of_texts(texts)

    @cached_property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.documents)

    @cached_property
    def sizes(self) -> Numbers:
        """The bytes of each document."""
        return np.array([len(one) for one in self.documents], np.int64)

    @cached_property
    def ends(self) -> Numbers:
        """Where each document ends."""
        return np.cumsum(self.sizes, dtype=np.int64)

    def document_of(self, ends: Numbers) -> Numbers:
        """The document that each stretch, known by its end, is in."""
        return np.searchsorted(self.ends, ends, "left")

    def in_documents(self, ends: Numbers, weights: npt.NDArray[np.generic] | None = None) -> npt.NDArray[np.float64]:
        """How many stretches, known by their ends in order, are in each document; or the sum of their weights."""
        before = np.searchsorted(ends, self.ends, "right")
        if weights is not None:
            before = np.concatenate([[0], np.cumsum(weights)])[before]
        return np.diff(before, prepend=0).astype(np.float64)

    def marked(self, places: Numbers) -> npt.NDArray[np.bool_]:
        """For each byte and the end, whether it is one of the places; that is quicker than to sort them."""
        marks = np.zeros(int(self.sizes.sum()) + 1, np.bool_)
        marks[places] = True
        return marks

    @property
    def groups(self) -> list[tuple[str | None, slice]]:
        """The documents of each file, where there are several, and all of them under the name None."""
        starts = [0, *self.file_ends]
        files: list[tuple[str | None, slice]] = [
            (name, slice(start, end)) for name, start, end in zip(self.files, starts, self.file_ends, strict=False)
        ]
        return [*(files if len(files) > 1 else []), (None, slice(0, len(self.documents)))]

    @cached_property
    def characters(self) -> npt.NDArray[np.float64]:
        """The characters (code points) of each document; a byte that is not UTF-8 counts as one."""
        return np.array([len(as_text(one)) for one in self.documents], np.float64)

    @cached_property
    def words(self) -> Words:
        """The words of all documents."""
        points = code_points(self.documents)
        sizes = byte_sizes(points)
        ends = np.cumsum(sizes, dtype=np.int64)
        white = is_white_space(points)
        first_of_document = np.zeros(len(points), np.bool_)
        lengths = self.characters.astype(np.int64)
        first_of_document[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
        begins = ~white & (first_of_document | np.concatenate([[True], white[:-1]])[: len(points)])
        stops = ~white & np.concatenate([(white | first_of_document)[1:], [True]])[: len(points)]
        return Words(ends[begins] - sizes[begins], ends[stops])

    @cached_property
    def parts(self) -> tuple[list[bytes], list[bytes]]:
        """The first four fifths of each document, and the rest."""
        cuts = [cut_place(one) for one in self.documents]
        both = list(zip(self.documents, cuts, strict=True))
        return [one[:cut] for one, cut in both], [one[cut:] for one, cut in both]


def code_points(texts: Iterable[bytes]) -> CodePoints:
    r"""The characters of texts, one after the other; a byte that is not UTF-8 is one of its own.

    Example: code_points([b"a", b"\xff"]).tolist() == [0x61, 0xDCFF]
    """
    parts = (text[place : place + _AT_ONCE] for text in map(as_text, texts) for place in range(0, len(text), _AT_ONCE))
    return np.concatenate([np.zeros(0, np.uint32), *(np.array([part]).view(np.uint32) for part in parts)])


def is_stray(points: CodePoints) -> npt.NDArray[np.bool_]:
    """Which code points stand for bytes that are not UTF-8."""
    return (points >= 0xD800) & (points <= 0xDFFF)


def is_white_space(points: CodePoints) -> npt.NDArray[np.bool_]:
    """Which code points are white space."""
    ranges = white_space()
    behind = max(last for _, last in ranges) + 1
    table = np.zeros(behind + 1, np.bool_)
    for first, last in ranges:
        table[first : last + 1] = True
    return table[np.minimum(points, behind)]


def byte_sizes(points: CodePoints) -> Numbers:
    """How many bytes each code point is in UTF-8, and 1 where it stands for a byte.

    Example: byte_sizes(code_points(["né".encode()])).tolist() == [1, 2]
    """
    whole = ~is_stray(points)
    return 1 + (points >= 0x80) * whole + (points >= 0x800) * whole + (points >= 0x10000) * whole


def cut_place(document: bytes, share: float = FIRST_PART) -> int:
    r"""Where about so much of a document has gone by: behind a line end, else before white space, else a character.

    Example: cut_place(b"one two\nthree four five six seven", 0.3) == 8
    """
    most = int(len(document) * share)
    least = most - len(document) // 20  # so that it is about a fifth
    line_end = document.rfind(b"\n", least, most)
    if line_end >= 0:
        return line_end + 1
    space = max(document.rfind(sign, least, most) for sign in (b" ", b"\t"))
    if space >= 0:
        return space  # most tokenizers put a space in front of its word
    while most < len(document) and document[most] & 0xC0 == 0x80 and most > least:
        most -= 1
    return most


@dataclass(frozen=True)
class Encoded:
    """Documents as a tokenizer cuts them, special tokens in them read as ordinary text.

    Attributes:
        ids: of all tokens.
        ends: where each token ends, in bytes from the beginning of the first document.
    """

    ids: Ids
    ends: Numbers


@dataclass(frozen=True)
class Lens:
    """A tokenizer with what measuring needs to know of it.

    Attributes:
        name: what it is called beside others.
        tokenizer: itself.
    """

    name: str
    tokenizer: Tokenizer

    @cached_property
    def vocabulary_size(self) -> int:
        """How many tokens text can become: the ordinary ones, and those special ones that are always read as such."""
        return len(self.tokenizer.vocabulary) + len(self.tokenizer.literal_tokens)

    @cached_property
    def tokens(self) -> dict[bytes, int]:
        """The ordinary tokens and their ids; to look up many, a dictionary is the quickest."""
        vocabulary = self.tokenizer.vocabulary
        return vocabulary.whole() if isinstance(vocabulary, PackedVocabulary) else dict(vocabulary)

    @property
    def ids(self) -> Numbers:
        """The ids of the ordinary tokens, in the order of `tokens`."""
        return self._ids_and_sizes[0]

    @cached_property
    def reach(self) -> Reach:
        """How far the ordinary tokens reach, for those who look for other ways to cut."""
        return reach_of(self.tokens)

    def sizes(self, ids: Ids | Numbers) -> Numbers:
        """The bytes of each token.

        Example: Lens("cl100k", cl100k).sizes(np.array([15339, 1917])).tolist() == [5, 6]
        """
        return self._sizes[ids]

    @cached_property
    def _sizes(self) -> Numbers:
        sizes = np.zeros(self.tokenizer.vocab_size, np.int64)
        ids, sizes_of_ids = self._ids_and_sizes
        sizes[ids] = sizes_of_ids
        for token, one in self.tokenizer.special_tokens.items():
            sizes[one] = len(token.encode())
        return sizes

    @cached_property
    def _ids_and_sizes(self) -> tuple[Numbers, Numbers]:
        vocabulary = self.tokenizer.vocabulary
        if isinstance(vocabulary, PackedVocabulary):  # which has them at hand
            places = np.array(vocabulary.places, np.int64)
            return np.array(vocabulary.ids, np.int64), places[1:] - places[:-1]
        return np.array([*vocabulary.values()], np.int64), np.array([*map(len, vocabulary)], np.int64)

    def encode(self, documents: Sequence[bytes]) -> list[Ids]:
        """The ids of each document.

        Raises:
            UserError: a document holds a byte for which the vocabulary has no token.
        """
        return self.tokenizer.encode_batch(documents, disallowed_special=())

    def encode_corpus(self, corpus: Corpus) -> Encoded:
        """The tokens of all documents.

        Raises:
            UserError: as `encode`.
        """
        ids = np.concatenate([np.zeros(0, np.int32), *self.encode(corpus.documents)])
        return Encoded(ids, np.cumsum(self.sizes(ids), dtype=np.int64))
