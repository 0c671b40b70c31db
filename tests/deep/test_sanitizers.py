"""The native library under sanitizers: gate and lattice run clean on builds that look for bad memory, overflow, races.

AddressSanitizer and UndefinedBehaviorSanitizer look at the OpenMP build, ThreadSanitizer at the one with `std::thread`,
since it does not understand an OpenMP runtime that was built without it. A planted fault shows that each would speak.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacbench import crf, lattice
from pacbench.backends import native
from pacbench.backends.native import build, library

pytestmark = pytest.mark.deep


@dataclass(frozen=True)
class Sanitizer:
    """What is built, what runs it, and a function with a fault that it must find."""

    flags: tuple[str, ...]
    runtime: str
    options: dict[str, str]
    fault: str
    says: str
    std_thread: bool = False


SANITIZERS = {
    "address": Sanitizer(
        ("address", "undefined"),
        "libasan.so",
        {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
        "int *block = new int[4]; volatile int at = 4; int read = block[at]; delete[] block; return read;",
        "heap-buffer-overflow",
    ),
    "undefined": Sanitizer(
        ("address", "undefined"),
        "libasan.so",
        {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
        "volatile int large = 2147483647; return large + 1;",
        "signed integer overflow",
    ),
    "thread": Sanitizer(
        ("thread",),
        "libtsan.so",
        {"TSAN_OPTIONS": "halt_on_error=1 ignore_noninstrumented_modules=1"},
        "static int shared; std::thread other([] { shared++; }); shared++; other.join(); return shared;",
        "data race",
        std_thread=True,
    ),
}


def _environment(sanitizer: Sanitizer) -> dict[str, str]:
    """Variables by which a process loads a sanitizer's runtime before all else; skips where the compiler has none."""
    try:
        compiler = build.find_compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    found = _library(compiler, sanitizer.runtime)
    if not found.is_absolute():
        pytest.skip(f"{compiler[0]} has no {sanitizer.runtime}")
    # A sanitizer looks for the C++ runtime's functions when it starts, long before Python loads that runtime.
    return {**sanitizer.options, "LD_PRELOAD": f"{found.resolve()} {_library(compiler, 'libstdc++.so.6').resolve()}"}


def _library(compiler: list[str], name: str) -> Path:
    """Where the compiler has a library; only the name where it has none."""
    command = [*compiler, f"-print-file-name={name}"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def _prefix(sanitizer: Sanitizer) -> list[str]:
    """ThreadSanitizer needs addresses to lie where it expects them."""
    setarch = shutil.which("setarch") if sanitizer.std_thread else None
    return [] if setarch is None else [setarch, "-R"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sanitizer], Path]:
    """The library with a sanitizer, built once."""
    libraries: dict[tuple[str, ...], Path] = {}

    def of(sanitizer: Sanitizer) -> Path:
        if sanitizer.flags not in libraries:
            folder = tmp_path_factory.mktemp("library")
            libraries[sanitizer.flags] = build.build(folder, sanitize=sanitizer.flags, std_thread=sanitizer.std_thread)
        return libraries[sanitizer.flags]

    return of


@pytest.mark.parametrize("name", SANITIZERS)
def test_a_planted_fault_is_found(name: str, tmp_path: Path) -> None:
    sanitizer = SANITIZERS[name]
    environment = {**os.environ, **_environment(sanitizer)}
    source, faulty = tmp_path / "faulty.cpp", tmp_path / "faulty.so"
    source.write_text(f'#include <thread>\nextern "C" int faulty() {{ {sanitizer.fault} }}\n')
    flags = [f"-fsanitize={','.join(sanitizer.flags)}", "-fno-sanitize-recover=all", "-shared", "-fPIC", "-g"]
    subprocess.run([*build.find_compiler(), *flags, "-pthread", str(source), "-o", str(faulty)], check=True)
    call = f"import torch, ctypes; ctypes.CDLL({str(faulty)!r}).faulty()"
    command = [*_prefix(sanitizer), sys.executable, "-c", call]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert sanitizer.says in done.stderr


@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("name", ["address", "thread"])
def test_gate(name: str, isa: str, built: Callable[[Sanitizer], Path], run_native_gate: Callable[..., None]) -> None:
    sanitizer = SANITIZERS[name]
    variables = _environment(sanitizer)
    variables[library.LIBRARY_VARIABLE] = str(built(sanitizer))
    run_native_gate(name, isa, 3, _prefix(sanitizer), **variables)


@pytest.mark.parametrize("name", ["address", "thread"])
def test_lattice(name: str, built: Callable[[Sanitizer], Path], green_once: Callable[..., Callable[..., None]]) -> None:
    """Its own tests, which are no part of the gate."""
    sources = [Path(lattice.__file__), *(Path(package.__path__[0]) for package in (native, crf))]
    write_down = green_once("lattice", sources, build=name)
    sanitizer = SANITIZERS[name]
    environment = {**os.environ, **_environment(sanitizer), library.LIBRARY_VARIABLE: str(built(sanitizer))}
    folder = Path(__file__).parents[1]
    files = [str(folder / "crf" / f"test_{name}.py") for name in ("lattice", "full_crf", "bcl_crf")]
    settings = ["-p", "no:cacheprovider", "-n", "0", "-c", str(folder.parent / "pyproject.toml"), "-W", "default"]
    command = [*_prefix(sanitizer), sys.executable, "-m", "pytest", "-q", *settings, *files]
    command += ["-k", "not photographs and not real_images"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert " passed" in done.stdout
    write_down(tests=done.stdout.strip().splitlines()[-1].strip("= "))
