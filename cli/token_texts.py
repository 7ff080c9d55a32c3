"""What programs are told of a token's bytes: their text, where they are one, and their hexadecimal digits."""

from collections.abc import Sequence


def token_texts(data: bytes) -> dict[str, str | None]:
    """A token's text, which is unknown when its bytes are no whole characters, and its bytes in hexadecimal."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"text": text, "bytes_hex": data.hex()}


def words_of(tokens: Sequence[bytes]) -> dict[str, list[str | None]]:
    """The `token_texts` of very many tokens, which come again and again, in columns."""
    kinds = {token: token_texts(token) for token in set(tokens)}
    found = {}
    for key in ("text", "bytes_hex"):
        shown = {token: texts[key] for token, texts in kinds.items()}
        found[key] = list(map(shown.__getitem__, tokens))
    return found
