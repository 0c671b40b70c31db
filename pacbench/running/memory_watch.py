"""How much memory a job has, and how much it may have.

A limit on the address space (RLIMIT_AS) would count what torch reserves and never touches, and a cgroup needs rights
that a user seldom has; what is watched is therefore resident memory, several times a second.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil

INTERVAL_S = 0.1
_CHILDREN_EVERY_S = 2.0
"""Looking for children reads every process of the machine, which a measurement would feel."""

_SHARE_OF_MEMORY = 0.9
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


def default_limit_bytes() -> int:
    """90 % of this machine's memory, or of what its container may use: a job is ended before the kernel ends others."""
    total = int(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):
        total = min(total, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    return int(_SHARE_OF_MEMORY * total)


class MemoryWatch:
    """Resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process: psutil.Process | None = None
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)
        self._children: list[psutil.Process] = []
        self._looked = time.monotonic()

    def resident_bytes(self) -> int:
        """Bytes that are resident now; 0 for a process that has ended."""
        if self._process is None:
            return 0
        if time.monotonic() - self._looked >= _CHILDREN_EVERY_S:
            self._looked = time.monotonic()
            with suppress(psutil.Error):
                self._children = self._process.children(recursive=True)
        total = 0
        for process in (self._process, *self._children):
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total


def kernel_kills() -> int | None:
    """How many processes of this container the kernel has killed for want of memory; None where it does not say."""
    with suppress(OSError, ValueError):
        for line in _CGROUP_EVENTS.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None
