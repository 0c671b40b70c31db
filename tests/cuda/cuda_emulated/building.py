"""The kernels compiled by g++ against the SIMT shim."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_dir

from pacbench.backends.cuda import instances, sources
from pacbench.backends.native.build import BuildError, find_compiler

SHIM = Path(__file__).absolute().parent.parent / "simt"
FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-DPACBENCH_HOST_SHIM", "-Wall", "-Wextra", "-Werror")
# A pragma that only CUDA compilers know; a warning of GCC's about a struct whose alignment a vector type would have.
QUIET = ("-Wno-unknown-pragmas",)
OPTIMISED = ("-O2", "-ffp-contract=off")
LIBRARY_VARIABLE = "PACBENCH_CUDA_EMULATED_LIBRARY"


@cache
def library() -> Path:
    """The library of all kernels: that which PACBENCH_CUDA_EMULATED_LIBRARY names, else compiled once and kept.

    Raises:
        BuildError: there is no C++ compiler, or it fails.
    """
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return Path(named)
    shim = "".join(file.read_text(encoding="utf-8") for file in sorted(SHIM.glob("*.h")))
    version = subprocess.run([*find_compiler(), "--version"], capture_output=True, text=True, check=True).stdout
    key = sources.digest(shim, *FLAGS, *OPTIMISED, version)
    path = Path(user_cache_dir("pacbench"), "cuda_emulated", f"{key}.so")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # other processes wait for the one that compiles
        return path if path.is_file() else build(path)


def build(
    path: Path,
    *,
    parts: Sequence[str] = tuple(instances.PARTS),
    flags: Sequence[str] = OPTIMISED,
    kernels: Path = sources.KERNELS,
) -> Path:
    """Compile and link the library; its path.

    Args:
        path: Where it is put.
        parts: Of `instances.PARTS`.
        flags: For the compiler and the linker, such as those of a sanitizer.
        kernels: Folder of the kernels: a copy with a fault, say.

    Raises:
        BuildError: there is no C++ compiler, or it fails; its first errors.
    """
    compiler = find_compiler()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        units = sources.units(Path(folder), parts)

        def compiled(unit: sources.Unit) -> str:
            made = str(Path(folder, f"{unit.name}.o"))
            defined = [f"-D{definition}" for definition in unit.definitions]
            source = str(kernels / unit.source.name)
            _run([*compiler, *FLAGS, *QUIET, *flags, *defined, f"-I{SHIM}", "-c", "-x", "c++", source, "-o", made])
            return made

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, units))
        fresh = Path(folder, "fresh.so")
        _run([*compiler, *flags, "-shared", *objects, "-o", str(fresh)])
        staged = path.with_name(f"{path.name}.{os.getpid()}")
        shutil.move(fresh, staged)
        return staged.replace(path)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise BuildError("\n".join([" ".join(command), *errors[:20]]))
