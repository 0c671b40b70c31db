"""The backend `cuda_ext` where it cannot run: what is missing, what its library says, and which nvcc is taken."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbench.backends.cuda import call, instances, machine, sources
from pacbench.backends.cuda.call import CALL_DTYPE, CallStruct
from pacbench.backends.cuda.library import CompiledLibrary, LibraryError
from pacbench.backends.cuda_ext import CudaExtBackend, build, machine_code
from pacbench.backends.cuda_ext.backend import LIBRARY_VARIABLE, CudaExtLauncher
from pacbench.backends.cupy import CupyBackend
from pacbench.errors import UnavailableError
from pacbench.functional import pacpool2d
from pacbench.registry import get_backend, list_backends

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_both_are_registered() -> None:
    assert {"cuda_ext", "cupy"} <= set(list_backends())
    assert isinstance(get_backend("cuda_ext"), CudaExtBackend)
    assert isinstance(get_backend("cupy"), CupyBackend)


@without_gpu
@pytest.mark.parametrize("name", ["cuda_ext", "cupy"])
def test_what_is_missing_is_told_with_its_mend(name: str) -> None:
    reasons = get_backend(name).unavailable_reasons()
    assert reasons
    assert all(reason.text and reason.mend for reason in reasons)
    told = "; ".join(map(str, reasons))
    assert "CUDA" in told or "NVIDIA" in told
    image, kernel = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 1, 1, 3, 3)
    with pytest.raises(UnavailableError, match="to mend it"):
        pacpool2d(image, kernel, 1, backend=name)


def test_a_missing_toolkit_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(build, "built", lambda: None)
    told = [reason.text for reason in CudaExtBackend().unavailable_reasons()]
    assert f"build: got CUDA_HOME={tmp_path}, which has no bin/nvcc, expected a CUDA toolkit" in told


def test_each_gpu_has_a_library_of_its_architecture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whichever is the current one."""
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", {0: (8, 0), 1: (9, 0)}.__getitem__)
    monkeypatch.setattr(build, "on_first_use", tmp_path.joinpath)
    monkeypatch.setattr("pacbench.backends.cuda_ext.backend.CompiledLibrary", lambda path, stream: path)
    launcher = CudaExtLauncher()
    assert [str(launcher.library(device)) for device in (0, 1, 0)] == [f"{tmp_path}/{name}" for name in (80, 90, 80)]


@pytest.mark.parametrize("name", ["cuda_ext", "cupy"])
def test_a_torch_for_amd_gpus_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that "CUDA" is available."""
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    told = [reason.text for reason in get_backend(name).unavailable_reasons()]
    assert f"torch {torch.__version__} is built for AMD GPUs" in told


def test_the_command_line_of_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the GPU run book has it."""
    asked: dict[str, object] = {}

    def built(output: Path, **options: object) -> Path:
        asked.update(options)
        return output / build.LIBRARY

    monkeypatch.setattr(build, "build", built)
    words = ["build", "--architectures", "90", "--flag=-lineinfo", "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    assert build.main() == 0
    assert capsys.readouterr().out == f"{tmp_path / build.LIBRARY}\n"
    assert asked == {"architectures": ["90"], "flags": (*build.STRICT, "-lineinfo")}


def test_a_library_that_is_there_needs_no_toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(build, "built", lambda: tmp_path / build.LIBRARY)
    assert not any("toolkit" in reason.text for reason in CudaExtBackend().unavailable_reasons())


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = {reason.text: reason.mend for reason in CupyBackend().unavailable_reasons()}
    assert told["the package cupy is not installed"].startswith("pip install 'pacbench[cupy-cuda1")


def test_a_missing_gpu_is_told_apart_from_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(machine, "_has_driver", lambda: True)
    assert [reason.text for reason in machine.missing()] == ["torch finds no NVIDIA GPU"]
    monkeypatch.setattr(machine, "_has_driver", lambda: False)
    assert [reason.text for reason in machine.missing()] == ["there is no NVIDIA driver (libcuda.so.1)"]


def test_what_is_no_library_is_told(tmp_path: Path) -> None:
    file = tmp_path / "libpacbench_cuda.so"
    file.write_bytes(b"no library")
    with pytest.raises(LibraryError, match="does not load"):
        CompiledLibrary(file, lambda device: 0)


def test_a_library_of_another_version_is_told(emulated_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shorter(ctypes.Structure):
        _fields_ = (("input", ctypes.c_void_p),)

    monkeypatch.setattr("pacbench.backends.cuda.library.CallStruct", Shorter)
    with pytest.raises(LibraryError, match="is of another version: its calls have 312 bytes, expected 8"):
        CompiledLibrary(emulated_library, lambda device: 0)


def test_a_library_has_exactly_the_instances(emulated_library: Path) -> None:
    assert list(CompiledLibrary(emulated_library, lambda device: 0).kernels) == instances.all_of()


def test_a_launch_that_no_gpu_takes_is_an_error_with_its_text(emulated_library: Path) -> None:
    library = CompiledLibrary(emulated_library, lambda device: 0)
    kernel = instances.name("sum_partials", "float")
    with pytest.raises(RuntimeError, match="pacbench::sum_partials<float>: the grid or the block has a size"):
        library.launch(kernel, 1, (32, 64), 0, CallStruct(), 0)


def test_the_struct_is_one_for_ctypes_and_numpy() -> None:
    assert CALL_DTYPE.itemsize == ctypes.sizeof(CallStruct)
    for name in (*call.POINTERS, *call.INTEGERS):
        assert CALL_DTYPE.fields is not None
        assert CALL_DTYPE.fields[name][1] == getattr(CallStruct, name).offset
    written = call.write({"target": torch.zeros(1)}, {"batch": 2, "out_height": 3, "out_width": 4})
    assert np.frombuffer(written, CALL_DTYPE)["batch"].tolist() == [2]


def test_sizes_that_are_not_indexed_are_refused() -> None:
    with pytest.raises(ValueError, match="CUDA kernels: got number of output pixels 2147483648, expected at most"):
        call.write({}, {"batch": 2, "out_height": 2**15, "out_width": 2**15})


def test_the_inlined_source_is_whole() -> None:
    text = sources.inlined()
    assert 'include "call.cuh"' not in text
    assert all(f" {name.split('::')[1].split('<')[0]}(" in text for name in instances.all_of())


def test_the_cache_key_follows_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = sources.digest()
    (tmp_path / "more.cuh").write_text("// more\n")
    monkeypatch.setattr(sources, "files", lambda: [*sorted(sources.KERNELS.glob("*.cu*")), tmp_path / "more.cuh"])
    assert sources.digest() != before


@pytest.mark.parametrize(
    ("mangled", "parts"),
    [
        ("_ZN8pacbench14contract_tiledIfLi5ELi16EEEvNS_4CallE", ("contract_tiled", "float32", "5", "16")),
        ("_ZN8pacbench8contractINS_7float16ELi4EEEvNS_4CallE", ("contract", "float16", "4")),
        ("_ZN8pacbench12sum_partialsINS_8bfloat16EEEvNS_4CallE", ("sum_partials", "bfloat16")),
        ("_ZN8pacbench14guide_gradientIdEEvNS_4CallE", ("guide_gradient", "float64")),
    ],
)
def test_demangled(mangled: str, parts: tuple[str, ...]) -> None:
    assert machine_code.demangled(mangled) == parts


def test_a_compiler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert os.environ["CUDA_HOME"]
    with pytest.raises(UnavailableError, match="expected a CUDA toolkit"):
        machine_code.records(["sm_90"])
