"""A subprocess in a process group of its own, ended with all its children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .memory_watch import INTERVAL_S, MemoryWatch, kernel_kills

_GRACE_S = 2.0


class Stopped(Exception):  # noqa: N818 (it is no error of the command's)
    """A command was ended because nobody wants it any longer."""


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a subprocess ended.

    Attributes:
        exit_code: Negative for a signal, None where it had to be killed.
        duration_s: Seconds from start to end.
        memory_bytes: What it had when it was killed for that; None where it was not.
        kernel_killed: Whether the kernel killed a process for want of memory meanwhile.
    """

    exit_code: int | None
    duration_s: float
    memory_bytes: int | None = None
    kernel_killed: bool = False


def run_to_end(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    inherited: Collection[int] = (),
    folder: Path | None = None,
    stopped: Callable[[], bool] | None = None,
) -> ProcessEnd:
    """Run a command, its output in a file; kill it and its children when its time is up or it takes too much memory.

    Args:
        command: Program and arguments.
        log: Where stdout and stderr go.
        environment: Environment variables; None for this process's.
        timeout_s: Seconds that it may take.
        memory_limit_bytes: Resident memory that it and its children may have.
        inherited: File descriptors that it keeps open.
        folder: Its working directory; None for this process's.
        stopped: Asked several times a second whether the command is no longer wanted.

    Raises:
        KeyboardInterrupt, Stopped: passed on, after the command and its children have been killed.
        OSError: the log cannot be written or the command cannot be started.
    """
    started, kills = time.monotonic(), kernel_kills()
    memory: int | None = None
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (the coordinator's own command line, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
            pass_fds=tuple(inherited),
            cwd=folder,
        )
        try:
            exit_code, memory = _watched(process, timeout_s, memory_limit_bytes, stopped)
        finally:
            _end_group(process)
    kernel_killed = kills is not None and (kernel_kills() or 0) > kills
    return ProcessEnd(exit_code, time.monotonic() - started, memory, kernel_killed)


def _watched(
    process: subprocess.Popen[bytes],
    timeout_s: float | None,
    memory_limit_bytes: int | None,
    stopped: Callable[[], bool] | None,
) -> tuple[int | None, int | None]:
    """Exit code, None where the time is up or there is too much memory; and that memory."""
    if memory_limit_bytes is None and stopped is None:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout_s), None
        return None, None
    watch = MemoryWatch(process.pid)
    end = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
    while True:
        left = end - time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, min(INTERVAL_S, left))), None
        if memory_limit_bytes is not None and (resident := watch.resident_bytes()) > memory_limit_bytes:
            return None, resident
        if stopped is not None and stopped():
            raise Stopped
        if left <= 0:
            return None, None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group; children that outlive their parent would disturb the next measurement."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
