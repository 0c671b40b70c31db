"""What ties a job that an executor runs to its coordinator, where both are on one machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACES = (Path("/proc/self/ns/pid"), Path("/proc/self/ns/mnt"))


@dataclass(frozen=True, slots=True)
class Leash:
    """Tells a job whether its coordinator still wants it.

    It says nothing on another machine, where neither the coordinator's process nor its files can be seen.

    Attributes:
        place: Machine and container of the coordinator; empty where the system does not say.
        pid: Its process.
        started: When that process started, since a number is given again.
        sign: A file that is there for as long as the coordinator wants its jobs to run.
    """

    place: str
    pid: int
    started: float
    sign: Path

    def is_cut(self) -> bool:
        """Whether the coordinator is known to be gone, or to have given up what it had asked for."""
        if not self.place or _place() != self.place:
            return False
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        return not (alive and self.sign.exists())


@contextmanager
def holding() -> Iterator[Leash]:
    """Hold a leash; leaving the block cuts it, and so does the end of this process, however it comes."""
    with tempfile.TemporaryDirectory(prefix="pacbench-run-") as folder:
        sign = Path(folder, "wanted")
        sign.touch()
        yield Leash(_place(), os.getpid(), psutil.Process().create_time(), sign)


def _place() -> str:
    """Boot and namespaces: process numbers and paths mean the same wherever these agree."""
    with suppress(OSError):
        return " ".join([_BOOT.read_text(encoding="ascii").strip(), *(str(name.readlink()) for name in _NAMESPACES)])
    return ""
