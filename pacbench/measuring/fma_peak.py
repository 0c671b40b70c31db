"""The roof of this machine: multiply-adds per second in registers, and bytes per second copied.

The register kernel is C++ that the machine's own compiler builds at first use; the library is kept in the
user's cache, keyed by source, compiler and processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .processor import processor_name

COMPILERS = ("g++", "c++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
SOURCE = Path(__file__).with_name("fma_peak.cpp")

_BUILD_TIMEOUT_S = 120
_REPETITION_S = 0.02
_REPETITIONS = 15
_COPY_BYTES = 256 * 2**20
_COPY_REPETITIONS = 9


@dataclass(frozen=True, slots=True)
class FmaPeak:
    """Measured peak in GFLOP/s, float32 (a multiply-add counts as two), or None and the reason why not."""

    gflops: float | None
    threads: int
    reason: str | None = None


def measure_fma_peak(threads: int) -> FmaPeak:
    """Largest rate of several short repetitions, by `threads` threads at once; takes about half a second."""
    if threads < 1:
        raise ValueError(f"measure_fma_peak: got threads {threads}, expected at least 1")
    compiler = find_compiler()
    if compiler is None:
        names = ", ".join(COMPILERS)
        return FmaPeak(
            None,
            threads,
            f"no C++ compiler found ({names}); install one (package g++ or clang), or name it in CXX",
        )
    try:
        library = ctypes.CDLL(str(build(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        return FmaPeak(None, threads, f"{compiler} could not build {SOURCE.name}: {_last_line(error)}")
    seconds = library.pacbench_fma_seconds
    seconds.argtypes, seconds.restype = (ctypes.c_int, ctypes.c_longlong), ctypes.c_double
    operations = library.pacbench_fma_operations
    operations.argtypes, operations.restype = (ctypes.c_longlong,), ctypes.c_double

    iterations = 100_000
    while (taken := seconds(threads, iterations)) < _REPETITION_S / 2:
        iterations = int(iterations * min(10.0, 1.2 * _REPETITION_S / taken))
    fastest = min(seconds(threads, iterations) for _ in range(_REPETITIONS))
    return FmaPeak(threads * operations(iterations) / fastest * 1e-9, threads)


def measure_copy_bandwidth() -> float:
    """Median GB/s, read plus written, of `Tensor.copy_` (torch's threads), tensors too large for caches."""
    import torch

    source = torch.ones(_COPY_BYTES // 4)
    target = torch.empty_like(source)
    target.copy_(source)
    times = []
    for _ in range(_COPY_REPETITIONS):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * _COPY_BYTES / statistics.median(times) * 1e-9


def find_compiler() -> str | None:
    """Path of the C++ compiler: CXX if set, else the first of COMPILERS that is installed."""
    for name in (os.environ.get("CXX"), *COMPILERS):
        if name and (path := shutil.which(name)):
            return path
    return None


def build(compiler: str) -> Path:
    """Build the register kernel, or find it in the cache.

    Raises:
        OSError: the compiler cannot be started, or no folder can be written.
        subprocess.SubprocessError: the build failed.
    """
    version = subprocess.run(  # noqa: S603 (a compiler found on PATH)
        [compiler, "--version"], capture_output=True, text=True, check=True, timeout=_BUILD_TIMEOUT_S
    ).stdout
    parts = [SOURCE.read_text(encoding="utf-8"), compiler, version, processor_name(), *FLAGS]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    library = cache_folder() / f"fma_peak-{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            fresh = Path(folder) / library.name
            subprocess.run(  # noqa: S603
                [compiler, *FLAGS, str(SOURCE), "-o", str(fresh)],
                capture_output=True, text=True, check=True, timeout=_BUILD_TIMEOUT_S,
            )  # fmt: skip
            fresh.replace(library)
    return library


def cache_folder() -> Path:
    """The user's cache folder for pacbench, or a folder for this process where that cannot be written."""
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("pacbench"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="pacbench-"))


def _last_line(error: Exception) -> str:
    words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    errors = [line for line in words if "error" in line]
    return (errors or words or ["no message"])[0][:300]
