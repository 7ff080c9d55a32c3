"""Turn functions into machine code, once for each machine.

Numba compiles a kernel when it is first called. The machine code is kept as a file, and later processes load that
without Numba, whose import would take them most of a second. Files lie under a directory whose name is the hash of
this package's sources and of whatever else the code depends on, so nothing stale is ever used.
"""

import ctypes
import hashlib
import os
import platform
import stat
import tempfile
import threading
from collections.abc import Callable
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite.binding as llvm

from tokenizer import engines
from tokenizer.errors import UserError
from tokenizer.places import cache_directory

P = ParamSpec("P")
R = TypeVar("R")

CHECKED = os.environ.get("NEEDLEPOINT_CHECKED_KERNELS") == "1"
_lock = threading.RLock()


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function of 64-bit integers that Python calls; the interpreter's lock is given up meanwhile.

    Example: kernel("int64(int64, int64)")
    """

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        return cast("Callable[P, R]", _Kernel(function, signature))

    return compiled


def helper(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only kernels call, always into its caller: three times as fast as a call.

    Python never calls it, so it gets none of the wrappers for that, each of which would hold the function once more.
    """
    settings = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Callable[P, R]", ForNumba(lambda: _numba().njit(forceinline=True, **settings)(function)))


def make_ready(*kernels: Callable[..., object]) -> None:
    """Compile or load kernels now, rather than at their first call."""
    for each in kernels:
        assert isinstance(each, _Kernel)
        each.make_ready()


class ForNumba:
    """What Numba knows to compile, made when Numba meets its name in a kernel, and never for code that was kept."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        self._made = self._make()  # the type does not keep it alive
        cpu_target.typing_context.refresh()  # it may be new
        return cpu_target.typing_context.resolve_value_type(self._made)


class _Kernel:
    """A function that is compiled, or loaded, when it is first called."""

    def __init__(self, function: Callable[..., object], signature: str) -> None:
        self._function = function
        self._signature = signature
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: int) -> int:
        result, problem = ctypes.c_int64(), ctypes.c_void_p()
        if self._entry(ctypes.byref(result), ctypes.byref(problem), *arguments):
            raise IndexError("a kernel reached outside its buffers")
        return result.value

    def make_ready(self) -> None:
        """Compile or load it, unless that was done."""
        _ = self._entry

    @cached_property
    def _dispatcher(self) -> Any:
        settings = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        return _numba().njit(self._signature, **settings)(self._function)

    @cached_property
    def _numba_type_(self) -> Any:
        return _numba().typeof(self._dispatcher)

    @cached_property
    def _entry(self) -> Callable[..., int]:
        """The machine code as Numba lays it out: it writes its result where the first argument says."""
        with _lock:
            name = f"{self._function.__module__}.{self._function.__name__}"
            symbol, code = _kept(name) or self._compile(name)
            address = _load(symbol, code)
        words = [ctypes.c_int64] * self._function.__code__.co_argcount
        return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *words)(address)

    def _compile(self, name: str) -> tuple[str, bytes]:
        _announce_compilation(kept=_code_directory() is not None)
        (compiled,) = self._dispatcher.overloads.values()
        symbol, code = compiled.fndesc.llvm_func_name, compiled.library._get_compiled_object()  # noqa: SLF001 - the only way
        _keep(name, symbol, code)
        return symbol, code


def _numba() -> Any:
    import numba

    return numba


# ----------------------------------------------------------------------------------------------------- kept code


@cache
def _engine() -> Any:
    """Where machine code lives in this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _load(symbol: str, code: bytes) -> int:
    """The address of a function of an object file."""
    _engine().add_object_file(llvm.ObjectFileRef.from_data(code))
    _engine().finalize_object()
    return int(_engine().get_function_address(symbol))


def _kept(name: str) -> tuple[str, bytes] | None:
    """The symbol and the object file of a kernel that was compiled before; None if it is not there, or damaged."""
    if (directory := _code_directory()) is None:
        return None
    path = Path(directory, name)
    try:
        if not _is_ours_alone(path.stat()):
            return None
        content = path.read_bytes()
    except OSError:
        return None
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return None
    symbol, _, code = rest.partition(b"\n")
    return symbol.decode(), code


def _is_ours_alone(status: os.stat_result) -> bool:
    """Whether this is a plain file that nobody else may write to: what is in it will be run."""
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return stat.S_ISREG(status.st_mode) and is_own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(name: str, symbol: str, code: bytes) -> None:
    if (directory := _code_directory()) is None:
        return
    rest = symbol.encode() + b"\n" + code
    temporary = Path(directory, f".{name}.{os.getpid()}")
    try:
        temporary.write_bytes(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
        temporary.chmod(0o600)
        temporary.replace(Path(directory, name))
    except OSError:  # a full disk: the next process compiles again
        temporary.unlink(missing_ok=True)


@cache
def _announce_compilation(*, kept: bool) -> None:
    once = "once" if kept else "each time, because it cannot be kept anywhere (set NEEDLEPOINT_HOME)"
    engines.announce(f"compiling the tokenizer's engine for this machine, {once}; this takes some seconds")


@cache
def _code_directory() -> str | None:
    """Where compiled code of exactly these sources is kept, or None where nothing can be written.

    Checked code is never kept: it holds the address of its own table of buffers.
    """
    if CHECKED:
        return None
    machine = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), platform.machine(), platform.system())
    digest = hashlib.sha256(repr((*machine, version("numba"), version("llvmlite"))).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    try:
        place = cache_directory("kernels", digest.hexdigest()[:16])
        with tempfile.TemporaryFile(dir=place):  # a directory that exists may still not be writable
            return str(place)
    except (UserError, OSError):
        return None


# Without kept code Numba is needed at once; where it is broken, its error belongs to the import of this module.
if _code_directory() is None or not any(Path(_code_directory() or "").iterdir()):
    _numba()
