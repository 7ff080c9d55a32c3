"""Read the documents of a corpus as a stream of chunks, whatever they lie in: the corpus is never held in memory.

A file is one document, whatever its bytes; in `.jsonl` and `.ndjson` each line's field is one, in `.parquet` each
row's. All but Parquet may be compressed (`.gz`, `.zst`).
"""

import gzip
import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from tokenizer.errors import UsageError, UserError
from tokenizer.sources import file_name, find_sources, is_open_pipe, is_url, told
from tokenizer.splits import as_bytes

DEFAULT_FIELD = "text"
LONGEST_LINE = 1 << 30  # bytes; a longer line is no JSON document but a file of another kind
ROWS_AT_ONCE = 256  # of Parquet; a row may be a whole book
ZSTD_INPUT = 512  # bytes given to the decompressor at once; a hostile file makes 16 MB of so many


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of a document, or of a part of one; the part may end anywhere, even inside a character.

    Attributes:
        data: raw bytes.
        ends_document: whether the next chunk begins a new document.
    """

    data: bytes
    ends_document: bool


class Corpus:
    """Chunks on their way to the trainer, and what they came to: how many documents and bytes, and their digest.

    Example:
        corpus = Corpus(document_chunks(["low", "lower"]))
        list(corpus)
        (corpus.documents, corpus.bytes) == (2, 8)
    """

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.documents = 0
        self.bytes = 0
        self._chunks = chunks
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[Chunk]:
        """Hand on each chunk, counted and hashed."""
        length = 0
        for chunk in self._chunks:
            self._hash.update(chunk.data)
            self.bytes += len(chunk.data)
            length += len(chunk.data)
            if chunk.ends_document:
                self._hash.update(length.to_bytes(8, "little"))
                self.documents += 1
                length = 0
            yield chunk

    @property
    def digest(self) -> str:
        """SHA-256 of what has gone by: of each document its bytes, then its length as eight bytes, low byte first."""
        return f"sha256:{self._hash.hexdigest()}"


def document_chunks(documents: Iterable[str | bytes]) -> Iterator[Chunk]:
    """Texts in memory as chunks, one for each.

    Raises:
        UsageError: the documents are a single text.
    """
    if isinstance(documents, str | bytes):
        raise UsageError("the documents are one text, not a list of texts", hint="put the text into a list")
    return (Chunk(as_bytes(document), ends_document=True) for document in documents)


def read_chunks(
    sources: Iterable[str | Path],
    *,
    field: str | None = None,
    chunk_bytes: int = 1 << 22,
    on_read: Callable[[int], None] | None = None,
) -> Iterator[Chunk]:
    """The documents of files, directories, globs, URLs and `-` (stdin), one after the other.

    All sources are found and checked before the first is read.

    Args:
        sources: as `find_sources` takes them.
        field: the JSONL field or Parquet column that holds the text, `text` if None. With a field named, what has no
            name of its own (stdin, /dev/fd/3) is read as JSONL, too.
        chunk_bytes: how much of a file is read at once.
        on_read: called with the bytes read so far, as they are stored: compressed, and with what surrounds the field.
            They come to what `stored_bytes` says.

    Raises:
        UsageError: a field is named, and no source has fields.
        UserError: as `find_sources`; while reading, a file that is damaged or holds something else, with the place.
    """
    found = find_sources(sources)
    kinds = [_kind(source, field) for source in found]
    if field is not None and not has_fields(found, field):
        raise UsageError(
            f"a field ({field!r}) is named, but no source is JSONL or Parquet",
            hint="such files end in .jsonl, .ndjson or .parquet, and may be compressed (.jsonl.gz, .jsonl.zst)",
        )
    for source, kind in zip(found, kinds, strict=True):
        _check_extras(source, kind)
    named = DEFAULT_FIELD if field is None else field
    return _read_all(list(zip(found, kinds, strict=True)), named, chunk_bytes, on_read)


def has_fields(sources: Iterable[str], field: str | None) -> bool:
    """Whether a field (`text` if None) is to be chosen in one of the sources, as in JSONL and Parquet.

    Example: has_fields(["a.txt", "b.jsonl.gz"], None)
    """
    return any(_kind(source, field) in ("jsonl", "parquet") for source in sources)


def stored_bytes(sources: Iterable[str]) -> int | None:
    """How much there is to read, as it is stored; None when there is a pipe or a URL among the sources."""
    total = 0
    for source in sources:
        if source == "-" or is_open_pipe(source) or is_url(source):
            return None
        total += Path(source).stat().st_size
    return total


def _kind(source: str, field: str | None) -> str:
    if source == "-" or is_open_pipe(source):
        return "plain" if field is None else "jsonl"
    suffix = Path(file_name(source).removesuffix(".gz").removesuffix(".zst")).suffix
    return {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}.get(suffix, "plain")


def _check_extras(source: str, kind: str) -> None:
    for needed, package in ((kind == "parquet", "pyarrow"), (file_name(source).endswith(".zst"), "zstandard")):
        if needed and find_spec(package) is None:
            raise UserError(f"reading {source} needs {package}", hint='pip install "needlepoint[corpus]"')


def _read_all(
    sources: list[tuple[str, str]], field: str, chunk_bytes: int, on_read: Callable[[int], None] | None
) -> Iterator[Chunk]:
    finished = 0
    for source, kind in sources:
        place = _Place()
        with told(source, "open"), _open(source, place) as file, told(source, "read", place):
            if kind == "plain":
                chunks = _file_chunks(file, chunk_bytes)
            elif kind == "jsonl":
                chunks = _json_lines(file, place, field)
            else:
                chunks = _parquet_rows(file, place, field)
            for chunk in chunks:
                if on_read:
                    on_read(finished + place.stored)
                yield chunk
            finished += place.size


@dataclass(slots=True)
class _Place:
    """How far a source has been read: for messages "line 7", "row 7", or a byte of the file as it is stored."""

    unit: str = "byte"
    number: int = 0
    size: int = 0
    file: IO[bytes] | None = None

    @property
    def stored(self) -> int:
        return self.file.tell() if self.file else 0

    def __str__(self) -> str:
        if self.unit != "byte":
            return f"{self.unit} {self.number:,}"
        return f"before byte {self.stored:,}" if self.file else ""


@contextmanager
def _open(source: str, place: _Place) -> Iterator[IO[bytes]]:
    if source == "-":
        yield sys.stdin.buffer
        return
    if is_url(source):
        import fsspec

        opened = fsspec.open(source, "rb")
    else:
        opened = Path(source).open("rb")  # noqa: SIM115 - closed below
    with opened as file:
        if file.seekable():
            place.size, place.file = file.seek(0, io.SEEK_END), file
            file.seek(0)
        name = file_name(source)
        if name.endswith(".gz"):
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        elif name.endswith(".zst"):
            yield io.BufferedReader(_Blocks(_zstd_blocks(file)))
        else:
            yield file


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _zstd_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Decompress frame after frame; the library's own reader takes a file that was cut for one that ends."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    frame = None
    try:
        while block := file.read(ZSTD_INPUT):
            while block:
                frame = frame or decompressor.decompressobj()
                yield frame.decompress(block)
                block = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError as err:
        raise ValueError(str(err)) from err
    if frame is not None:
        raise EOFError("the compressed file is cut short")


def _file_chunks(file: IO[bytes], chunk_bytes: int) -> Iterator[Chunk]:
    part = file.read(chunk_bytes)
    while following := file.read(chunk_bytes):
        yield Chunk(part, ends_document=False)
        part = following
    yield Chunk(part, ends_document=True)


def _json_lines(file: IO[bytes], place: _Place, field: str) -> Iterator[Chunk]:
    place.unit, place.number = "line", 1
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError(f"it has more than {LONGEST_LINE:,} bytes")
        if place.number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield Chunk(_json_text(line, field), ends_document=True)
        place.number += 1


def _json_text(line: bytes, field: str) -> bytes:
    r"""The text of a field; bytes that are not UTF-8 are kept.

    Example: _json_text(b'{"text": "a\\n\xff"}', "text") == b"a\n\xff"
    """
    try:
        value, is_utf8 = json.loads(line.decode()), True
    except UnicodeDecodeError:
        value, is_utf8 = json.loads(line.decode("utf-8", "surrogateescape")), False
    if not isinstance(value, dict):
        raise ValueError("it is JSON, but no object with fields")  # noqa: TRY004 - damage to the file, told with its place
    if field not in value:
        raise ValueError(f"there is no field {field!r}; there are {_listed(value)}")
    text = value[field]
    if not isinstance(text, str):
        raise ValueError(f"the field {field!r} holds no text but {json.dumps(text)[:40]}")  # noqa: TRY004 - as above
    return as_bytes(text) if is_utf8 else text.encode("utf-8", "surrogateescape")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))[:200] or "none"


def _parquet_rows(file: IO[bytes], place: _Place, field: str) -> Iterator[Chunk]:
    import pyarrow as pa
    from pyarrow import parquet

    place.unit = "row"
    try:
        table = parquet.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        schema = table.schema_arrow
        if field not in schema.names:
            raise ValueError(f"there is no column {field!r}; there are {_listed(schema.names)}")
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=[field], use_threads=False):
            column = batch.column(0)
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if not _holds_text(column.type):
                raise ValueError(f"the column {field!r} holds no text but {column.type}")
            for document in column.cast(pa.large_binary()).to_pylist():
                place.number += 1
                if document is None:
                    raise ValueError(f"the column {field!r} holds nothing here")
                yield Chunk(document, ends_document=True)
    except pa.ArrowException as err:
        raise ValueError(str(err)) from err


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    return any(
        is_kind(kind)
        for is_kind in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
        )
    )
