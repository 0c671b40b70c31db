"""One run in one folder: a lock that its jobs hold too, so that it outlives a coordinator that was killed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .probes import RunError

LOCK = "run.lock"
_PATIENCE_S = 5.0
"""How long the jobs of a coordinator that was killed may take to notice."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock; gives the file descriptor that jobs inherit.

    The system releases the lock when the last process that holds it has ended, however it ended.

    Raises:
        RunError: another run is at work in the folder, or a job that one left behind.
        OSError: the folder cannot be written.
    """
    path = folder / LOCK
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _acquire(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> None:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            if _is_running(holder):
                raise RunError(f"{path.parent}: another run is at work here (process {holder})") from None
            if time.monotonic() > end:
                raise RunError(
                    f"{path.parent}: a job of an earlier run is still at work here (its coordinator was process "
                    f"{holder or 'unknown'}); wait for it or end it"
                ) from None
            time.sleep(0.1)
        else:
            return


def _is_running(holder: str) -> bool:
    return holder.isdigit() and Path(f"/proc/{holder}").exists()
