"""Compile the kernels into `libpacbench_native.so`: by setup.py, and by hand after a change to them.

Needs the standard library only, since setup.py loads this file before the package exists. The library has a plain C
interface (`kernels/call.h`), so one build serves every Python and torch. It is linked without an OpenMP runtime: at
load time it finds torch's, and the two share one pool of threads. A compiler whose OpenMP is not GCC's (clang) builds
it with `std::thread` instead.

Example: ``python -m pacbench.backends.native.build``
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).absolute().parent
KERNELS = HERE / "kernels"
LIBRARY = "libpacbench_native.so"
NOT_BUILT = "not_built.txt"
"""Written beside the place of the library where an installation could not build it: why."""

COMPILERS = ("g++", "c++", "clang++")
SCALARS = ("float32", "float64")
ISAS = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mavx2", "-mf16c"),
}
"""Instruction sets and their flags; a machine that is no x86 has `portable` alone."""

LATTICE_ISAS = ("portable", "avx2")
"""Those of the permutohedral lattice: its rows of channels (21 classes are 3 vectors of AVX2) suit no longer ones."""

FLAGS = (
    "-std=c++17",
    "-fPIC",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
)
SANITIZERS = ("address", "undefined", "thread")
_TIMEOUT_S = 1800


class BuildError(RuntimeError):
    """The library cannot be built here; the message says why and what would mend it."""


def find_compiler() -> list[str]:
    """The C++ compiler's command: CXX if set, else the first of COMPILERS that is installed.

    Raises:
        BuildError: there is none.
    """
    named = os.environ.get("CXX")
    if named:
        command = shlex.split(named)
        if shutil.which(command[0]) is None:
            raise BuildError(f"build: got CXX={named}, which is not on the path, expected a C++ compiler")
        return command
    for name in COMPILERS:
        if path := shutil.which(name):
            return [path]
    raise BuildError(
        f"build: no C++ compiler found ({', '.join(COMPILERS)}); install one (package g++ or clang), or name it in CXX"
    )


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that are compiled on this machine."""
    return tuple(ISAS) if platform.machine().lower() in {"x86_64", "amd64"} else ("portable",)


def build(output: Path, *, sanitize: Sequence[str] = (), std_thread: bool = False) -> Path:
    """Compile and link; returns the library's path.

    Args:
        output: Folder for the library; made if it is not there.
        sanitize: Some of SANITIZERS.
        std_thread: Threads of the C++ library rather than OpenMP's; ThreadSanitizer sees through those only.

    Raises:
        BuildError: no compiler, or it fails; the message has its first errors.
    """
    compiler = find_compiler()
    std_thread = std_thread or _openmp_is_another(compiler)
    flags = [*FLAGS, *_optimisation(sanitize), *(["-DPACBENCH_STD_THREAD", "-pthread"] if std_thread else ["-fopenmp"])]
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            (source, Path(folder) / f"{name}.o", [*compiler, *flags, *extra]) for name, source, extra in _units()
        ]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(_compile, commands))
        output.mkdir(parents=True, exist_ok=True)
        fresh = output / f".{os.getpid()}.{LIBRARY}"  # beside the old one, which other processes may have mapped
        objects = [str(target) for _, target, _ in commands]
        linking = ["-pthread"] if std_thread else []
        _run([*compiler, "-shared", *_optimisation(sanitize), *linking, *objects, "-o", str(fresh)])
        return fresh.replace(output / LIBRARY)


def _units() -> Iterator[tuple[str, Path, list[str]]]:
    """What is compiled: name of the object, source, flags of its own; the slowest first."""
    of_lattice = [isa for isa in instruction_sets() if isa in LATTICE_ISAS]
    for name, isas in (("", [*reversed(instruction_sets())]), ("lattice_", of_lattice), ("blur_", instruction_sets())):
        for isa in isas:
            for scalar in SCALARS:
                defined = [f"-DPACBENCH_ISA={isa}", f"-DPACBENCH_SCALAR={scalar}"]
                yield f"{name}entry-{isa}-{scalar}", KERNELS / f"{name}entry.cpp", [*ISAS[isa], *defined]
    yield "common", KERNELS / "common.cpp", []


def _optimisation(sanitize: Iterable[str]) -> list[str]:
    chosen = list(sanitize)
    if not chosen:
        return ["-O3"]
    return ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={','.join(chosen)}", "-fno-sanitize-recover=all"]


def _openmp_is_another(compiler: list[str]) -> bool:
    """Whether the compiler's OpenMP asks for another runtime than the one that torch brings (GCC's)."""
    return "clang" in _run([*compiler, "--version"]).lower()


def _compile(unit: tuple[Path, Path, list[str]]) -> None:
    source, target, command = unit
    _run([*command, "-c", str(source), "-o", str(target)])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the compiler, found on the path or named by the user
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"build: {command[0]} could not be run: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        errors = [line for line in said if "error" in line.lower()] or said
        raise BuildError(
            f"build: {shlex.join(command)} failed with status {done.returncode}:\n" + "\n".join(errors[:9])
        )
    if done.stderr:
        sys.stderr.write(done.stderr)
    return done.stdout


def main() -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m pacbench.backends.native.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--output", type=Path, default=HERE, help="folder for the library (default: the package's)")
    parser.add_argument("--sanitize", nargs="+", choices=SANITIZERS, default=[], help="instrument the code")
    parser.add_argument("--std-thread", action="store_true", help="std::thread in place of OpenMP")
    options = parser.parse_args()
    try:
        library = build(options.output, sanitize=options.sanitize, std_thread=options.std_thread)
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    (library.parent / NOT_BUILT).unlink(missing_ok=True)
    sys.stdout.write(f"{library}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
