"""The register kernel: it builds, is cached, never beats what registers allow, and says why there is none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch

from pacbench.measuring import fma_peak as module
from pacbench.measuring.fma_peak import build, find_compiler, measure_copy_bandwidth, measure_fma_peak

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
    first = build(compiler)
    built = first.stat().st_mtime_ns
    assert first.parent == cache
    assert build(compiler) == first
    assert first.stat().st_mtime_ns == built
    assert [path.name for path in cache.iterdir()] == [first.name]


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


def test_no_threads_is_an_error():
    with pytest.raises(ValueError, match="got threads 0, expected at least 1"):
        measure_fma_peak(0)


def test_copies_move_bytes():
    threads = torch.get_num_threads()
    assert 0.1 < measure_copy_bandwidth() < 1e4
    assert torch.get_num_threads() == threads
