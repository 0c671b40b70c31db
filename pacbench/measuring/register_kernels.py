"""Register kernels: C++ loops that touch no memory, built by the machine's own compiler and timed on its threads.

The libraries are kept in the user's cache, keyed by source, compiler, flags and processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .processor import processor_name

COMPILERS = ("g++", "c++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
ONLY_AVX2 = ("-mno-avx512f",)
"""Further flags, to find what the machine's registers allow without AVX-512."""

_HEADERS = ("timed_threads.h",)
_BUILD_TIMEOUT_S = 120


class RegisterKernelError(Exception):
    """A register kernel that cannot be built or loaded; the message is one line that says why."""


class RegisterKernel:
    """A register kernel, built and calibrated for a number of threads.

    Args:
        source: Name of the C++ file beside this module; it exports ``pacbench_count`` and ``pacbench_seconds``.
        threads: How many threads work at once.
        flags: Further flags for the compiler.
        burst_s: About how long one burst of work takes, in seconds.

    Raises:
        RegisterKernelError: there is no compiler, or the build failed.
        ValueError: no thread.
    """

    def __init__(self, source: str, threads: int, *, flags: Sequence[str] = (), burst_s: float = 0.02) -> None:
        if threads < 1:
            raise ValueError(f"{source}: got threads {threads}, expected at least 1")
        self.threads = threads
        self.library = _load(source, flags)
        self._seconds = self.library.pacbench_seconds
        self._seconds.argtypes, self._seconds.restype = (ctypes.c_int, ctypes.c_longlong), ctypes.c_double
        self._count = self.library.pacbench_count
        self._count.argtypes, self._count.restype = (ctypes.c_longlong,), ctypes.c_double
        self._iterations = 100_000
        while (taken := self._seconds(threads, self._iterations)) < burst_s / 2:
            self._iterations = int(self._iterations * min(10.0, 1.2 * burst_s / taken))

    def rate(self, bursts: int) -> float:
        """What all threads together do in a second, in the fastest of some bursts."""
        fastest = min(self._seconds(self.threads, self._iterations) for _ in range(bursts))
        return float(self.threads * self._count(self._iterations) / fastest)


def find_compiler() -> str | None:
    """Path of the C++ compiler: CXX if set, else the first of COMPILERS that is installed."""
    for name in (os.environ.get("CXX"), *COMPILERS):
        if name and (path := shutil.which(name)):
            return path
    return None


def build(source: str, compiler: str, flags: Sequence[str] = ()) -> Path:
    """Build a register kernel, or find it in the cache.

    Raises:
        OSError: the compiler cannot be started, or no folder can be written.
        subprocess.SubprocessError: the build failed.
    """
    folder = Path(__file__).parent
    version = subprocess.run(  # noqa: S603 (a compiler found on PATH)
        [compiler, "--version"], capture_output=True, text=True, check=True, timeout=_BUILD_TIMEOUT_S
    ).stdout
    texts = [(folder / name).read_text(encoding="utf-8") for name in (source, *_HEADERS)]
    parts = [*texts, compiler, version, processor_name(), *FLAGS, *flags]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    library = cache_folder() / f"{Path(source).stem}-{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as fresh_folder:
            fresh = Path(fresh_folder) / library.name
            subprocess.run(  # noqa: S603
                [compiler, *FLAGS, *flags, str(folder / source), "-o", str(fresh)],
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


def _load(source: str, flags: Sequence[str]) -> ctypes.CDLL:
    compiler = find_compiler()
    if compiler is None:
        raise RegisterKernelError(
            f"no C++ compiler found ({', '.join(COMPILERS)}); install one (package g++ or clang), or name it in CXX"
        )
    try:
        return ctypes.CDLL(str(build(source, compiler, flags)))
    except (OSError, subprocess.SubprocessError) as error:
        raise RegisterKernelError(f"{compiler} could not build {source}: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    errors = [line for line in words if "error" in line]
    return (errors or words or ["no message"])[0][:300]
