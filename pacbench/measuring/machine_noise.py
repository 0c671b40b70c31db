"""What of a machine's state makes timings noisy, and what would mend it: advice, not measurements."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_CPU = Path("/sys/devices/system/cpu")
_BUSY_PERCENT = 10.0
_LOOK_S = 1.0


def advice(*, allocator: str, root: Path = _CPU, look_s: float = _LOOK_S) -> list[str]:
    """One sentence for each thing that is worth mending, empty on a quiet machine.

    Args:
        allocator: The allocator's setting that is measured with.
        root: The kernel's folder of processors.
        look_s: Seconds for which other load is watched.
    """
    return [*_governor(root), *_boost(root), *_allocator(allocator), *_pinning(), *_other_load(look_s)]


def _governor(root: Path) -> Iterator[str]:
    names = {text for path in sorted(root.glob("cpu[0-9]*/cpufreq/scaling_governor")) if (text := _read(path))}
    slow = sorted(names - {"performance"})
    if slow:
        yield f"governor: {', '.join(slow)}; `cpupower frequency-set -g performance` keeps the clock up"
    elif not names:
        yield "governor: not visible here (a virtual machine?); the clock may move under the measurement"


def _boost(root: Path) -> Iterator[str]:
    if _read(root / "intel_pstate" / "no_turbo") == "0" or _read(root / "cpufreq" / "boost") == "1":
        yield "turbo: on; the clock depends on heat and on the other cores, without it times are steadier (and longer)"


def _allocator(name: str) -> Iterator[str]:
    if name == "default":
        yield "allocator: default settings; `--allocator kept` leaves page faults of fresh memory out of the times"


def _pinning() -> Iterator[str]:
    total = os.cpu_count() or 1
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    if mine == total > 1:
        yield f"pinning: none, any of {total} processors; `taskset -c` on isolated ones keeps others off them"


def _other_load(look_s: float) -> Iterator[str]:
    """Processes that are not this one's, and time that a hypervisor took."""
    own = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    processes = [process for process in psutil.process_iter(["name"]) if process.pid not in own]
    for process in processes:
        with suppress(psutil.Error):
            process.cpu_percent()
    times = psutil.cpu_times_percent(look_s)
    busy = []
    for process in processes:
        with suppress(psutil.Error):
            percent = process.cpu_percent()
            if percent >= _BUSY_PERCENT:
                busy.append((percent, process.info["name"] or str(process.pid)))
    if busy:
        listed = ", ".join(f"{name} {percent:.0f} %" for percent, name in sorted(busy, reverse=True)[:3])
        yield f"other load: {listed} of a processor; end it while you measure"
    steal = getattr(times, "steal", 0.0)
    if steal >= 1.0:
        yield f"steal: {steal:.0f} % of the time went to other guests of this host; measure elsewhere or more rounds"


def _read(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return None
