"""Kernels compiled ahead of time, without a GPU, and what their machine code says of them.

The launches come from `workloads.py`; triton.compile makes PTX and machine code with the assembler that Triton carries,
and Triton's own cuobjdump reads registers, stack and instructions from it. Triton keeps what it compiled, by a hash of
source and options, in its cache (TRITON_CACHE_DIR).
"""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pacbench.errors import UnavailableError
from pacbench.resources import ResourceRecord, occupancy

from .availability import interpreting
from .launching import PlannedLaunch, kernel_named, kernel_told_widths
from .predicting import bytes_moved, pixels
from .workloads import WORKLOADS, Workload, launches

TARGETS: Mapping[str, tuple[str, int | str, int]] = {
    "sm_80": ("cuda", 80, 32),
    "sm_90": ("cuda", 90, 32),
    "sm_100": ("cuda", 100, 32),
    "gfx942": ("hip", "gfx942", 64),
}
"""Backend, architecture and warp size of each target, as Triton names them: A100, H100, B200, MI300."""

BUDGETED = ("sm_80", "sm_90")
"""Targets with a resource budget; the others are compiled as a check."""

_TYPES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.bool: "i1",
    torch.int8: "i8",
}
_ALIGNMENT = 16
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)", re.MULTILINE)
_COUNTED = {
    "mma": ("HMMA", "HGMMA", "DMMA", "QGMMA", "UTCHMMA", "UTCQMMA"),
    "ffma": ("FFMA", "FFMA2"),
    "dfma": ("DFMA",),
    "mufu": ("MUFU",),
    "lds": ("LDS", "LDSM"),
    "sts": ("STS", "STSM"),
    "ldg": ("LDG",),
    "ldgsts": ("LDGSTS",),
    "stg": ("STG",),
    "ldl": ("LDL",),
    "stl": ("STL",),
    "bar": ("BAR",),
    "red": ("RED", "REDG", "ATOM", "ATOMG"),
}


@dataclass(frozen=True)
class Specification:
    """What decides a kernel's machine code, in plain values that another process can be sent.

    Attributes:
        kernel: Name of the kernel.
        signature: Type of each argument, ``constexpr`` among them.
        constants: Value of each constexpr; dtypes by their names.
        aligned: Arguments known to be divisible by 16.
        warps: Warps a program.
        stages: Depth of the software pipeline.
    """

    kernel: str
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, Any], ...]
    aligned: tuple[str, ...]
    warps: int
    stages: int


@dataclass(frozen=True)
class Compiled:
    """What the machine code of one kernel says."""

    registers: int
    stack_bytes: int
    spilled_bytes: int
    shared_bytes: int
    instructions: Mapping[str, int]
    instruction_names: tuple[str, ...]


def specification(launch: PlannedLaunch) -> Specification:
    """What a launch is specialised on: as `triton.jit` does it, sizes of 1 become constants, multiples of 16 known."""
    signature, constants, aligned = [], [], []
    kernel = kernel_told_widths(launch.kernel) if launch.widths_told else kernel_named(launch.kernel)
    for parameter in kernel.params:
        value = launch.arguments[parameter.name]
        if isinstance(value, Tensor):
            signature.append((parameter.name, f"*{_TYPES[value.dtype]}"))
            aligned.append(parameter.name)
        elif parameter.is_constexpr or value is None or value is True or (isinstance(value, int) and value == 1):
            signature.append((parameter.name, "constexpr"))
            constants.append((parameter.name, value if _is_plain(value) else f"tl.{value}"))
        elif isinstance(value, float):
            signature.append((parameter.name, "fp32"))
        else:
            signature.append((parameter.name, "i32" if abs(value) < 2**31 else "i64"))
            if value % _ALIGNMENT == 0 and not parameter.do_not_specialize_on_alignment:
                aligned.append(parameter.name)
    return Specification(
        launch.kernel, tuple(signature), tuple(constants), tuple(aligned), launch.tile.warps, launch.tile.stages
    )


def compile_for(specified: Specification, target: str) -> Compiled:
    """Compile one kernel and read its machine code."""
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = kernel_named(specified.kernel)
    place = {name: (index,) for index, name in enumerate(kernel.arg_names)}
    source = ASTSource(
        fn=kernel,
        signature=dict(specified.signature),
        constexprs={place[name]: _constant(value) for name, value in specified.constants},
        attrs={place[name]: [["tt.divisibility", _ALIGNMENT]] for name in specified.aligned},
    )
    options = {"num_warps": specified.warps, "num_stages": specified.stages, "enable_fp_fusion": True}
    made = triton.compile(source, target=GPUTarget(*TARGETS[target]), options=options)
    if "cubin" in made.asm:
        return _of_cubin(made.asm["cubin"], made.metadata.shared)
    return _of_amdgcn(made.asm["amdgcn"], made.metadata.shared)


def compile_all(specified: Iterable[Specification], target: str, workers: int | None = None) -> list[Compiled]:
    """Compile kernels in processes of their own, as many as there are cores."""
    todo = list(specified)
    if interpreting():
        raise UnavailableError("backend triton: cannot compile while TRITON_INTERPRET is set, expected it unset")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=context) as executor:
        return list(executor.map(compile_for, todo, [target] * len(todo)))


def compiler() -> str:
    """Triton's name and version."""
    from importlib.metadata import version

    return f"triton {version('triton')}"


def records(
    targets: Sequence[str], workloads: Sequence[Workload] = WORKLOADS, workers: int | None = None
) -> list[ResourceRecord]:
    """One record for each kernel that the workloads launch, in each dtype, on each target."""
    unknown = [target for target in targets if target not in TARGETS]
    if unknown:
        raise UnavailableError(f"backend triton: got target {unknown[0]}, expected one of {', '.join(TARGETS)}")
    return [record for target in targets for record in _records_of(target, workloads, workers)]


def _records_of(target: str, workloads: Sequence[Workload], workers: int | None) -> list[ResourceRecord]:
    variants: dict[Specification, tuple[str, PlannedLaunch]] = {}
    for workload in workloads:
        for dtype in workload.dtypes:
            seen: Counter[str] = Counter()
            for launch in launches(workload, dtype, target):
                seen[launch.kernel] += 1
                place = "" if seen[launch.kernel] == 1 else "-backward"
                variants.setdefault(specification(launch), (f"{workload.name}-{dtype}{place}", launch))
    found = compile_all(variants, target, workers)
    return [
        _record(launch, name, target, compiled)
        for (name, launch), compiled in zip(variants.values(), found, strict=True)
    ]


def _record(launch: PlannedLaunch, name: str, target: str, compiled: Compiled) -> ResourceRecord:
    warp = TARGETS[target][2]
    threads = launch.tile.warps * warp
    tile = launch.tile
    blocks = "x".join(map(str, (tile.height * tile.width, tile.outer, tile.inner)))
    return ResourceRecord(
        backend="triton",
        kernel=launch.kernel,
        variant=f"{name}-{blocks}-w{tile.warps}s{tile.stages}",
        target=target,
        registers=compiled.registers,
        stack_bytes=compiled.stack_bytes,
        spilled_bytes=compiled.spilled_bytes,
        shared_bytes=compiled.shared_bytes,
        threads=threads,
        occupancy=occupancy(target, registers=compiled.registers, shared_bytes=compiled.shared_bytes, threads=threads),
        instructions=compiled.instructions,
        per_output={
            "global_bytes": bytes_moved(launch) / pixels(launch),
            "warp_instructions": compiled.instructions["total"] * tile.warps / (tile.height * tile.width),
        },
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple))


def _constant(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("tl."):
        import triton.language as tl

        name = value.removeprefix("tl.").replace("int", "i")
        return tl.str_to_ty(name, None)
    return value


def _of_cubin(cubin: bytes, shared: int) -> Compiled:
    with tempfile.TemporaryDirectory(prefix="pacbench-triton-") as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        usage, code = _cuobjdump("--dump-resource-usage", path), _cuobjdump("-sass", path)
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    if found is None:
        raise ValueError(f"cuobjdump: got {usage!r}, expected the resource usage of a kernel")
    names = Counter(_INSTRUCTION.findall(code))
    counts = {kind: sum(names[name] for name in of_kind) for kind, of_kind in _COUNTED.items()}
    counts["total"] = sum(count for name, count in names.items() if name != "NOP")
    stack = int(found[2])
    spilled = stack if counts["ldl"] or counts["stl"] else 0
    kept = {kind: count for kind, count in counts.items() if count}
    tensor_cores = tuple(name for name in names if name in _COUNTED["mma"])
    return Compiled(int(found[1]), stack, spilled, shared, kept, tensor_cores)


def _cuobjdump(option: str, path: Path) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    return subprocess.run([tool, option, path], capture_output=True, text=True, check=True).stdout  # noqa: S603


def _of_amdgcn(text: str, shared: int) -> Compiled:
    def number(name: str) -> int:
        found = re.search(rf"\.{name}:\s*(\d+)", text)
        return int(found[1]) if found else 0

    names = Counter(re.findall(r"^\s+([vs]_\w+|ds_\w+|global_\w+|buffer_\w+)", text, re.MULTILINE))
    matrix = tuple(name for name in names if name.startswith("v_mfma"))
    counts = {"mma": sum(names[name] for name in matrix), "total": sum(names.values())}
    spilled = 4 * number("vgpr_spill_count")
    return Compiled(number("vgpr_count"), number("private_segment_fixed_size"), spilled, shared, counts, matrix)
