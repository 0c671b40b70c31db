"""The compiled library: finding it, loading it once, and choosing the instruction set that serves the calls.

The environment variable PACBENCH_NATIVE_ISA (``avx512``, ``avx2`` or ``portable``) forces an instruction set,
PACBENCH_NATIVE_LIBRARY names another build of the library (one with sanitizers, say); both are read when the library
is first needed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, cast

import torch

from pacbench.capabilities import Reason
from pacbench.forked import is_forked_child

ISA_VARIABLE = "PACBENCH_NATIVE_ISA"
LIBRARY_VARIABLE = "PACBENCH_NATIVE_LIBRARY"
ISAS = ("portable", "avx2", "avx512")
"""Instruction sets by the number that `pacbench_native_best_isa` gives them."""

SCALARS = {torch.float32: "float32", torch.float64: "float64"}
"""What the kernels compute in."""

_INTEGERS = (
    "batch in_channels out_channels guide_channels height width out_height out_width kernel_height kernel_width "
    "stride_height stride_width padding_height padding_width dilation_height dilation_width transposed shared_filters "
    "kernel_channels form asymmetric normalize alpha_count lambda_count softmax threads"
)
_POINTERS = (
    "input guide centres mask kernel weight bias base inv_alpha inv_lambda grad_output output output_mask grad_input "
    "grad_guide grad_centres grad_kernel grad_weight grad_bias grad_inv_alpha grad_inv_lambda"
)
REBUILD = "python -m pacbench.backends.native.build (needs a C++ compiler, such as the package g++)"


class PacCall(ctypes.Structure):
    """The struct of that name in `kernels/call.h`; a field that is not given is 0, or no tensor."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS.split()),
        ("message_weight", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _POINTERS.split()),
    )


_Message = ctypes.c_char * 512


class Unusable(Exception):  # noqa: N818 - it carries a reason to who asked for the library
    """Why the library cannot serve calls here."""

    def __init__(self, text: str, mend: str) -> None:
        super().__init__(f"{text}; to mend it: {mend}")
        self.reason = Reason(text, mend)


class Library:
    """The library's functions for one instruction set.

    Attributes:
        path: The file that was loaded.
        isa: The instruction set, one of ISAS.
    """

    def __init__(self, path: Path, handle: ctypes.CDLL, isa: str) -> None:
        self.path = path
        self.isa = isa
        self._handle = handle
        self._functions: dict[tuple[str, torch.dtype], Callable[..., int]] = {}
        self.expect_size(PacCall, "pacbench_native_call_size")
        self._function("forward", torch.float32, PacCall, isa)  # AttributeError where this one was not compiled

    def run(self, operation: str, dtype: torch.dtype, call: ctypes.Structure, isa: str | None = None) -> None:
        """Compute a call, whose tensors are of that dtype.

        Args:
            operation: As the library names its function, such as "forward".
            dtype: One of SCALARS.
            call: The struct that the function takes.
            isa: The instruction set that the function was compiled for, if it was not for the library's own.

        Raises:
            AttributeError: the library has no such function.
            RuntimeError: the kernels could not (memory); their message.
            ValueError: the kernels refuse what they got; their message.
        """
        function = self._functions.get((operation, dtype))
        if function is None:
            function = self._functions[operation, dtype] = self._function(operation, dtype, type(call), isa or self.isa)
        message = _Message()
        if function(call, message, len(message)):
            said = message.value.decode(errors="replace")
            raise ValueError(said) if said.startswith("got ") else RuntimeError(f"backend native: {said}")

    def expect_size(self, call: type[ctypes.Structure], name: str) -> None:
        """Make sure that a struct of calls is the library's own; `name` is of the function that says its size.

        Raises:
            AttributeError: the library is of another version.
        """
        size = self.bound(name, ctypes.c_int64)()
        if size != ctypes.sizeof(call):
            raise AttributeError(f"{call.__name__} of {ctypes.sizeof(call)} bytes: its own has {size}")

    def _function(
        self, operation: str, dtype: torch.dtype, call: type[ctypes.Structure], isa: str
    ) -> Callable[..., int]:
        name = f"pacbench_native_{operation}_{SCALARS[dtype]}_{isa}"
        return self.bound(name, ctypes.c_int, ctypes.POINTER(call), ctypes.c_char_p, ctypes.c_int64)

    def bound(self, name: str, result: Any, *arguments: Any) -> Callable[..., int]:
        """A function of the library by its full name, with the ctypes of its result and arguments.

        Raises:
            AttributeError: the library has no such function.
        """
        function = getattr(self._handle, name)
        function.argtypes, function.restype = arguments, result
        return cast("Callable[..., int]", function)


_lock = RLock()
_loaded: dict[str, Library | Unusable] = {}
_current: Library | None = None


def threads() -> int:
    """Threads of a call: as many as torch has, one in a forked child."""
    return 1 if is_forked_child() else torch.get_num_threads()


def current() -> Library:
    """The library by which calls are computed: PACBENCH_NATIVE_ISA's instruction set, or the processor's best.

    Raises:
        Unusable: there is none here.
    """
    return _current if _current is not None else _use(load(os.environ.get(ISA_VARIABLE) or None))


def missing() -> list[Reason]:
    """Why there is no library to compute with here; empty where there is one."""
    if _current is not None:
        return []
    try:
        current()
    except Unusable as unusable:
        return [unusable.reason]
    return []


def load(isa: str | None = None) -> Library:
    """The library with an instruction set, by default the best that processor and operating system run.

    Raises:
        Unusable: the library is not built, does not load, or the processor lacks the instruction set.
    """
    key = isa or ""
    with _lock:
        if key not in _loaded:
            try:
                _loaded[key] = _load(isa)
            except Unusable as unusable:
                _loaded[key] = unusable
        found = _loaded[key]
    if isinstance(found, Unusable):
        raise found
    return found


@contextmanager
def use_isa(isa: str) -> Iterator[Library]:
    """Compute every call of this process inside the `with` block with one instruction set.

    Raises:
        Unusable: as for `load`.
    """
    before = _current
    try:
        yield _use(load(isa))
    finally:
        _use(before)


def _use(library: Library | None) -> Library:
    global _current
    _current = library
    return library  # type: ignore[return-value]


def _load(isa: str | None) -> Library:
    path = _path()
    handle = _opened(path)
    try:
        best = ISAS[handle.pacbench_native_best_isa()]
        return Library(path, handle, best if isa is None else _runnable(isa, best))
    except AttributeError as error:
        raise Unusable(f"{path} lacks {error}", f"build it again by {REBUILD}") from error


def _runnable(isa: str, best: str) -> str:
    if isa not in ISAS:
        raise Unusable(f"{ISA_VARIABLE}: got {isa!r}, expected one of {', '.join(ISAS)}", "correct or unset it")
    if ISAS.index(isa) > ISAS.index(best):
        raise Unusable(f"{ISA_VARIABLE}: got {isa!r}, but this processor runs {best} at best", f"set it to {best}")
    return isa


def _path() -> Path:
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise Unusable(f"{LIBRARY_VARIABLE}: got {named}, which is no file", "correct or unset it")
        return Path(named)
    # here, not above: build.py is also run as a module, which must then not have been imported before
    from .build import HERE, LIBRARY, NOT_BUILT

    path, note = HERE / LIBRARY, HERE / NOT_BUILT
    if path.is_file():
        return path
    why = f": {note.read_text(encoding='utf-8').strip()}" if note.is_file() else ""
    raise Unusable(f"the library is not built{why}", REBUILD)


def _opened(path: Path) -> ctypes.CDLL:
    """The library, its OpenMP being the one that torch has loaded: importing torch made that visible, or it is now."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as first:
        try:
            for runtime in sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*")):
                ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
        except OSError:
            raise Unusable(f"{path} does not load: {first}", f"build it for this machine by {REBUILD}") from first
