"""The recipes of tokens: the two parts that each is merged from, and whether ids alone can stand for them."""

from collections.abc import Mapping

from tokenizer.encoding import Tokenizer
from tokenizer.errors import UserError
from tokenizer.reference import NEVER, encode_piece

_SHOWN = 80  # bytes of a token in a message


def recover_merges(vocabulary: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merges behind ranks: the two parts into which a token falls when it may not be made itself.

    Example: the ranks b"a": 0, b"b": 1, ..., b"ab": 256, b"aba": 257 have the merges (a, b) and (ab, a).

    Raises:
        UserError: a token that no two earlier ones make; merges cannot say it.
    """
    merges = []
    for token in sorted((token for token in vocabulary if len(token) > 1), key=vocabulary.__getitem__):
        limit = vocabulary[token]

        def rank_of(left: bytes, right: bytes, limit: int = limit) -> int:
            rank = vocabulary.get(left + right, NEVER)
            return rank if rank < limit else NEVER

        parts = encode_piece(token, rank_of)
        if len(parts) != 2:
            raise UserError(
                f"ids would change: the token {readable(token)} (id {limit}) is not made of two others, "
                "so that no merge can say it",
                hint="keep this vocabulary in the file it came in, or write a .tiktoken file",
            )
        merges.append((parts[0], parts[1]))
    return merges


def merges_of(tokenizer: Tokenizer) -> list[tuple[bytes, bytes]]:
    """The merges of a tokenizer, best first; recovered if it has only ranks.

    Raises:
        UserError: they cannot be recovered.
    """
    return recover_merges(tokenizer.vocabulary) if tokenizer.merges is None else list(tokenizer.merges)


def check_ranks(tokenizer: Tokenizer) -> None:
    """Make sure that joining whatever makes the token of the smallest id, as tiktoken does, gives the same ids.

    Raises:
        UserError: it does not; the message names the token.
    """
    if tokenizer.merges is None and tokenizer.whole_pieces:
        return
    recovered = recover_merges(tokenizer.vocabulary)
    for ours, theirs in zip(merges_of(tokenizer), recovered, strict=False):
        if ours != theirs:
            token = readable(ours[0] + ours[1])
            raise UserError(
                f"ids would change: the token {token} is merged from {readable(ours[0])} and {readable(ours[1])}, and "
                f"its turn is not that of its id, by which ranks would merge {readable(theirs[0] + theirs[1])} "
                f"from {readable(theirs[0])} and {readable(theirs[1])}",
                hint="write a tokenizer.json, which holds the merges themselves",
            )
    if tokenizer.merges is not None and len(tokenizer.merges) != len(recovered):
        raise UserError(
            f"ids would change: there are {len(tokenizer.merges)} merges for {len(recovered)} tokens",
            hint="write a tokenizer.json, which holds the merges themselves",
        )


def check_pieces(tokenizer: Tokenizer) -> None:
    """Make sure that merging alone makes every token of its own text, so that no look-up of whole pieces is needed.

    Raises:
        UserError: a token is only ever found whole; the message names it.
    """
    if tokenizer.merges is None or not tokenizer.whole_pieces:
        return  # recovering the merges of ranks makes sure of it
    ranks = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
    for token in tokenizer.vocabulary:
        if len(encode_piece(token, lambda left, right: ranks.get((left, right), NEVER))) > 1:
            raise UserError(
                f"ids would change: the token {readable(token)} is only found when it is a whole piece, "
                "which this format cannot say",
                hint="write a tokenizer.json",
            )


def check_no_holes(tokenizer: Tokenizer) -> None:
    """Make sure that the ordinary tokens have the ids 0, 1, 2 ...

    Raises:
        UserError: an id is missing; the message says which, and which special token has it.
    """
    taken = set(tokenizer.vocabulary.values())
    hole = next(one for one in range(len(taken) + 1) if one not in taken)
    if hole < len(taken):
        owner = next((token for token, one in tokenizer.special_tokens.items() if one == hole), None)
        whose = f"is the special token {owner!r}" if owner else "is nobody's"
        raise UserError(
            f"ids would change: the id {hole} {whose}, and here the ordinary tokens must have the ids from 0 on",
            hint="train with --layout bytes, which puts special tokens last, or write a tokenizer.json",
        )


def check_no_literals(tokenizer: Tokenizer) -> None:
    """Make sure that no token must be read wherever its text stands.

    Raises:
        UserError: one must; only a tokenizer.json can say so.
    """
    if tokenizer.literal_tokens:
        raise UserError(
            f"ids would change: {min(tokenizer.literal_tokens)!r} is always read as a token, and only a "
            "tokenizer.json can say so",
            hint="write a tokenizer.json",
        )


def readable(token: bytes) -> str:
    r"""A token for a message: its text, or its bytes if it has none; cut short.

    Example: readable(b"a\n") == "'a\\n'"; readable(b"\xff") == "b'\\xff'"
    """
    more = " ..." if len(token) > _SHOWN else ""
    try:
        return repr(token[:_SHOWN].decode()) + more
    except UnicodeDecodeError:
        return repr(token[:_SHOWN]) + more
