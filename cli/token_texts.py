"""What programs are told of a token's bytes: their text, where they are one, and their hexadecimal digits."""

from collections.abc import Sequence


def token_texts(data: bytes) -> dict[str, str | None]:
    """A token's text, which is unknown when its bytes are no whole characters, and its bytes in hexadecimal."""
    return {"text": _text_of(data), "bytes_hex": data.hex()}


def words_of(tokens: Sequence[bytes]) -> dict[str, list[str | None]]:
    """The `token_texts` of very many tokens, which come again and again, in columns."""
    kinds = set(tokens)
    texts: dict[bytes, str | None] = {token: _text_of(token) for token in kinds}
    digits: dict[bytes, str | None] = {token: token.hex() for token in kinds}
    return {"text": list(map(texts.__getitem__, tokens)), "bytes_hex": list(map(digits.__getitem__, tokens))}


def _text_of(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
