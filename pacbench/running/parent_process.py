"""A job ends when its coordinator does, also where that was killed and could not end it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

VARIABLE = "PACBENCH_COORDINATOR"
"""Tells a job the process id of its coordinator."""

_PR_SET_PDEATHSIG = 1


def end_with_coordinator() -> None:
    """Ask the kernel to kill this process when its parent ends, if that is a coordinator (Linux; nothing elsewhere).

    A job that outlived its coordinator would go on writing while a resumed run writes the same records.
    """
    coordinator = os.environ.pop(VARIABLE, "")  # children of this process are none of its jobs
    if not coordinator.isdigit() or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(coordinator):  # it ended before it could be watched
        os.kill(os.getpid(), signal.SIGKILL)
