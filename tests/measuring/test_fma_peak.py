"""Register kernels: they build, are cached, never beat what registers allow, and say why there is none."""

from __future__ import annotations

import ctypes
import math
import stat
from pathlib import Path

import pytest
import torch

from pacbench.measuring import register_kernels as module
from pacbench.measuring.fma_peak import SOURCE, measure_copy_bandwidth, measure_fma_peak
from pacbench.measuring.register_kernels import ONLY_AVX2, RegisterKernel, build, find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler on this machine")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path / "cache" / "pacbench"


@needs_compiler
def test_the_peak_lies_between_one_and_what_two_512_bit_units_at_8_ghz_give():
    found = measure_fma_peak(1)
    assert found.reason is None
    assert found.threads == 1
    assert found.gflops is not None
    assert 1 < found.gflops < 2 * 16 * 2 * 8


@needs_compiler
def test_it_is_built_once(cache: Path):
    compiler = find_compiler()
    assert compiler is not None
    first = build(SOURCE, compiler)
    built = first.stat().st_mtime_ns
    assert first.parent == cache
    assert build(SOURCE, compiler) == first
    assert first.stat().st_mtime_ns == built
    assert [path.name for path in cache.iterdir()] == [first.name]


@needs_compiler
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() != "AVX512", reason="no AVX-512 on this processor")
def test_avx2_is_a_build_of_its_own():
    widest, narrow = RegisterKernel(SOURCE, 1), RegisterKernel(SOURCE, 1, flags=ONLY_AVX2)
    assert narrow.library.pacbench_count(1) != widest.library.pacbench_count(1)
    assert min(narrow.rate(5), widest.rate(5)) > 0


@needs_compiler
@pytest.mark.parametrize("step", [0.0, 0.1, 1.0, 3.0, 8.0])
def test_kernel_values_are_those_of_the_gaussian_kernel(step: float):
    kernel = RegisterKernel("kernel_values.cpp", 1)
    value = kernel.library.pacbench_kernel_value
    value.restype = ctypes.c_float
    triple = ctypes.c_float * 3
    found = value(triple(0.5, -1.0, 2.0), triple(0.5 + step, -1.0 - step / 2, 2.0))
    assert found == pytest.approx(math.exp(-0.5 * 1.25 * step**2), rel=1e-6)


@needs_compiler
def test_a_kernel_value_costs_between_1_and_500_operations():
    values, operations = RegisterKernel("kernel_values.cpp", 1).rate(3), RegisterKernel(SOURCE, 1).rate(3)
    assert 1 < operations / values < 500


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = measure_fma_peak(2)
    assert found.gflops is None
    assert found.reason is not None
    assert found.reason.startswith("no C++ compiler found (g++, c++, clang++); install one")


def test_a_failed_build_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compiler = tmp_path / "broken-compiler"
    compiler.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo broken 1; exit 0; }\necho 'x.cpp: error: no' >&2; exit 1\n"
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    found = measure_fma_peak(1)
    assert found.gflops is None
    assert found.reason is not None
    assert "x.cpp: error: no" in found.reason


def test_an_unwritable_cache_is_replaced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert module.cache_folder().is_dir()


@needs_compiler
def test_no_threads_is_an_error():
    with pytest.raises(ValueError, match=r"fma_peak\.cpp: got threads 0, expected at least 1"):
        measure_fma_peak(0)


def test_copies_move_bytes():
    threads = torch.get_num_threads()
    assert 0.1 < measure_copy_bandwidth() < 1e4
    assert torch.get_num_threads() == threads
