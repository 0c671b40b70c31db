"""Every kernel compiles for every architecture, by nvcc and by NVRTC, within its budget; its library loads."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
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

PLANTED = """
struct Call { const float *from; float *to; };
namespace pacbench {
template <class T> __global__ void __launch_bounds__(1024, 2) spilling(const Call c) {
  T values[96];
  #pragma unroll
  for (int i = 0; i < 96; i++) values[i] = c.from[i * 1024 + threadIdx.x];
  __syncthreads();
  for (int turn = 0; turn < 9; turn++)
    #pragma unroll
    for (int i = 0; i < 96; i++) values[i] = values[i] * values[(i + 1) % 96] + T(turn);
  #pragma unroll
  for (int i = 0; i < 96; i++) c.to[i * 1024 + threadIdx.x] = values[i];
}
template <class T> __global__ void doubling(const Call c) {
  double sum = 0;
  for (int i = 0; i < 9; i++) sum += double(c.from[i]) * double(c.from[i + threadIdx.x]);
  c.to[threadIdx.x] = T(sum);
}
template __global__ void spilling<float>(const Call);
template __global__ void doubling<float>(const Call);
}
"""
"""Kernels that the gates below must find."""

ARCHITECTURES = tuple(target.removeprefix("sm_") for target in machine_code.TARGETS)


BuiltOnce = Callable[[str, Callable[[Path], object]], Path]
Built = tuple[Path, list[ResourceRecord]]
"""A library, and what its kernels take."""


def _built(built_once: BuiltOnce, architecture: str) -> Built:
    """The library for an architecture, warnings being errors; a skip where nvcc or cuobjdump is missing."""
    try:
        build.find_nvcc()
        machine_code.find_cuobjdump()
    except (build.BuildError, UnavailableError) as error:
        pytest.skip(str(error))

    def fill(folder: Path) -> None:
        said: list[str] = []
        flags = (*build.STRICT, "-Xptxas=-v")
        build.build(folder, architectures=(architecture,), ptx=False, flags=flags, told=said.append)
        (folder / "ptxas.log").write_text("\n".join(said))

    folder = built_once(f"nvcc-sm_{architecture}", fill)
    library = folder / build.LIBRARY
    return library, list(machine_code.of_library(library, (folder / "ptxas.log").read_text()))


@pytest.fixture(scope="module")
def built(built_once: BuiltOnce) -> Built:
    """The library for sm_90."""
    return _built(built_once, "90")


def _spilling(records: Sequence[ResourceRecord]) -> list[str]:
    """Kernels with values in local memory: spilled registers, or arrays that no register holds."""
    return [record.name for record in records if record.spilled_bytes or record.stack_bytes]


def _with_doubles(records: Sequence[ResourceRecord]) -> list[str]:
    """Kernels of other types than float64 that compute in it."""
    narrow = [record for record in records if not record.variant.startswith("float64")]
    assert narrow
    return [record.name for record in narrow if record.instructions.get("dfma")]


def _over_budget(records: Sequence[ResourceRecord]) -> list[str]:
    budget = read_budget(CudaExtBackend().resource_budget_file())
    if budget.compiler != machine_code.compiler():
        pytest.skip(f"the budget was made by {budget.compiler}, this is {machine_code.compiler()}")
    return [str(difference) for difference in compare(records, budget.records) if difference.worse]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_library_loads_without_a_driver_and_says_why_it_cannot_run(built: Built) -> None:
    library = CompiledLibrary(built[0], lambda device: 0)
    assert list(library.kernels) == instances.all_of()
    count, why = devices(library)
    assert (count, why.split(":")[0]) == (-1, "cudaGetDeviceCount of the CUDA runtime")
    assert "(cudaError" in why
    with pytest.raises(RuntimeError, match=r"cudaGetDevice.* of pacbench::contract<float, 4>: .*\(cudaError"):
        library.launch("pacbench::contract<float, 4>", 1, (32, 4), 0, CallStruct(), 0)


def test_resources_are_within_the_budget(built: Built) -> None:
    worse = _over_budget(built[1])
    assert not worse, "\n".join(worse)


def test_nothing_is_spilled(built: Built) -> None:
    assert len(built[1]) == len(instances.all_of())
    assert _spilling(built[1]) == []


def test_no_doubles_in_kernels_of_other_types(built: Built) -> None:
    assert _with_doubles(built[1]) == []


@pytest.mark.usefixtures("built")
def test_a_planted_spill_and_a_planted_double_are_found(tmp_path: Path) -> None:
    """Fewer registers than sums, and a float64 sum in a float32 kernel."""
    source, library = tmp_path / "planted.cu", tmp_path / "planted.so"
    source.write_text(PLANTED)
    command = [build.find_nvcc(), *build.FLAGS, "-gencode=arch=compute_90,code=sm_90", "-Xptxas=-v", "-shared"]
    done = subprocess.run([*command, str(source), "-o", str(library)], capture_output=True, text=True, check=True)
    found = list(machine_code.of_library(library, done.stdout + done.stderr))
    assert _spilling(found) == ["sm_90 spilling float32"]
    assert _with_doubles(found) == ["sm_90 doubling float32"]


def test_multiply_adds_outweigh_loads_from_shared_memory(built: Built) -> None:
    """Of contractions from tiles: 32 multiply-adds for two pixels and four vectors, in 16 channels of two pixels."""
    ratios = {
        record.name: record.instructions["ffma"] / record.instructions["lds"]
        for record in built[1]
        if record.kernel == "contract_tiled" and record.variant in {"float32-3-16", "float32-5-16"}
    }
    assert len(ratios) == 2
    assert min(ratios.values()) > 3, ratios


@pytest.mark.deep
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvcc(architecture: str, built_once: BuiltOnce, green_once: Callable[..., Callable[..., None]]) -> None:
    """Every instance, warnings being errors, within the budget, nothing in local memory."""
    write_down = green_once("nvcc", architecture=architecture)
    library, records = _built(built_once, architecture)
    assert list(CompiledLibrary(library, lambda device: 0).kernels) == instances.all_of()
    assert _over_budget(records) == []
    assert _spilling(records) == []
    assert _with_doubles(records) == []
    write_down(compiler=machine_code.compiler(), kernels=len(instances.all_of()), records=len(records))


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
def test_nvrtc(part: str, architecture: str, green_once: Callable[..., Callable[..., None]]) -> None:
    write_down = green_once("nvrtc", part=part, architecture=architecture)
    code = _compile_by_nvrtc(instances.of_part(part), architecture)
    assert code.startswith(b"\x7fELF")
    write_down(kernels=len(instances.of_part(part)))


def test_nvrtc_finds_a_planted_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = sources.inlined() + "\n__device__ int unused() { int x; }\n"
    monkeypatch.setattr(sources, "inlined", lambda: faulty)
    with pytest.raises(AssertionError, match=r"pac\.cu"):
        _compile_by_nvrtc(["pacbench::sum_partials<float>"], "90")
