"""The environment: complete, and the same twice."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pacbench.measuring.environment import allocator, describe_environment, gpus
from pacbench.measuring.processor import processor_name
from pacbench.records import Environment


def test_it_describes_this_process():
    found = describe_environment(measure_roof=False)
    assert found.torch == torch.__version__
    assert found.threads == torch.get_num_threads()
    assert found.cores >= 1
    assert found.memory_bytes > 2**28
    assert found.processor == processor_name() != ""
    assert "numpy" in found.packages
    assert found.fma_peak_gflops is None
    assert found.fma_peak_reason == "not measured"
    assert found == describe_environment(measure_roof=False)


def test_as_a_program_it_prints_the_record():
    words = [sys.executable, "-m", "pacbench.measuring.environment"]
    found = Environment.model_validate_json(subprocess.run(words, capture_output=True, check=True).stdout)
    assert (found.fma_peak_gflops is None) == (found.fma_peak_reason is not None)
    assert found.copy_bandwidth_gbs is not None


@pytest.mark.parametrize("broken", ["nvmlInit", None])
def test_without_a_gpu_the_list_is_empty(monkeypatch: pytest.MonkeyPatch, broken: str | None):
    if broken is None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
    else:
        pynvml = pytest.importorskip("pynvml")

        def fail() -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

        monkeypatch.setattr(pynvml, broken, fail)
    assert gpus() == []


def test_settings_of_the_allocator_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    assert allocator().endswith("MALLOC_MMAP_MAX_=0")
    monkeypatch.delenv("MALLOC_MMAP_MAX_")
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    assert allocator().endswith("default settings")
