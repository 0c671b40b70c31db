"""What the compiled kernels take of a GPU, read from their machine code without one: for `pacbench resources`."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pacbench.errors import UnavailableError
from pacbench.resources import ResourceRecord, occupancy

from ..cuda.launching import THREADS
from . import build

TARGETS = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
RECORDED: Mapping[str, tuple[str, ...]] = {
    "float32": TARGETS,
    "float64": ("sm_90",),
    "float16": ("sm_90",),
    "bfloat16": ("sm_90",),
}
"""Targets whose kernels have a budget, by part; the others are compiled, and that is all."""

_ARCHITECTURE = re.compile(r"\barch = (sm_\d+\w*)")
_FUNCTION = re.compile(r"Function\s*:?\s*(_Z\w+)")
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)")
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)")
_COMPILING = re.compile(r"Compiling entry function '(_Z\w+)' for '(sm_\d+\w*)'")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_MANGLED = re.compile(r"_ZN8pacbench(\d+)(?P<rest>\w+)")
_TYPES = {"f": "float32", "d": "float64", "NS_7float16E": "float16", "NS_8bfloat16E": "bfloat16"}
_COUNTED = {
    "FFMA": "ffma",
    "LDS": "lds",
    "LDG": "ldg",
    "LDL": "ldl",
    "STL": "stl",
    "BAR": "bar",
    "SHFL": "shfl",
    "MUFU": "mufu",
    **dict.fromkeys(("DFMA", "DADD", "DMUL"), "dfma"),
}


def records(targets: Sequence[str] | None = None) -> tuple[str, list[ResourceRecord]]:
    """Compile all kernels for some of TARGETS; the compiler's name, and the records that have a budget.

    Raises:
        UnavailableError: nvcc or cuobjdump is missing, or nvcc fails.
    """
    chosen = [target for target in TARGETS if targets is None or target in targets]
    if not chosen:
        raise UnavailableError(
            f"backend cuda_ext: got targets {', '.join(targets or ())}, expected some of {', '.join(TARGETS)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        said: list[str] = []
        try:
            architectures = [target.removeprefix("sm_") for target in chosen]
            library = build.build(
                Path(folder),
                architectures=architectures,
                ptx=False,
                flags=(*build.STRICT, "-Xptxas=-v"),
                told=said.append,
            )
        except build.BuildError as error:
            raise UnavailableError(f"backend cuda_ext: {error}") from error
        return compiler(), list(of_library(library, "\n".join(said)))


def compiler() -> str:
    """Such as ``nvcc 13.0.88``."""
    said = subprocess.run(  # noqa: S603 - nvcc, found on the path or named by the user
        [build.find_nvcc(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"V(\d[\d.]+)", said)
    return f"nvcc {found[1] if found else 'unknown'}"


def find_cuobjdump() -> str:
    """The path of cuobjdump: of the package nvidia-cuda-cuobjdump, or beside nvcc.

    Raises:
        UnavailableError: there is none.
    """
    packages = Path(sysconfig.get_path("purelib"), "nvidia")
    beside = Path(build.find_nvcc()).parent / "cuobjdump"
    for found in [*sorted(packages.glob("**/bin/cuobjdump")), beside]:
        if found.is_file():
            return str(found)
    raise UnavailableError(
        "backend cuda_ext: cuobjdump is missing: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"
    )


def of_library(library: Path, ptxas_said: str) -> Iterator[ResourceRecord]:
    """Records of the kernels of a library that have a budget.

    Args:
        library: The file.
        ptxas_said: What ``ptxas -v`` printed when it was compiled: spills stand nowhere else.
    """
    spilled = _spills(ptxas_said)
    mixes = _instructions(_dumped("-sass", library))
    for target, function, (registers, stack, shared) in _usages(_dumped("--dump-resource-usage", library)):
        kernel, part, *numbers = demangled(function)
        if target not in RECORDED[part]:
            continue
        yield ResourceRecord(
            backend="cuda_ext",
            kernel=kernel,
            variant="-".join([part, *numbers]),
            target=target,
            registers=registers,
            stack_bytes=stack,
            spilled_bytes=spilled[target, function],
            shared_bytes=shared,
            threads=THREADS,
            occupancy=occupancy(target, registers=registers, shared_bytes=shared, threads=THREADS),
            instructions=mixes[target, function],
        )


def demangled(function: str) -> tuple[str, ...]:
    """Kernel, part and further template arguments of a mangled name: ``contract_tiled``, ``float32``, ``5``, ``16``."""
    match = _MANGLED.match(function)
    if match is None:
        raise ValueError(f"machine code: got function {function}, expected a kernel of pacbench")
    length = int(match[1])
    kernel, rest = match["rest"][:length], match["rest"][length:].removeprefix("I")
    stored = next(mangled for mangled in _TYPES if rest.startswith(mangled))
    return kernel, _TYPES[stored], *re.findall(r"Li(\d+)E", rest)


def _dumped(what: str, library: Path) -> str:
    return subprocess.run(  # noqa: S603 - cuobjdump, found in the environment
        [find_cuobjdump(), what, str(library)], capture_output=True, text=True, check=True
    ).stdout


def _usages(text: str) -> Iterator[tuple[str, str, tuple[int, int, int]]]:
    """(target, function, (registers, stack, static shared memory)) of each kernel; the runtime's own are left out."""
    target = function = ""
    for line in text.splitlines():
        if found := _ARCHITECTURE.search(line):
            target = found[1]
        if found := _FUNCTION.search(line):
            function = found[1]
        if (found := _USAGE.search(line)) and function.startswith("_ZN8pacbench"):
            yield target, function, (int(found[1]), int(found[2]), int(found[3]))


def _spills(text: str) -> dict[tuple[str, str], int]:
    """Bytes spilled by (target, function)."""
    of: dict[tuple[str, str], int] = {}
    key = ("", "")
    for line in text.splitlines():
        if found := _COMPILING.search(line):
            key = (found[2], found[1])
        if found := _SPILLS.search(line):
            of[key] = max(int(found[1]), int(found[2]))
    return of


def _instructions(text: str) -> dict[tuple[str, str], dict[str, int]]:
    """How often each kind of instruction of _COUNTED stands in a function, and all of them, by (target, function)."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    target = function = ""
    for line in text.splitlines():
        if found := _ARCHITECTURE.search(line):
            target = found[1]
        elif found := _FUNCTION.search(line):
            function = found[1]
        elif found := _INSTRUCTION.match(line):
            counts[target, function]["total"] += 1
            if kind := _COUNTED.get(found[1]):
                counts[target, function][kind] += 1
    return {key: dict(count) for key, count in counts.items()}
