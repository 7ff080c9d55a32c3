"""The 256 letters by which byte-level vocabularies write bytes as text, and the order that follows from them.

GPT-2 gave every byte a visible letter, so that any token can stand in a JSON file: bytes that print are
themselves, the other 68 take the letters from U+0100 on. So a space is written Ġ and a newline Ċ.
"""

import codecs

_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _VISIBLE)

# The bytes in the code point order of their letters: the order of ids in Hugging Face's trainer and in GPT-2's ranks.
BYTES_BY_LETTER: tuple[int, ...] = (*_VISIBLE, *_HIDDEN)

_LETTER_OF = {byte: chr(byte) for byte in _VISIBLE} | {byte: chr(0x100 + n) for n, byte in enumerate(_HIDDEN)}
_LETTERS = "".join(letter for _, letter in sorted(_LETTER_OF.items()))  # by byte, as charmap codecs have it
_BYTES = codecs.charmap_build(_LETTERS)


def to_letters(token: bytes) -> str:
    r"""Write bytes in the alphabet.

    Example: to_letters(b" a\n") == "ĠaĊ"
    """
    return codecs.charmap_decode(token, "strict", _LETTERS)[0]


def from_letters(text: str) -> bytes:
    r"""Read what `to_letters` wrote.

    Example: from_letters("ĠaĊ") == b" a\n"

    Raises:
        KeyError: a character that is not in the alphabet.
    """
    try:
        return codecs.charmap_encode(text, "strict", _BYTES)[0]
    except UnicodeEncodeError as err:
        raise KeyError(text[err.start]) from None
