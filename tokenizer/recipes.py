"""Of which two tokens each token is made: its recipe, the tree of recipes below it, and what it is a part of."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from tokenizer import reference
from tokenizer.encoding import Tokenizer
from tokenizer.packed import PackedMerges

Recipe = tuple[bytes, bytes]


class Recipes:
    """The recipes of one tokenizer.

    Where the merges are listed, a token's recipe is the first merge that makes it. Where any two parts may be joined
    whose sum is a token (as in tiktoken), it is what merging by the ranks below its own leaves of it, if that is two
    parts. Bytes have none, nor have tokens that no merge makes.

    Example: Recipes(cl100k).of(b" the") == (b" th", b"e")
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[bytes, Recipe | None] = {}

    def of(self, token: bytes) -> Recipe | None:
        """The two tokens that are joined to make this one; None if it is a byte, or no merge makes it."""
        if token not in self._known:
            self._known[token] = self._found(token)
        return self._known[token]

    def rank(self, token: bytes) -> int | None:
        """The rank of the merge that makes a token."""
        recipe = self.of(token)
        return None if recipe is None else self._tokenizer.merge_rank(*recipe)

    def depth(self, token: bytes) -> int:
        """How many merges lie one above the other: 0 for a byte.

        Example: Recipes(cl100k).depth(b" the") == 3
        """
        recipe = self.of(token)
        return 0 if recipe is None else 1 + max(map(self.depth, recipe))

    def users(self, token: bytes) -> Sequence[bytes]:
        """The tokens whose recipe has this one as a part, by rank."""
        if self._tokenizer.merges is not None:
            made = (left + right for left, right in self._tokenizer.merges if token in (left, right))
            return [each for each in dict.fromkeys(made) if token in (self.of(each) or ())]
        longer = (
            each
            for each in self._tokenizer.vocabulary
            if len(each) > len(token) and (each.startswith(token) or each.endswith(token))
        )
        return [
            each
            for each in sorted(longer, key=self._tokenizer.vocabulary.__getitem__)
            if token in (self.of(each) or ())
        ]

    def parts(self, token: bytes) -> Iterator[bytes]:
        """All tokens in the tree of this one, itself first, then the left part's tree and the right part's."""
        yield token
        for part in self.of(token) or ():
            yield from self.parts(part)

    @cached_property
    def _listed(self) -> dict[bytes, Recipe]:
        """The first merge that makes each token."""
        found: dict[bytes, Recipe] = {}
        for left, right in self._tokenizer.merges or ():
            found.setdefault(left + right, (left, right))
        return found

    def _found(self, token: bytes) -> Recipe | None:
        merges = self._tokenizer.merges
        if merges is not None:
            return merges.recipe(token) if isinstance(merges, PackedMerges) else self._listed.get(token)
        own = self._tokenizer.id_of(token)
        if own is None or len(token) < 2:
            return None

        rank_of = self._tokenizer.vocabulary.get  # as `merge_rank` has it, and much quicker for a whole vocabulary

        def earlier(left: bytes, right: bytes) -> int:
            rank = rank_of(left + right, own)
            return rank if rank < own else reference.NEVER

        parts = reference.encode_piece(token, earlier)
        return (parts[0], parts[1]) if len(parts) == 2 else None
