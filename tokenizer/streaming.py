"""Text from ids that come one by one, as a model writes them."""

import codecs
from collections.abc import Callable


class StreamDecoder:
    r"""Gives the text of each id as soon as it is sure: never half a character.

    What it gives, joined, is what `Tokenizer.decode` makes of all the ids.

    Example: with a token for each byte
        decoder = tokenizer.stream_decoder()
        decoder.feed(0xC3) == ""
        decoder.feed(0xA9) == "é"
        decoder.finish() == ""
    """

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """Take the next id; the text that is complete now, which may be empty.

        Raises:
            UserError: no token has this id.
        """
        return self._decoder.decode(self._token_bytes(token_id))

    def finish(self) -> str:
        """The end: U+FFFD for a character that stayed incomplete. The next id begins a new text."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
