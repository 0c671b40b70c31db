"""Every kernel compiles for every architecture, by nvcc and by NVRTC, within its budget; its library loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from pacbench.backends.cuda import instances, sources
from pacbench.backends.cuda.call import CallStruct
from pacbench.backends.cuda.library import CompiledLibrary
from pacbench.backends.cuda_ext import CudaExtBackend, build, machine_code
from pacbench.backends.cuda_ext.backend import devices
from pacbench.backends.cupy import modules
from pacbench.errors import UnavailableError
from pacbench.resources import ResourceRecord, compare, read_budget

CUPY_ADDS = ("-ftz=true", "--device-as-default-execution-space")
"""What `cupy.RawModule` adds to its options."""

ARCHITECTURES = tuple(target.removeprefix("sm_") for target in machine_code.TARGETS)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("90",), id="sm_90"),
        # ten minutes of CPU
        pytest.param(ARCHITECTURES, id="all", marks=pytest.mark.deep),
    ],
)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[ResourceRecord]]:
    """The library for some architectures, warnings being errors, and what its kernels take."""
    try:
        build.find_nvcc()
        machine_code.find_cuobjdump()
    except (build.BuildError, UnavailableError) as error:
        pytest.skip(str(error))
    said: list[str] = []
    library = build.build(
        tmp_path_factory.mktemp("library"),
        architectures=request.param,
        flags=(*build.STRICT, "-Xptxas=-v"),
        told=said.append,
    )
    return library, list(machine_code.of_library(library, "\n".join(said)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_library_loads_without_a_driver_and_says_why_it_cannot_run(
    built: tuple[Path, list[ResourceRecord]],
) -> None:
    library = CompiledLibrary(built[0], lambda device: 0)
    assert list(library.kernels) == instances.all_of()
    count, why = devices(library)
    assert (count, why.split(":")[0]) == (-1, "cudaGetDeviceCount of the CUDA runtime")
    assert "(cudaError" in why
    with pytest.raises(RuntimeError, match=r"cudaGetDevice.* of pacbench::contract<float, 4>: .*\(cudaError"):
        library.launch("pacbench::contract<float, 4>", 1, (32, 4), 0, CallStruct(), 0)


def test_resources_are_within_the_budget(built: tuple[Path, list[ResourceRecord]]) -> None:
    budget = read_budget(CudaExtBackend().resource_budget_file())
    if budget.compiler != machine_code.compiler():
        pytest.skip(f"the budget was made by {budget.compiler}, this is {machine_code.compiler()}")
    worse = [str(difference) for difference in compare(built[1], budget.records) if difference.worse]
    assert not worse, "\n".join(worse)


SPILLING = {
    "adapting_kernel float32",
    "contract_tiled bfloat16-7-16",
    "contract_tiled float16-7-16",
    "contract_tiled float32-7-16",
    "kernel_gradient bfloat16-16",
    "kernel_gradient float16-16",
    "modulate bfloat16-4",
    "modulate float16-4",
    "modulate float32-4",
}
"""Kernels that nvcc 13.0 spills on sm_90, by 4 to 72 bytes a thread: a loss that is known and not yet mended."""


def test_nothing_else_is_spilled_on_sm_90(built: tuple[Path, list[ResourceRecord]]) -> None:
    of_sm_90 = [record for record in built[1] if record.target == "sm_90"]
    assert len(of_sm_90) == len(instances.all_of())
    spilling = {f"{record.kernel} {record.variant}" for record in of_sm_90 if record.spilled_bytes}
    assert spilling <= SPILLING, f"spilled anew: {sorted(spilling - SPILLING)}"


def test_no_doubles_in_kernels_of_other_types(built: tuple[Path, list[ResourceRecord]]) -> None:
    narrow = [record for record in built[1] if not record.variant.startswith("float64")]
    assert narrow
    assert [record.name for record in narrow if record.instructions.get("dfma")] == []


def test_multiply_adds_outweigh_loads_from_shared_memory(built: tuple[Path, list[ResourceRecord]]) -> None:
    """Of contractions from tiles: 32 multiply-adds for two pixels and four vectors, in 16 channels of two pixels."""
    ratios = {
        record.name: record.instructions["ffma"] / record.instructions["lds"]
        for record in built[1]
        if record.kernel == "contract_tiled" and record.variant in {"float32-3-16", "float32-5-16"}
    }
    assert len(ratios) in {2, 2 * len(machine_code.TARGETS)}
    assert min(ratios.values()) > 3, ratios


def _compile_by_nvrtc(names: Sequence[str], architecture: str) -> bytes:
    nvrtc = pytest.importorskip(
        "cupy_backends.cuda.libs.nvrtc", reason="CuPy, which brings the binding of NVRTC, is missing"
    )
    try:
        nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        pytest.skip(f"NVRTC does not load: {error}")
    program = nvrtc.createProgram(sources.inlined(), "pac.cu", (), ())
    try:
        for name in names:
            nvrtc.addNameExpression(program, name)
        options = (*modules.OPTIONS, *CUPY_ADDS, f"-arch=sm_{architecture}")
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            raise AssertionError(nvrtc.getProgramLog(program)) from None
        said = nvrtc.getProgramLog(program)
        assert "warning" not in said, said  # NVRTC makes no errors of them
        assert all(nvrtc.getLoweredName(program, name) for name in names)
        code: bytes = nvrtc.getCUBIN(program)
        return code
    finally:
        nvrtc.destroyProgram(program)


@pytest.mark.parametrize(
    ("part", "architecture"),
    [
        pytest.param(
            part,
            architecture,
            id=f"{part}-sm_{architecture}",
            marks=[] if part == "float32" or architecture == "90" else [pytest.mark.deep],
        )
        for part in instances.PARTS
        for architecture in ARCHITECTURES
    ],
)
def test_nvrtc(part: str, architecture: str) -> None:
    code = _compile_by_nvrtc(instances.of_part(part), architecture)
    assert code.startswith(b"\x7fELF")


def test_nvrtc_finds_a_planted_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = sources.inlined() + "\n__device__ int unused() { int x; }\n"
    monkeypatch.setattr(sources, "inlined", lambda: faulty)
    with pytest.raises(AssertionError, match=r"pac\.cu"):
        _compile_by_nvrtc(["pacbench::sum_partials<float>"], "90")
