"""Buffers, and the loads and stores through which kernels reach them.

All numbers are 64-bit integers with a sign, and wrap around: Numba silently makes floats of signed and unsigned ones
together. In the checked build every load and store looks up whether its bytes lie inside a buffer that is alive, and
each buffer has a margin of known bytes on both sides, which must be unchanged when the buffer is given back.
"""

import mmap
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from tokenizer.kernels.compiling import CHECKED, ForNumba, helper

Bytes = npt.NDArray[np.uint8]
_LARGE_PAGE = 1 << 21  # bytes
_MARGIN = 64
_CANARY = 0xA5
_INT64 = ir.IntType(64)

# ------------------------------------------------------------------------------------------------------- buffers

# The table of live buffers of the checked build: how many rows it has, then the first address and the end of each. A
# row stays where it is, and is 0 when its buffer has gone: other threads are in the middle of reading.
_MOST_REGIONS = 4096
_regions = np.zeros(1 + 2 * _MOST_REGIONS, np.int64)
_regions_lock = threading.Lock()
_REGIONS_ADDRESS = int(_regions.ctypes.data)


class Buffer:
    """Memory that kernels may use for as long as this object lives.

    Attributes:
        array: the bytes.
        address: where the first of them is.
    """

    def __init__(self, array: Bytes) -> None:
        self.array = array
        self.address = int(array.ctypes.data)

    def view(self, kind: npt.DTypeLike) -> npt.NDArray[Any]:
        """The bytes as numbers of another kind.

        Example: allocate(16).view(np.int64).tolist() == [0, 0]
        """
        return self.array.view(kind)


def allocate(size: int) -> Buffer:
    """A buffer of zeros. Large ones cost nothing until they are touched."""
    if not CHECKED:
        return Buffer(np.zeros(size + (-size) % 8, np.uint8))  # a multiple of 8, so that it can be viewed as numbers
    whole = np.full(size + 2 * _MARGIN, _CANARY, np.uint8)
    whole[_MARGIN : _MARGIN + size] = 0
    buffer = Buffer(whole[_MARGIN : _MARGIN + size])
    _watch(buffer, whole)
    return buffer


def allocate_table(size: int) -> Buffer:
    """The same for a table that is soon full: in large pages, where the machine has them.

    To touch a page for the first time takes as long as making a hundred entries.
    """
    if CHECKED or size < _LARGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return allocate(size)
    pages = mmap.mmap(-1, size + (-size) % _LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel may have none
        pages.madvise(mmap.MADV_HUGEPAGE)
    return Buffer(np.frombuffer(pages, np.uint8))


def borrow(data: bytes | bytearray | memoryview | npt.NDArray[Any]) -> Buffer:
    """Somebody else's bytes as a buffer, without a copy. Kernels must only read it, unless it is an array."""
    array = data.view(np.uint8).reshape(-1) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    buffer = Buffer(array)
    if CHECKED:
        _watch(buffer, None)
    return buffer


class Fields:
    """A row of numbers and addresses through which a kernel reaches what it works on, and the buffers it points to.

    A field is named by its place in bytes, as kernels use it: fields[8] is the second.
    """

    def __init__(self, count: int) -> None:
        self._row = allocate(8 * count)
        self._numbers = self._row.view(np.int64)
        self._buffers: dict[int, Buffer] = {}
        self.address = self._row.address

    def __getitem__(self, field: int) -> int:
        return int(self._numbers[field // 8])

    def __setitem__(self, field: int, value: int | Buffer) -> None:
        if isinstance(value, Buffer):
            self._buffers[field] = value
            value = value.address
        else:
            self._buffers.pop(field, None)
        self._numbers[field // 8] = value

    def buffer(self, field: int) -> Buffer:
        """The buffer to which a field points."""
        return self._buffers[field]


def _watch(buffer: Buffer, whole: Bytes | None) -> None:
    """Enter a buffer into the table until it is given back; `whole` is the memory with the margins."""
    start, end = buffer.address, buffer.address + buffer.array.size
    with _regions_lock:
        count = int(_regions[0])
        (free,) = np.nonzero(_regions[1 : 1 + 2 * count : 2] == 0)
        place = int(free[0]) if free.size else count
        if place == _MOST_REGIONS:
            raise MemoryError("too many buffers for the checked build")
        _regions[1 + 2 * place : 3 + 2 * place] = start, end
        _regions[0] = max(count, place + 1)
    weakref.finalize(buffer, _give_back, start, end, whole)


def _give_back(start: int, end: int, whole: Bytes | None) -> None:
    with _regions_lock:
        count = int(_regions[0])
        starts, ends = _regions[1 : 1 + 2 * count : 2], _regions[2 : 2 + 2 * count : 2]
        place = int(np.flatnonzero((starts == start) & (ends == end))[-1])
        _regions[1 + 2 * place : 3 + 2 * place] = 0
    if whole is not None and ((whole[:_MARGIN] != _CANARY).any() or (whole[-_MARGIN:] != _CANARY).any()):
        raise AssertionError("a kernel wrote outside a buffer")


# --------------------------------------------------------------------------------------------------- instructions

Build = Callable[[Any, list[Any]], Any]


def _instruction(parameters: int, build: Build) -> Callable[..., int]:
    """A function of integers that becomes the instructions which `build` emits."""

    def make() -> Any:
        from numba import types
        from numba.extending import intrinsic

        def emit(_context: Any, *arguments: Any) -> Any:
            return types.int64(*arguments), lambda _c, builder, _signature, values: build(builder, values)

        # Numba reads the number of parameters from the signature.
        names = ", ".join(f"a{number}" for number in range(parameters))
        scope: dict[str, Any] = {"emit": emit}
        exec(f"def instruction(typingctx, {names}): return emit(typingctx, {names})", scope)  # noqa: S102 - fixed text
        return intrinsic(scope["instruction"])

    return cast("Callable[..., int]", ForNumba(make))


def _load(bits: int, *, signed: bool = False) -> Callable[..., int]:
    def build(builder: Any, values: list[Any]) -> Any:
        kind = ir.IntType(bits)
        loaded = builder.load(builder.inttoptr(values[0], kind.as_pointer()))
        loaded.align = 1
        return loaded if bits == 64 else (builder.sext if signed else builder.zext)(loaded, _INT64)

    return _instruction(1, build)


def _store(bits: int) -> Callable[..., int]:
    def build(builder: Any, values: list[Any]) -> Any:
        kind = ir.IntType(bits)
        value = values[1] if bits == 64 else builder.trunc(values[1], kind)
        builder.store(value, builder.inttoptr(values[0], kind.as_pointer())).align = 1
        return values[1]

    return _instruction(2, build)


def _between(builder: Any, values: list[Any]) -> Any:
    wide, byte = ir.VectorType(ir.IntType(8), 64), ir.IntType(8)
    loaded = builder.load(builder.inttoptr(values[0], wide.as_pointer()))
    loaded.align = 1

    def each(value: Any) -> Any:
        undefined = ir.Constant(wide, ir.Undefined)
        one = builder.insert_element(undefined, builder.trunc(value, byte), ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))

    distance = builder.sub(values[2], values[1])
    found = builder.icmp_unsigned("<=", builder.sub(loaded, each(values[1])), each(distance))
    return builder.bitcast(found, _INT64)


def _least(builder: Any, values: list[Any]) -> Any:
    row = ir.VectorType(ir.IntType(32), 16)
    loaded = builder.load(builder.inttoptr(values[0], row.as_pointer()))
    loaded.align = 1
    name = "llvm.vector.reduce.smin.v16i32"
    known = builder.module.globals.get(name)
    function = known or ir.Function(builder.module, ir.FunctionType(ir.IntType(32), [row]), name)
    return builder.sext(builder.call(function, [loaded]), _INT64)


def _move(builder: Any, values: list[Any]) -> Any:
    pointer = ir.IntType(8).as_pointer()
    target, source = (builder.inttoptr(value, pointer) for value in values[:2])
    function = builder.module.declare_intrinsic("llvm.memmove", [pointer, pointer, _INT64])
    builder.call(function, [target, source, values[2], ir.Constant(ir.IntType(1), 0)])
    return values[2]


def _prefetch(builder: Any, values: list[Any]) -> Any:
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, *[ir.IntType(32)] * 3])
    name = "llvm.prefetch.p0"
    known = builder.module.globals.get(name)
    function = known if known is not None else ir.Function(builder.module, kind, name)
    constants = [ir.Constant(ir.IntType(32), value) for value in (0, 3, 1)]  # for reading, to be kept, data
    builder.call(function, [builder.inttoptr(values[0], pointer), *constants])
    return values[0]


def _multiply_fold(builder: Any, values: list[Any]) -> Any:
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(values[0], wide), builder.zext(values[1], wide))
    return builder.trunc(builder.xor(product, builder.lshr(product, ir.Constant(wide, 64))), _INT64)


_load_u8, _load_u16, _load_u32, _load_i32, _load_i64 = _load(8), _load(16), _load(32), _load(32, signed=True), _load(64)
_store_u8, _store_i32, _store_i64 = _store(8), _store(32), _store(64)
_between64, _least16 = _instruction(3, _between), _instruction(1, _least)
_move_bytes = _instruction(3, _move)

prefetch = _instruction(1, _prefetch)
multiply_fold = _instruction(2, _multiply_fold)  # both halves of a product of 128 bits, one upon the other: a good hash
shift_right = _instruction(2, lambda builder, values: builder.lshr(values[0], values[1]))  # zeros come in from the left
trailing_zeros = _instruction(
    1, lambda builder, values: builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))
)  # 0: 64
leading_zeros = _instruction(1, lambda builder, values: builder.ctlz(values[0], ir.Constant(ir.IntType(1), 0)))  # 0: 64


if CHECKED:
    from numba import cfunc

    def _lies_inside(address: int, size: int) -> int:
        for place in range(_load_i64(_REGIONS_ADDRESS)):
            region = _REGIONS_ADDRESS + 8 + 16 * place
            if address >= _load_i64(region) and address + size <= _load_i64(region + 8):
                return 1
        return 0

    _code = cast("Any", cfunc)("int64(int64, int64)")(_lies_inside)

    def _call(builder: Any, values: list[Any]) -> Any:
        pointer = ir.FunctionType(_INT64, [_INT64, _INT64]).as_pointer()
        return builder.call(builder.inttoptr(ir.Constant(_INT64, _code.address), pointer), values)

    _is_inside = _instruction(2, _call)  # a call: the loop itself, at each load and store, takes long to compile

    @helper
    def _check(address: int, size: int) -> None:
        if _is_inside(address, size) == 0:
            raise IndexError("a kernel reached outside its buffers")

else:

    @helper
    def _check(address: int, size: int) -> None:
        pass


@helper
def load_u8(address: int) -> int:
    """The byte at an address, 0 to 255."""
    _check(address, 1)
    return _load_u8(address)


@helper
def load_u16(address: int) -> int:
    """Two bytes, least first, without a sign."""
    _check(address, 2)
    return _load_u16(address)


@helper
def load_u32(address: int) -> int:
    """Four bytes, least first, without a sign."""
    _check(address, 4)
    return _load_u32(address)


@helper
def load_i32(address: int) -> int:
    """Four bytes, least first, with a sign."""
    _check(address, 4)
    return _load_i32(address)


@helper
def load_i64(address: int) -> int:
    """Eight bytes, least first."""
    _check(address, 8)
    return _load_i64(address)


@helper
def store_u8(address: int, value: int) -> None:
    """Write the lowest byte of a value."""
    _check(address, 1)
    _store_u8(address, value)


@helper
def store_i32(address: int, value: int) -> None:
    """Write the four lowest bytes of a value."""
    _check(address, 4)
    _store_i32(address, value)


@helper
def store_i64(address: int, value: int) -> None:
    """Write a value."""
    _check(address, 8)
    _store_i64(address, value)


@helper
def between64(address: int, first: int, last: int) -> int:
    """Bit n says whether the n-th of 64 bytes is from `first` to `last`, both included."""
    _check(address, 64)
    return _between64(address, first, last)


@helper
def least16(address: int) -> int:
    """The least of sixteen 32-bit numbers with a sign."""
    _check(address, 64)
    return _least16(address)


@helper
def copy(target: int, source: int, size: int) -> None:
    """Copy bytes; the two places may overlap."""
    if size > 0:
        _check(target, size)
        _check(source, size)
        _move_bytes(target, source, size)
