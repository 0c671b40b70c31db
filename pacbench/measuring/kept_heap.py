"""A heap that is kept (``MALLOC_MMAP_MAX_=0``, as `pacbench bench` sets it), made measurable for a while.

A process that keeps its heap puts every block into free space of earlier ones. The kernel's high-water mark then says
little of a call: free space that is still resident hides what it allocates, and blocks that it frees stay resident
beside those that it allocates next. Within `measurable_heap` the free space is not resident and is set aside, and
large blocks are mapped and unmapped one by one, as glibc's own settings do it (`man 3 mallopt`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_GIVING_BACK = {_M_TRIM_THRESHOLD: 128 * 1024, _M_MMAP_MAX: 65536}  # glibc's own
_KEEPING = {_M_TRIM_THRESHOLD: -1, _M_MMAP_MAX: 0}  # -1: never
_LARGE_BYTES = 128 * 1024  # what glibc maps


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def give_back_free_memory() -> None:
    """Free heap stops being resident, whatever the allocator's settings are; with another C library, nothing."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@contextmanager
def measurable_heap() -> Iterator[None]:
    """Within, the kernel's high-water mark counts what is allocated; only a process that keeps its heap is changed."""
    glibc = _glibc() if os.environ.get("MALLOC_MMAP_MAX_") == "0" else None
    if glibc is None:
        give_back_free_memory()
        yield
        return
    for option, value in _GIVING_BACK.items():
        glibc.mallopt(option, value)
    give_back_free_memory()
    blocks = _set_aside(glibc)
    try:
        yield
    finally:
        for block in blocks:
            glibc.free(block)
        for option, value in _KEEPING.items():
            glibc.mallopt(option, value)


def _set_aside(glibc: ctypes.CDLL) -> list[int]:
    """Take the heap's large free blocks, without touching them; a block that was new to the process was not free."""
    taken: list[int] = []
    size = 1 << int(glibc.mallinfo2().fordblks).bit_length()
    while size >= _LARGE_BYTES:
        before = _extent(glibc)
        block = glibc.malloc(size)
        if block is not None and _extent(glibc) == before:
            taken.append(block)
            continue
        glibc.free(block)
        size //= 2
    return taken


def _extent(glibc: ctypes.CDLL) -> tuple[int, int]:
    """Bytes of the heap, and how many blocks are mapped beside it."""
    info = glibc.mallinfo2()
    return info.arena, info.hblks


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc 2.33 or newer."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallinfo2"):
        return None
    library.mallinfo2.restype = _MallInfo
    library.malloc.argtypes, library.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    library.free.argtypes, library.free.restype = (ctypes.c_void_p,), None
    return library
