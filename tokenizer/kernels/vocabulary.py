"""What encoding knows of a vocabulary, as tables in memory; made once for each vocabulary.

Inside the kernels a token is a *number*: the bytes are 0 to 255, then come the tokens that merges make, in the order
of their ranks. Its id is looked up when it is written. The tables are reached through one row of addresses and sizes:
the field names below are places in it.

pairs   a hash table of the merges, 8 bytes each: left number, right number and rank, 21 bits each; 0 is empty. In front
        of it are four bits for each place, of which a merge sets one: most pairs have none, and are done with there
tokens  a hash table of tokens by their bytes, 8 bytes each: half of the hash, and which row of TOKEN_ROWS it is; there
        16 bytes each: where the bytes are, size, id. The first row is not used, 0 is empty
recipes 16 bytes for each number: left part, right part, the longest other token that it begins with, its size
nodes   an open hash table of the steps from one beginning of a token to a longer one: node, byte, next node
"""

from tokenizer.kernels.compiling import helper, kernel
from tokenizer.kernels.memory import (
    copy,
    load_i32,
    load_i64,
    load_u8,
    load_u16,
    shift_right,
    store_i32,
    store_i64,
    store_u8,
)

(
    PAIRS,  # table, and by how much a hash is shifted to be a place in it
    PAIR_SHIFT,
    BYTE_PAIRS,  # the ranks of pairs of bytes, by both bytes: 32 bits each, 0 for none
    MADE,  # the number of the token that the merge of each rank makes, 32 bits each
    IDS,  # the id of each number, 32 bits each
    SIZES,  # the size in bytes of each number, 32 bits each
    TOKENS,
    TOKEN_SHIFT,
    TOKEN_ROWS,
    BYTES,  # the bytes of all tokens
    RECIPES,
    NODES,
    NODE_SHIFT,
    NUMBERS,  # how many numbers there are
    LINEAR,  # whether long pieces can be cut by `backtracking.py`
) = range(0, 8 * 15, 8)
FIELDS = 15

NUMBER_BITS = 21
MOST_NUMBERS = 1 << NUMBER_BITS
MOST_BYTES = 1 << 24  # of all tokens together; nodes have 24 bits
TOKEN_ROW = 16
RECIPE_ROW = 16
LEFT, RIGHT, PREFIX, SIZE = 0, 4, 8, 12
NEVER = MOST_NUMBERS  # the rank of two parts that no merge joins
SHORT_KEY = 15  # bytes; a key holds pieces of up to this many
LONG_KEY = -(1 << 63)  # marks the key of a longer one
MIX, MORE_MIX = 0x9E3779B97F4A7C15 - (1 << 64), 0x2545F4914F6CDD1D  # odd numbers without a pattern in their bits


# ------------------------------------------------------------------------------------------------------------- pairs


@helper
def find_pair(pairs: int, shift: int, left: int, right: int) -> int:
    """The rank of the merge of two tokens, or NEVER."""
    key = left << NUMBER_BITS | right
    hashed = key * MIX
    bit = shift_right(hashed, shift - 2)
    if load_u8(pairs + (bit >> 3)) >> (bit & 7) & 1 == 0:
        return NEVER
    slot = bit >> 2
    entries = pairs + (1 << (63 - shift))
    while True:
        entry = load_i64(entries + 8 * slot)
        if entry >> NUMBER_BITS == key:
            return entry & (MOST_NUMBERS - 1)
        if entry == 0:
            return NEVER
        slot = (slot + 1) & shift_right(-1, shift)


@helper
def enter_pair(vocabulary: int, left: int, right: int, rank: int) -> None:
    """Add a merge."""
    pairs, shift = load_i64(vocabulary + PAIRS), load_i64(vocabulary + PAIR_SHIFT)
    key = left << NUMBER_BITS | right
    bit = shift_right(key * MIX, shift - 2)
    store_u8(pairs + (bit >> 3), load_u8(pairs + (bit >> 3)) | 1 << (bit & 7))
    slot = bit >> 2
    entries = pairs + (1 << (63 - shift))
    while load_i64(entries + 8 * slot) != 0:
        slot = (slot + 1) & shift_right(-1, shift)
    store_i64(entries + 8 * slot, key << NUMBER_BITS | rank)
    if left < 256 and right < 256:
        store_i32(load_i64(vocabulary + BYTE_PAIRS) + 4 * (left | right << 8), rank)


@kernel("void(int64, int64, int64)")
def enter_pairs(vocabulary: int, rows: int, count: int) -> None:
    """Add merges: rows of left number, right number and rank, 64 bits each, no pair twice."""
    for row in range(rows, rows + 24 * count, 24):
        enter_pair(vocabulary, load_i64(row), load_i64(row + 8), load_i64(row + 16))


# -------------------------------------------------------------------------------------------------------------- keys


@helper
def long_hash(piece: int, size: int) -> int:
    """A hash of the bytes of a piece that is longer than SHORT_KEY."""
    value = size
    for place in range(piece, piece + size - 8, 8):
        value = (value ^ load_i64(place)) * MIX
        value ^= shift_right(value, 29)
    value = (value ^ load_i64(piece + size - 8)) * MIX
    return value ^ shift_right(value, 32)


@helper
def key_hash(low: int, high: int) -> int:
    """The hash of a key; its upper bits are a place in a table."""
    value = low ^ high * MORE_MIX
    return (value ^ shift_right(value, 32)) * MIX


@helper
def equal_bytes(one: int, other: int, size: int) -> int:
    """Whether the bytes at two places are the same; there must be eight at least."""
    for offset in range(0, size - 8, 8):
        if load_i64(one + offset) != load_i64(other + offset):
            return False
    return load_i64(one + size - 8) == load_i64(other + size - 8)


@helper
def find_token(vocabulary: int, low: int, hashed: int, piece: int, size: int) -> int:
    """The id of the token that has the bytes of a piece, by its key's lower part and hash; or -1."""
    tokens, shift = load_i64(vocabulary + TOKENS), load_i64(vocabulary + TOKEN_SHIFT)
    slot = shift_right(hashed, shift)
    while True:
        entry = load_i64(tokens + 8 * slot)
        if entry == 0:
            return -1
        row = load_i64(vocabulary + TOKEN_ROWS) + TOKEN_ROW * (entry & 0xFFFFFFFF)
        if (entry ^ hashed << 32) >> 32 == 0 and load_i32(row + 8) == size:
            token = load_i64(vocabulary + BYTES) + load_i64(row)
            if size >= 8:
                if equal_bytes(token, piece, size):
                    return load_i32(row + 12)
            elif (load_i64(token) ^ low) << (64 - 8 * size) == 0:
                return load_i32(row + 12)
        slot = (slot + 1) & shift_right(-1, shift)


@kernel("void(int64, int64, int64)")
def enter_tokens(vocabulary: int, count: int, scratch: int) -> None:
    """Add the tokens of TOKEN_ROWS from the second row on, no token twice; scratch is 16 bytes."""
    tokens, shift = load_i64(vocabulary + TOKENS), load_i64(vocabulary + TOKEN_SHIFT)
    for number in range(1, count):
        row = load_i64(vocabulary + TOKEN_ROWS) + TOKEN_ROW * number
        token, size = load_i64(vocabulary + BYTES) + load_i64(row), load_i32(row + 8)
        if size <= SHORT_KEY:
            store_i64(scratch, 0)
            store_i64(scratch + 8, size << 56)
            copy(scratch, token, size)
            hashed = key_hash(load_i64(scratch), load_i64(scratch + 8))
        else:
            hashed = key_hash(long_hash(token, size), LONG_KEY)
        slot = shift_right(hashed, shift)
        while load_i64(tokens + 8 * slot) != 0:
            slot = (slot + 1) & shift_right(-1, shift)
        store_i64(tokens + 8 * slot, hashed << 32 | number)


# ------------------------------------------------------------------------------------------------------------- nodes


@helper
def next_node(nodes: int, shift: int, node: int, byte: int) -> int:
    """The node after one more byte, or 0 if no token begins so. Nodes below NUMBERS are tokens, by their numbers."""
    key = node << 8 | byte
    slot = shift_right(key * MIX, shift)
    while True:
        entry = load_i64(nodes + 8 * slot)
        if entry >> 24 == key:
            return entry & (MOST_BYTES - 1)
        if entry == 0:
            return 0
        slot = (slot + 1) & shift_right(-1, shift)


@helper
def _enter_node(nodes: int, shift: int, node: int, byte: int, following: int) -> None:
    key = node << 8 | byte
    slot = shift_right(key * MIX, shift)
    while load_i64(nodes + 8 * slot) != 0:
        slot = (slot + 1) & shift_right(-1, shift)
    store_i64(nodes + 8 * slot, key << 24 | following)


@kernel("int64(int64, int64, int64, int64, int64, int64)")
def enter_nodes(vocabulary: int, nodes: int, shift: int, by_size: int, places: int, most: int) -> int:
    """Make the table of nodes, and note in each token's recipe the longest other token that it begins with.

    Args:
        vocabulary: the other tables.
        nodes: an empty table.
        shift: what NODE_SHIFT will be.
        by_size: the numbers of tokens, shorter ones first, 64 bits each, so that no node is taken for a mere beginning
            that is a token.
        places: where the bytes of each number are, 64 bits each.
        most: how many nodes the table has room for.

    Returns:
        Whether there was room.
    """
    count = load_i64(vocabulary + NUMBERS)
    fresh = count
    for place in range(by_size, by_size + 8 * count, 8):
        number = load_i64(place)
        recipe = load_i64(vocabulary + RECIPES) + RECIPE_ROW * number
        token = load_i64(vocabulary + BYTES) + load_i64(places + 8 * number)
        size = load_i32(recipe + SIZE)
        node = load_u8(token)
        prefix = node
        for offset in range(1, size):
            byte = load_u8(token + offset)
            following = next_node(nodes, shift, node, byte)
            if following == 0:
                if fresh == most:
                    return False
                following = number
                if offset < size - 1:
                    following = fresh
                    fresh += 1
                _enter_node(nodes, shift, node, byte, following)
            node = following
            if node < count and offset < size - 1:
                prefix = node
        store_i32(recipe + PREFIX, prefix if size > 1 else -1)
    return True


@kernel("int64(int64, int64, int64, int64)")
def find_sums(vocabulary: int, places: int, rows: int, most: int) -> int:
    """Find every two tokens whose bytes together are a token: the merges of a vocabulary that lists ranks alone.

    Args:
        vocabulary: the tables, with nodes.
        places: where the bytes of each number are, 64 bits each.
        rows: where to write them, as `enter_pairs` takes them.
        most: how many of them there is room for; no more are looked for.

    Returns:
        How many were found.
    """
    count = load_i64(vocabulary + NUMBERS)
    nodes, shift = load_i64(vocabulary + NODES), load_i64(vocabulary + NODE_SHIFT)
    sizes, recipes = load_i64(vocabulary + SIZES), load_i64(vocabulary + RECIPES)
    row, last = rows, rows + 24 * most
    for number in range(256, count):
        token = load_i64(vocabulary + BYTES) + load_i64(places + 8 * number)
        size = load_i32(sizes + 4 * number)
        left = load_i32(recipes + RECIPE_ROW * number + PREFIX)
        while left >= 0 and row < last:
            cut = load_i32(sizes + 4 * left)
            right = load_u8(token + cut)
            for offset in range(cut + 1, size):
                right = next_node(nodes, shift, right, load_u8(token + offset))
                if right == 0:
                    right = count
                    break
            if right < count:
                store_i64(row, left)
                store_i64(row + 8, right)
                store_i64(row + 16, number)
                row += 24
            left = load_i32(recipes + RECIPE_ROW * left + PREFIX)
    return (row - rows) // 24


@helper
def byte_pair_rank(vocabulary: int, place: int) -> int:
    """The rank of the merge of the two bytes at a place, or NEVER."""
    rank = load_i32(load_i64(vocabulary + BYTE_PAIRS) + 4 * load_u16(place))
    return rank if rank != 0 else NEVER
