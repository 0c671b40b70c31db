"""Where a run is made: versions, processor, memory, threads, GPUs, allocator, and the measured roof.

``python -m pacbench.measuring.environment`` prints the record as JSON; the coordinator asks for it in a
process of its own, so that it needs no torch and survives a machine on which measuring fails.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pacbench
from pacbench.records import Environment

from .fma_peak import measure_copy_bandwidth, measure_fma_peak
from .package_hash import package_hash, suite_hashes
from .processor import processor_name

PACKAGES = (
    "cupy-cuda12x",
    "cupy-cuda13x",
    "numpy",
    "opencv-contrib-python-headless",
    "pandas",
    "pydensecrf2",
    "pytest",
    "pytest-benchmark",
    "scikit-image",
    "scipy",
    "torchmetrics",
    "triton",
)
"""Packages whose version a result may depend on, beside torch."""

ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
_ALLOCATOR_SETTINGS = (
    "MALLOC_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
)


def describe_environment(*, measure_roof: bool = True) -> Environment:
    """Describe this process and its machine.

    Args:
        measure_roof: Also measure the FMA peak and the copy bandwidth, which takes a second or two.
    """
    import torch

    threads = torch.get_num_threads()
    peak = measure_fma_peak(threads) if measure_roof else None
    return Environment(
        pacbench=pacbench.__version__,
        package_hash=package_hash(),
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor_name(),
        cores=_cores(),
        memory_bytes=_memory_bytes(),
        threads=threads,
        torch=str(torch.__version__),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        gpu=gpus(),
        allocator=allocator(),
        packages=installed_versions(),
        suites=suite_hashes(),
        fma_peak_gflops=peak.gflops if peak else None,
        fma_peak_reason=peak.reason if peak else "not measured",
        copy_bandwidth_gbs=measure_copy_bandwidth() if measure_roof else None,
    )


def installed_versions() -> dict[str, str]:
    """Versions of those of PACKAGES that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def gpus() -> list[str]:
    """Name, memory and driver of each NVIDIA GPU; empty where there is none or no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, no permission: all mean that nothing can be said
        return []
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        names = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total / 2**30
            names.append(f"{_text(pynvml.nvmlDeviceGetName(handle))}, {memory:.0f} GiB, driver {driver}")
        return names
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def allocator() -> str:
    """The memory allocator in use, and every setting of it, since page faults decide much of a CPU's time."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        maps = ""
    name = next((name for name in ALLOCATORS if f"lib{name}" in maps), None)
    if name is None:
        name = " ".join(part for part in platform.libc_ver() if part) or f"{platform.system()} default"
    settings = [f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith(_ALLOCATOR_SETTINGS)]
    return f"{name}, {' '.join(settings) or 'default settings'}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.write(describe_environment(measure_roof="--no-roof" not in sys.argv).model_dump_json() + "\n")
