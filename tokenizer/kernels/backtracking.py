"""Cut one piece into tokens in linear time, for vocabularies where every token has one recipe.

There a row of tokens is what merging gives if and only if this holds for each two neighbours by themselves. So it is
enough to walk from left to right, always with the longest token that may stand beside the one before it, and to go
back where none may. From no place the walk fails twice, because failed places are remembered: that is linear. (The
algorithm of GitHub's `bpe` crate.)
"""

from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import load_i32, load_i64, load_u8, store_i32, store_u8
from tokenizer.kernels.vocabulary import (
    IDS,
    LEFT,
    NEVER,
    NODE_SHIFT,
    NODES,
    NUMBERS,
    PAIR_SHIFT,
    PAIRS,
    PREFIX,
    RECIPE_ROW,
    RECIPES,
    RIGHT,
    SIZE,
    find_pair,
    next_node,
)

_NOTHING = 1 << 62  # no merge is later than this


@helper
def _may_stand_together(pairs: int, shift: int, recipes: int, left: int, right: int) -> int:
    """Whether merging the bytes of two tokens gives these two tokens.

    Both are taken apart, the later merge first: what lies at the seam must not have been joined by a merge that came
    before one of those that made the tokens.
    """
    limit = _NOTHING
    while True:
        if find_pair(pairs, shift, left, right) < min(limit, NEVER):
            return False
        is_left = left > right
        later = left if is_left else right
        if later < 256:
            return True
        part = load_i32(recipes + RECIPE_ROW * later + (RIGHT if is_left else LEFT))
        limit = later if is_left else later + 1
        left = part if is_left else left
        right = right if is_left else part


@helper
def _longest_token(nodes: int, shift: int, numbers: int, place: int, stop: int) -> int:
    """The number of the longest token that begins at a place."""
    node = load_u8(place)
    longest = node
    place += 1
    while place < stop:
        node = next_node(nodes, shift, node, load_u8(place))
        if node == 0:
            break
        if node < numbers:
            longest = node
        place += 1
    return longest


@kernel("int64(int64, int64, int64, int64, int64)")
def backtrack(vocabulary: int, piece: int, size: int, dead: int, out: int) -> int:
    """Cut a piece; write the ids of its tokens, 32 bits each, and return how many there are.

    Args:
        vocabulary: the tables, with nodes.
        piece: the address of its bytes.
        size: how many there are.
        dead: scratch, one bit for each byte and one more, cleared: the places from which no walk leads to the end.
        out: room for as many ids as there are bytes.
    """
    pairs, pair_shift = load_i64(vocabulary + PAIRS), load_i64(vocabulary + PAIR_SHIFT)
    nodes, node_shift = load_i64(vocabulary + NODES), load_i64(vocabulary + NODE_SHIFT)
    numbers, recipes = load_i64(vocabulary + NUMBERS), load_i64(vocabulary + RECIPES)
    for place in range(dead, dead + (size >> 3) + 1):
        store_u8(place, 0)
    stop = piece + size
    position, count = 0, 0
    token = _longest_token(nodes, node_shift, numbers, piece, stop)
    while position < size:
        end = position + load_i32(recipes + RECIPE_ROW * token + SIZE)
        fits: int = load_u8(dead + (end >> 3)) >> (end & 7) & 1 == 0
        if fits and count > 0:
            before = load_i32(out + 4 * count - 4)
            fits = _may_stand_together(pairs, pair_shift, recipes, before, token)
        if fits:
            store_i32(out + 4 * count, token)
            count += 1
            position = end
            if end < size:
                token = _longest_token(nodes, node_shift, numbers, piece + end, stop)
            continue
        token = load_i32(recipes + RECIPE_ROW * token + PREFIX)
        if token < 0:
            store_u8(dead + (position >> 3), load_u8(dead + (position >> 3)) | 1 << (position & 7))
            count -= 1
            token = load_i32(out + 4 * count)
            position -= load_i32(recipes + RECIPE_ROW * token + SIZE)
    ids = load_i64(vocabulary + IDS)
    for place in range(out, out + 4 * count, 4):
        store_i32(place, load_i32(ids + 4 * load_i32(place)))
    return count
