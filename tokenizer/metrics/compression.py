"""How much a tokenizer compresses, in bytes and characters per token, beside general compressors."""

import lzma
import zlib
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from tokenizer.metrics.corpus import Corpus, Encoded
from tokenizer.metrics.figures import Ratio, one_ratio

_LEAST_XZ, _MOST_XZ = 1 << 12, 1 << 26  # bytes that it can look back over: its own least, and those of `xz -9`


def bytes_per_token(corpus: Corpus, encoded: Encoded) -> Ratio:
    """Bytes over tokens, in each document. UTF-8 spends more bytes on some scripts: compare within a language."""
    return Ratio(corpus.sizes.astype(np.float64), corpus.in_documents(encoded.ends))


def characters_per_token(corpus: Corpus, encoded: Encoded) -> Ratio:
    """Characters (code points) over tokens, in each document."""
    return Ratio(corpus.characters, corpus.in_documents(encoded.ends))


def sequence_length(corpus: Corpus, encoded: Encoded, reference: Encoded) -> Ratio:
    """Normalized sequence length: tokens over those of another tokenizer on the same text (Dagan et al. 2024)."""
    return Ratio(corpus.in_documents(encoded.ends), corpus.in_documents(reference.ends))


def parallel_units(corpus: Corpus) -> tuple[list[list[int]], str]:
    """Where the parts of parallel files end that say the same, in bytes, and what they are called.

    Parts are documents where every file has the same number of them and more than one; else lines that are not blank;
    else each file is one part.
    """
    documents = [corpus.ends[files].tolist() for name, files in corpus.groups if name is not None]
    if len(set(map(len, documents))) == 1 and len(documents[0]) > 1:
        return documents, "documents"
    lines = []
    for name, files in corpus.groups:
        if name is not None:
            start = int(corpus.ends[files.start - 1]) if files.start else 0
            lines.append(_line_ends(b"".join(corpus.documents[files]), start))
    if len(set(map(len, lines))) == 1 and len(lines[0]) > 1:
        return lines, "lines"
    return [ends[-1:] for ends in documents], "files"


def _line_ends(data: bytes, start: int) -> list[int]:
    r"""Where each line ends that is not blank, blank ones after it included; those in front belong to the first.

    Example: _line_ends(b"a\n\nb\n", 0) == [3, 5]
    """
    ends: list[int] = []
    end, begun = start, False
    for line in data.splitlines(keepends=True):
        end += len(line)
        if begun and not line.strip():
            ends[-1] = end
        elif line.strip():
            ends.append(end)
            begun = True
    return ends


def parity(encoded: Encoded, ends: list[int], reference_ends: list[int], start: int, reference_start: int) -> Ratio:
    """Tokens of one text over those of a text that says the same in another language (Petrov et al. 2023).

    The ends are those of the parts of both, as `parallel_units` gives them. A token belongs to the part where it ends.
    """

    def tokens(part_ends: list[int], first: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        before = np.searchsorted(encoded.ends, [first, *part_ends], "right")
        return np.diff(before).astype(np.float64)

    return Ratio(tokens(ends, start), tokens(reference_ends, reference_start))


def compressors() -> dict[str, Callable[[bytes], bytes]]:
    """The general compressors that are on this machine, at strong settings: zlib 9, zstd 19 and xz 9."""
    found: dict[str, Callable[[bytes], bytes]] = {"zlib": lambda data: zlib.compress(data, 9)}
    if find_spec("zstandard") is not None:
        import zstandard

        found["zstd"] = zstandard.ZstdCompressor(level=19).compress
    found["xz"] = _xz
    return found


def _xz(data: bytes) -> bytes:
    """What `xz -9` makes of a text, without the time it takes for the 64 MB that no small text needs."""
    looks_back = min(max(_LEAST_XZ, 1 << len(data).bit_length()), _MOST_XZ)
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": looks_back}])


def compressed_bits(compress: Callable[[bytes], bytes], data: bytes) -> Ratio:
    """Bits that a compressor makes of a text as a file of its own, over the text's bytes."""
    return one_ratio(8 * len(compress(data)) if data else 0, len(data))
