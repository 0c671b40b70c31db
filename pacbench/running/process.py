"""A subprocess in a process group of its own, ended with all its children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a subprocess ended; `exit_code` is negative for a signal, None where it had to be killed."""

    exit_code: int | None
    duration_s: float


def run_to_end(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> ProcessEnd:
    """Run a command, its output in a file; kill it and its children when its time is up.

    Raises:
        KeyboardInterrupt: passed on, after the command and its children have been killed.
        OSError: the log cannot be written or the command cannot be started.
    """
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (the coordinator's own command line, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
        )
        try:
            exit_code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            _end_group(process)
    return ProcessEnd(exit_code, time.monotonic() - started)


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
