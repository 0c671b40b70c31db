"""The named settings of the system's memory allocator that the jobs of a run get, all the same one.

What a call allocates and frees again is given back to the kernel by glibc where it is large, and every page of it is
faulted in again by the next call. Half of the time of a backend that stores large temporaries is then page faults.
With `kept` a process keeps its heap, as one does that runs a model again and again.
"""

from __future__ import annotations

from collections.abc import Mapping

from pacbench.errors import UnknownNameError

DEFAULT = "default"
KEPT = "kept"

ALLOCATORS: Mapping[str, Mapping[str, str]] = {
    KEPT: {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"},
    DEFAULT: {},
}
"""Environment variables of each setting, which glibc reads when a process starts (`man 3 mallopt`)."""


def with_allocator(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Environment variables of a process under a setting; `default` leaves what the user has set.

    Raises:
        UnknownNameError: no setting has that name.
    """
    if name not in ALLOCATORS:
        raise UnknownNameError("allocator", name, ALLOCATORS)
    return dict(environment) | dict(ALLOCATORS[name])


def without_kept_heap(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables of a process that gives its heap back, whatever this one does."""
    return {name: value for name, value in environment.items() if name not in ALLOCATORS[KEPT]}
