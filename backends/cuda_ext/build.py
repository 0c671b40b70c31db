"""Compile the kernels by nvcc into `libpacbench_cuda.so`: on first use, or by hand.

The library has a plain C interface and the CUDA runtime inside, so that one build serves every Python, torch and
runtime; it needs the driver only when a kernel is launched.

Example: ``python -m pacbench.backends.cuda_ext.build --output FOLDER``
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from platformdirs import user_cache_path

from ..cuda import instances, sources

HERE = Path(__file__).absolute().parent
LIBRARY = "libpacbench_cuda.so"
ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
"""Compute capabilities that a library for any machine holds machine code for, as far as nvcc knows them; with PTX for
later ones. The code of one serves the later minor versions of the same major one, but not at their best."""

FLAGS = ("-std=c++17", "-O3", "--cudart=static", "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra")
STRICT = ("-Werror=all-warnings",)
_TIMEOUT_S = 1800


class BuildError(RuntimeError):
    """The library cannot be built here; the message says why and what would mend it."""


def find_nvcc() -> str:
    """The path of nvcc: in CUDA_HOME or CUDA_PATH, on the path, or in /usr/local/cuda.

    Raises:
        BuildError: there is none.
    """
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if folder := os.environ.get(variable):
            nvcc = Path(folder, "bin", "nvcc")
            if nvcc.is_file():
                return str(nvcc)
            raise BuildError(f"build: got {variable}={folder}, which has no bin/nvcc, expected a CUDA toolkit")
    if found := shutil.which("nvcc"):
        return found
    usual = Path("/usr/local/cuda/bin/nvcc")
    if usual.is_file():
        return str(usual)
    raise BuildError("build: no CUDA toolkit found (nvcc is neither on the path nor in CUDA_HOME)")


def known_architectures(nvcc: str) -> tuple[str, ...]:
    """Those of ARCHITECTURES that this nvcc compiles for.

    Raises:
        BuildError: it does not run.
    """
    known = {line.strip().removeprefix("sm_") for line in _run([nvcc, "--list-gpu-code"]).splitlines()}
    return tuple(architecture for architecture in ARCHITECTURES if architecture in known)


def build(
    output: Path,
    *,
    architectures: Sequence[str] | None = None,
    ptx: bool = True,
    parts: Sequence[str] = tuple(instances.PARTS),
    flags: Sequence[str] = STRICT,
    told: Callable[[str], object] | None = None,
) -> Path:
    """Compile and link the library; its path.

    Args:
        output: Folder for the library; made if it is not there.
        architectures: Compute capabilities such as ``90``; by default all that nvcc knows of ARCHITECTURES.
        ptx: Whether to add PTX of the last architecture, for later ones.
        parts: Of `instances.PARTS`.
        flags: For nvcc, beyond FLAGS.
        told: Is given what nvcc printed of each unit.

    Raises:
        BuildError: no nvcc, or it fails; the message has its first errors.
    """
    nvcc = find_nvcc()
    targets = known_architectures(nvcc) if architectures is None else tuple(architectures)
    code = [f"-gencode=arch=compute_{target},code=sm_{target}" for target in targets]
    code += [f"-gencode=arch=compute_{targets[-1]},code=compute_{targets[-1]}"] if ptx else []
    with tempfile.TemporaryDirectory() as folder:
        units = sources.units(Path(folder), parts)

        def compiled(unit: sources.Unit) -> str:
            made = str(Path(folder, f"{unit.name}.o"))
            defined = [f"-D{definition}" for definition in unit.definitions]
            said = _run([nvcc, *FLAGS, *flags, *code, *defined, "-c", str(unit.source), "-o", made])
            if told is not None:
                told(said)
            return made

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, units))
        output.mkdir(parents=True, exist_ok=True)
        fresh = Path(folder, LIBRARY)
        _run([nvcc, "--cudart=static", "-shared", *code, *objects, "-o", str(fresh)])
        staged = output / f"{LIBRARY}.{os.getpid()}"
        shutil.move(fresh, staged)
        return staged.replace(output / LIBRARY)


def built() -> Path | None:
    """A library that is there: in the package, or compiled before for any machine."""
    for folder in (HERE, cache_folder(None)):
        if (folder / LIBRARY).is_file():
            return folder / LIBRARY
    return None


def cache_folder(architecture: str | None) -> Path:
    """Where a library compiled from this very source is kept: for one architecture, or None, for any machine."""
    return Path(user_cache_path("pacbench"), "cuda_ext", f"{sources.digest(*FLAGS)}-{architecture or 'any'}")


def on_first_use(architecture: str) -> Path:
    """A library for a GPU: one that is there, or compiled now for its architecture alone, and kept.

    Raises:
        BuildError: as for `build`.
    """
    if found := built():
        return found
    folder = cache_folder(architecture)
    if (folder / LIBRARY).is_file():
        return folder / LIBRARY
    return build(folder, architectures=(architecture,), flags=())


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - nvcc, found on the path or named by the user
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"build: {command[0]} could not be run: {error}") from error
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or ["no message"]
        errors = [line for line in said if "error" in line.lower() or "warning" in line.lower()] or said
        raise BuildError(
            f"build: {shlex.join(command)} failed with status {done.returncode}:\n" + "\n".join(errors[:9])
        )
    return done.stdout + done.stderr


def main() -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m pacbench.backends.cuda_ext.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--output", type=Path, default=cache_folder(None), help="folder for the library (default: %(default)s)"
    )
    parser.add_argument(
        "--architectures", nargs="+", help="such as 90; all that nvcc knows of " + " ".join(ARCHITECTURES)
    )
    parser.add_argument("--flag", action="append", default=[], help="for nvcc, beyond its own: --flag=-lineinfo")
    options = parser.parse_args()
    try:
        library = build(options.output, architectures=options.architectures, flags=(*STRICT, *options.flag))
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{library}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
