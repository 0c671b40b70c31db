"""Sanitizer builds of the kernels on the shim, faults planted into copies of them, and what runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pacbench.backends.cuda import sources
from pacbench.backends.native.build import find_compiler

from . import building


@dataclass(frozen=True)
class Sanitizer:
    """What is built, and what a process must load first to run it.

    Attributes:
        flags: Of the compiler; empty for a plain build.
        runtime: The sanitizer's library.
        options: Environment variables.
    """

    flags: tuple[str, ...]
    runtime: str = ""
    options: tuple[tuple[str, str], ...] = ()


_DEBUGGED = ("-O1", "-g", "-fno-omit-frame-pointer")

SANITIZERS = {
    "none": Sanitizer(("-O1",)),
    "memory": Sanitizer(
        (*_DEBUGGED, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        "libasan.so",
        (("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=0"), ("UBSAN_OPTIONS", "print_stacktrace=1")),
    ),
    "races": Sanitizer(
        (*_DEBUGGED, "-fsanitize=thread"),
        "libtsan.so",
        (("TSAN_OPTIONS", "halt_on_error=1 ignore_noninstrumented_modules=1 exitcode=66"),),
    ),
}


@dataclass(frozen=True)
class Fault:
    """A change to a kernel that a check must find.

    Attributes:
        file: Of the kernels.
        right: Text that stands there once.
        wrong: What is put in its place.
        check: Of SANITIZERS.
        says: What the check then prints.
        call: Of `exercise`, the one that shows it.
    """

    file: str
    right: str
    wrong: str
    check: str
    says: str
    call: str


FAULTS = {
    "dropped_barrier": Fault(
        "contraction_tiled.cuh",
        "    __syncthreads();\n    const int count = sources - from",
        "    const int count = sources - from",
        "races",
        "data race",
        "tiled, kernel given",
    ),
    "halo_off_by_one": Fault(
        "contraction_tiled.cuh",
        "met[p * TILE_LINES * halo.width]",
        "met[(p * TILE_LINES + 1) * halo.width]",
        "memory",
        "heap-buffer-overflow",
        "tiled, kernel given",
    ),
    "written_past_the_end": Fault(
        "contraction_tiled.cuh",
        "if (y < height && at.x < width)\n      write_sums",
        "if (y <= height && at.x < width)\n      write_sums",
        "memory",
        "heap-buffer-overflow",
        "tiled, kernel given",
    ),
    "integer_overflow": Fault(
        "sums.cuh",
        "const int pixels = c.batch * c.out_height * c.out_width;",
        "const int pixels = c.batch * c.out_height * c.out_width;\n"
        "  volatile int far = c.out_width * 100000000;\n  (void)far;",
        "memory",
        "signed integer overflow",
        "tiled",
    ),
    "unwritten_output": Fault(
        "contraction_tiled.cuh",
        "if (y < height && at.x < width)\n      write_sums",
        "if (y < height - 1 && at.x < width)\n      write_sums",
        "none",
        "wrong: tiled, kernel given: output",
        "tiled, kernel given",
    ),
    "racing_accumulation": Fault(
        "sums.cuh",
        "  sum = block_sum(sum, of_warps);\n"
        "  if (thread_in_block() == 0) ((A *)c.target)[(long long)slab * c.out_channels + channel] = sum;",
        "  (void)of_warps;\n  ((A *)c.target)[(long long)slab * c.out_channels + channel] += sum;",
        "races",
        "data race",
        "tiled",
    ),
    "exit_before_a_barrier": Fault(
        "filter_gradient.cuh",
        "  A sum[4][4] = {};",
        "  A sum[4][4] = {};\n  if (thread == 5) return;",
        "none",
        "threads left the kernel",
        "tiled",
    ),
}


def build(folder: Path, check: str, fault: Fault | None = None, parts: Sequence[str] = ("float64",)) -> Path:
    """The kernels of some parts with a sanitizer and, if one is given, a fault; the library's path.

    Raises:
        ValueError: the text that a fault replaces does not stand in the kernels once.
        BuildError: the compiler fails.
    """
    kernels = sources.KERNELS
    if fault is not None:
        kernels = Path(shutil.copytree(kernels, folder / "kernels"))
        text = (kernels / fault.file).read_text(encoding="utf-8")
        if text.count(fault.right) != 1:
            raise ValueError(f"{fault.file}: got {text.count(fault.right)} places of {fault.right!r}, expected one")
        (kernels / fault.file).unlink()  # it may be a link
        (kernels / fault.file).write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
    return building.build(folder / "library.so", parts=parts, flags=SANITIZERS[check].flags, kernels=kernels)


def runtime_of(check: str) -> list[Path] | None:
    """The libraries that a process loads first for a check; None where the compiler has no such sanitizer."""
    sanitizer = SANITIZERS[check]
    if not sanitizer.runtime:
        return []
    found = [_library(name) for name in (sanitizer.runtime, "libstdc++.so.6")]
    return [path.resolve() for path in found] if all(path.is_absolute() for path in found) else None


def variables(library: Path, check: str) -> dict[str, str]:
    """Environment variables of a process that runs a library under a check."""
    found = {**dict(SANITIZERS[check].options), building.LIBRARY_VARIABLE: str(library)}
    if preloaded := runtime_of(check):
        found["LD_PRELOAD"] = " ".join(map(str, preloaded))
    return found


def prefix(check: str) -> list[str]:
    """Of such a process's command: ThreadSanitizer needs addresses to lie where it expects them."""
    setarch = shutil.which("setarch") if check == "races" else None
    return [] if setarch is None else [setarch, "-R"]


def exercise(library: Path, check: str, *calls: str) -> subprocess.CompletedProcess[str]:
    """Run `exercise` on a library in a process of its own."""
    environment = {**os.environ, **variables(library, check)}
    command = [*prefix(check), sys.executable, "-m", "cuda_emulated.exercise", *calls]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def _library(name: str) -> Path:
    """Where the compiler has a library; only the name where it has none."""
    command = [*find_compiler(), f"-print-file-name={name}"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
