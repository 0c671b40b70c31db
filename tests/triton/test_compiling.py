"""Every kernel compiled ahead of time, without a GPU: what its machine code says, against the budget and the design."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pacbench.backends.triton import TritonBackend
from pacbench.resources import ResourceRecord, compare, read_budget

pytestmark = pytest.mark.usefixtures("needs_triton")

CONTRACTIONS = ("gather_contraction", "kernel_gradient", "weight_gradient")
"""Kernels made of matrix products."""

SPILLING_ON_SM_80 = {
    "kernel_gradient conv3x3-64-bfloat16-64x64x32-w4s2",
    "kernel_gradient conv5x5-64-bfloat16-64x64x32-w4s2",
    "weight_gradient crf5x5-21-float32-64x32x16-w4s2",
}
"""What ptxas spills on sm_80, at most 16 bytes (docs/triton_backend.md)."""

OTHER_TARGETS = {"sm_100": ("tf32", "bfloat16"), "gfx942": ("float32", "bfloat16")}
"""Targets without a budget, and dtypes that have matrix instructions there."""

Compile = Callable[[str], Sequence[ResourceRecord]]

ALONE = """
import json, sys
from dataclasses import replace
from pacbench.backends.triton import compiling
from pacbench.backends.triton.workloads import BY_NAME, WORKLOADS

target, name, *dtypes = sys.argv[1:]
workloads = WORKLOADS if name == "all" else [replace(BY_NAME[name], dtypes=tuple(dtypes))]
print(json.dumps([record.model_dump(mode="json") for record in compiling.records([target], workloads)]))
"""
"""Compiles in a process of its own: others may have changed what this one knows of Triton."""


LAYOUTS = """
import json, re, sys
from dataclasses import replace
import triton
from pacbench.backends.triton import compiling
from pacbench.backends.triton.workloads import BY_NAME

target, name, dtype, form, *kernels = sys.argv[1:]
compile, made = triton.compile, []
triton.compile = lambda *words, **options: made.append(compile(*words, **options)) or made[-1]
loads, copies = [], []
for launch in compiling.launches(BY_NAME[name], dtype, target):
    if kernels and launch.kernel not in kernels:
        continue
    launch = launch if form == "chosen" else replace(launch, widths_told=form == "told")
    compiling.compile_for(compiling.specification(launch), target)
    text = made[-1].asm["ttgir"]
    layouts = {
        layout: {key: json.loads(value) for key, value in re.findall(r"(\\w+) = (\\[[^]]*\\])", fields)}
        for layout, fields in re.findall(r"^(#\\w+) = #ttg.(?:blocked|swizzled_shared)<{(.*)}>", text, re.M)
    }
    load = r"= (?:tt.load|ttg.async_copy_global_to_local) .* : tensor<([\\dx]+)x!.*>, (#blocked\\d*)>"
    for shape, layout, place in re.findall(load + r"(?: -> <.*?, (#\\w+),)?", text):
        sizes, lanes = [int(size) for size in shape.split("x")], layouts[layout]
        loads.append([launch.kernel, sizes, lanes["sizePerThread"], lanes["threadsPerWarp"]])
        if place in layouts:
            copies.append([launch.kernel, sizes, lanes["order"], layouts[place]["order"]])
print(json.dumps([loads, copies]))
"""
"""How the lanes of a warp lie over each tile that is loaded: shape, values a thread, threads a warp. Of what is copied
to shared memory to be read back: shape, and the order of dimensions, the fastest first, of lanes and in that memory."""

PIXELS = 64
"""Of a tile; no tile of the convolution of 32 channels has as many channels."""

TOLD = {"gather_contraction", "weight_gradient"}
"""Kernels whose compiler is told which widths are multiples of 16, in float32."""


def _compiled(*words: str, script: str = ALONE) -> str:
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


def _records(text: str) -> list[ResourceRecord]:
    return [ResourceRecord.model_validate(record) for record in json.loads(text)]


@pytest.fixture(scope="module")
def compiled(built_once: Callable[[str, Callable[[Path], object]], Path]) -> Compile:
    """The records of a target, compiled once."""

    def of(target: str) -> Sequence[ResourceRecord]:
        folder = built_once(
            f"triton-{target}", lambda filling: (filling / "records.json").write_text(_compiled(target, "all"))
        )
        return _records((folder / "records.json").read_text())

    return of


@pytest.mark.parametrize("target", ["sm_90", "sm_80"])
def test_within_the_budget(target: str, compiled: Compile) -> None:
    budget = read_budget(TritonBackend().resource_budget_file())
    worse = [str(difference) for difference in compare(compiled(target), budget.records) if difference.worse]
    assert not worse, "\n".join(worse)


def test_nothing_spills_on_sm_90(compiled: Compile) -> None:
    found = compiled("sm_90")
    assert len(found) > 100
    assert [record.name for record in found if record.spilled_bytes or record.stack_bytes] == []


def test_nothing_but_what_is_known_spills_on_sm_80(compiled: Compile) -> None:
    spilling = [record for record in compiled("sm_80") if record.spilled_bytes or record.stack_bytes]
    assert {f"{record.kernel} {record.variant}" for record in spilling} <= SPILLING_ON_SM_80
    assert max((record.stack_bytes for record in spilling), default=0) <= 16


@pytest.mark.parametrize("target", ["sm_90", "sm_80"])
@pytest.mark.parametrize("dtype", ["tf32", "bfloat16", "float16"])
def test_convolutions_are_on_tensor_cores(dtype: str, target: str, compiled: Compile) -> None:
    chosen = [record for record in compiled(target) if record.kernel in CONTRACTIONS and f"-{dtype}" in record.variant]
    assert len(chosen) >= 8
    assert [record.name for record in chosen if not record.instructions.get("mma")] == []


@pytest.mark.parametrize(
    ("workload", "dtype", "told"),
    [
        ("conv5x5-32", "float32", TOLD),
        ("conv5x5-32", "tf32", set()),
        ("conv5x5-32", "bfloat16", set()),
        ("pool5x5-32", "float32", set()),
    ],
)
def test_neighbouring_lanes_load_neighbouring_pixels(workload: str, dtype: str, told: set[str]) -> None:
    """A tap is aligned to nothing, so that a lane that had four neighbours would load them one by one, four apart.

    That is what the kernels do that are told of widths, since they were measured to be faster so.
    """
    loads, _ = json.loads(_compiled("sm_90", workload, dtype, "chosen", script=LAYOUTS))
    found: dict[str, set[tuple[int, int]]] = {}
    for kernel, shape, each, lanes in loads:
        if len(shape) == 2 and PIXELS in shape:
            at = shape.index(PIXELS)
            found.setdefault(kernel, set()).add((each[at], lanes[at]))
    assert len(found) >= 4
    assert {kernel for kernel, ways in found.items() if (4, 16) in ways} == told
    assert [kernel for kernel in found.keys() - told if found[kernel] != {(1, 32)}] == []


def test_pixels_lie_in_shared_memory_as_their_lanes_do() -> None:
    """Channels first, 32 neighbouring pixels of 32 channels would be in one bank: 32 turns for each copy and read.

    Not asked of the tile that `weight_gradient` loads with channels as rows: in float32 that is crossed, told or not,
    as the sources of `gather_contraction` are.
    """

    def crossed(form: str) -> set[str]:
        _, copies = json.loads(_compiled("sm_90", "conv5x5-32", "float32", form, *TOLD, script=LAYOUTS))
        assert {kernel for kernel, *_ in copies} == TOLD
        return {kernel for kernel, shape, lanes, memory in copies if shape[0] == PIXELS and lanes != memory}

    assert crossed("chosen") == {"gather_contraction"}
    assert crossed("untold") == TOLD


def test_without_a_pipeline_nothing_is_copied_to_shared_memory_to_be_read_back() -> None:
    loads, copies = json.loads(_compiled("sm_90", "conv5x5-32", "tf32", "chosen", script=LAYOUTS))
    assert {kernel for kernel, *_ in loads} >= set(CONTRACTIONS)
    assert copies == []


def test_no_kernel_of_floats_computes_in_double(compiled: Compile) -> None:
    chosen = [
        record for record in compiled("sm_90") if "float64" not in record.variant and "inverse" not in record.variant
    ]
    assert [record.name for record in chosen if record.instructions.get("dfma")] == []


def test_no_kernel_uses_atomics(compiled: Compile) -> None:
    assert [record.name for record in compiled("sm_90") if record.instructions.get("red")] == []


@pytest.mark.parametrize(
    ("target", "workload"),
    [
        *((target, "conv5x5-32") for target in OTHER_TARGETS),
        *(pytest.param(target, "all", marks=pytest.mark.deep) for target in OTHER_TARGETS),
    ],
)
def test_compiles_for_other_targets(target: str, workload: str) -> None:
    """Every kernel; in CI the main convolution, forwards and backwards, in the dtypes of training."""
    found = _records(_compiled(target, workload, *OTHER_TARGETS[target]))
    budgeted = {record.kernel for record in read_budget(TritonBackend().resource_budget_file()).records}
    assert {record.kernel for record in found} >= (budgeted if workload == "all" else set(CONTRACTIONS))
    products = [
        record
        for record in found
        if record.kernel in CONTRACTIONS and any(f"-{dtype}" in record.variant for dtype in OTHER_TARGETS[target])
    ]
    assert [record.name for record in products if not record.instructions.get("mma")] == []
