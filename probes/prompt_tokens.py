"""How many tokens a prompt has where the model cannot count it: calibrated by what its server says of others."""

import math
from dataclasses import dataclass, field

from probes.models.base import Request

# Before anything is known. Bytes of UTF-8 and not characters: they come near for other scripts than Latin too.
FEWEST_BYTES_A_TOKEN, MOST_BYTES_A_TOKEN = 3.0, 7.0
OVERHEAD_TOKENS = 32  # of a chat template
MARGIN = 1.02


def prompt_bytes(request: Request) -> int:
    """The size of all messages and the continuation, in bytes of UTF-8."""
    texts = [message.content for message in request.messages] + [request.continuation or ""]
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)


@dataclass(slots=True)
class PromptTokens:
    """An estimate for one model that covers all that was seen; a guess as long as nothing was.

    Example:
        estimate = PromptTokens()
        estimate.saw(size=4_000, tokens=1_000)
        estimate.about(8_000) -> 2000
    """

    seen: dict[int, int] = field(default_factory=dict)  # the most tokens of a prompt of so many bytes
    _rate: float = 1 / FEWEST_BYTES_A_TOKEN
    _overhead: float = OVERHEAD_TOKENS

    @property
    def is_guess(self) -> bool:
        """Whether nothing was measured yet."""
        return not self.seen

    def saw(self, size: int, tokens: int) -> None:
        """Take note of a prompt of `size` bytes that has so many tokens."""
        longest = max(self.seen, default=0)
        if size <= longest and tokens <= self.about(size):
            return
        self.seen[size] = max(tokens, self.seen.get(size, 0))
        # Long prompts tell the rate, as a chat template hardly counts in them; what is beyond it in short ones is the
        # template's.
        longest = max(longest, size)
        self._rate = max(tokens / size for size, tokens in self.seen.items() if 2 * size >= longest)
        self._overhead = max(0.0, *(tokens - self._rate * size for size, tokens in self.seen.items()))

    def about(self, size: int) -> int:
        """The tokens of a prompt of `size` bytes; while it is a guess, rather too many than too few."""
        return math.ceil(self._overhead + self._rate * size)

    def most(self, size: int) -> int:
        """The tokens that a prompt of `size` bytes has at the most, as far as is known."""
        return self.about(size) if self.is_guess else math.ceil(MARGIN * self.about(size))

    def is_cut(self, size: int, tokens: int) -> bool:
        """Whether so few tokens for a prompt of `size` bytes mean that the server has cut it."""
        return size > 1_000 and tokens * MOST_BYTES_A_TOKEN * 1.5 < size
