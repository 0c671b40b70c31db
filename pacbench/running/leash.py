"""What ties a job that an executor runs to its coordinator, where both are on one machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ENDED = ("Z", "X")
"""States of a process that has ended and is still listed."""

_NAMESPACES = (Path("/proc/self/ns/pid"), Path("/proc/self/ns/mnt"))


@dataclass(frozen=True, slots=True)
class Leash:
    """Tells a job whether its coordinator still wants it.

    It says nothing on another machine, where neither the coordinator's process nor its files can be seen.

    Attributes:
        place: Machine and container of the coordinator; empty where the system does not say.
        pid: Its process.
        started: When that process started, in clock ticks since boot: a number is given again, and a time of day would
            move with the system's clock while jobs run.
        sign: A file that is there for as long as the coordinator wants its jobs to run.
    """

    place: str
    pid: int
    started: int
    sign: Path

    def is_cut(self) -> bool:
        """Whether the coordinator is known to be gone, or to have given up what it had asked for."""
        if not self.place or _place() != self.place:
            return False
        try:
            self.sign.stat()
            state, started = _stat(self.pid)
        except PermissionError:  # another user's: nothing can be seen of it
            return False
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state in _ENDED or started != self.started


@contextmanager
def holding() -> Iterator[Leash]:
    """Hold a leash; leaving the block cuts it, and so does the end of this process, however it comes."""
    with tempfile.TemporaryDirectory(prefix="pacbench-run-") as folder:
        sign = Path(folder, "wanted")
        sign.touch()
        place = _place()
        yield Leash(place, os.getpid(), _stat(os.getpid())[1] if place else 0, sign)


def _stat(pid: int) -> tuple[str, int]:
    """A process's state, and when it started in clock ticks since boot (proc(5), fields 3 and 22)."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return after_name[0], int(after_name[19])


def _place() -> str:
    """Boot and namespaces: process numbers and paths mean the same wherever these agree."""
    with suppress(OSError):
        return " ".join([_BOOT.read_text(encoding="ascii").strip(), *(str(name.readlink()) for name in _NAMESPACES)])
    return ""
