"""Peak memory: what a call allocates beyond what was held, kept or freed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pacbench.measuring import peak_memory as module
from pacbench.measuring.peak_memory import peak_memory

SIZE = 200 * 10**6


def kept() -> np.ndarray:
    return np.ones(SIZE, dtype=np.uint8)


def freed() -> int:
    return int(np.ones(SIZE, dtype=np.uint8)[-1])


def freed_and_smaller() -> np.ndarray:
    return np.ones(SIZE, dtype=np.uint8)[: SIZE // 2].copy()


@pytest.mark.parametrize(("call", "expected"), [(kept, 1.0), (freed, 1.0), (freed_and_smaller, 1.5)])
def test_what_a_call_allocates_is_seen(call, expected: float):
    result, peak = peak_memory(call, "cpu")
    assert result is not None
    assert peak == pytest.approx(expected * SIZE, rel=0.1)


def test_what_was_held_before_does_not_count():
    held = kept()
    result, peak = peak_memory(lambda: int(held.sum()), "cpu")
    assert result == SIZE
    assert peak < 0.1 * SIZE


def test_an_earlier_peak_does_not_count():
    freed()
    _, peak = peak_memory(lambda: None, "cpu")
    assert peak < 0.1 * SIZE


KEPT_HEAP = """
import json, sys
import numpy as np
from pacbench.measuring.peak_memory import peak_memory

SIZE = 40 * 10**6

def block(size=SIZE):
    return np.ones(size, dtype=np.uint8)

def holes():  # what lies between two blocks that are freed is not enough for a larger one
    first, between, second = block(), block(1000), block()
    return between

def replaced():
    first, between = block(), block(1000)
    del first
    return block(2 * SIZE), between

held = [holes() for _ in range(3)]
peaks = [peak_memory(call, "cpu")[1] / SIZE for call in (block, lambda: None, holes, replaced, replaced)]
freed = block(3 * SIZE)
del freed
with open("/proc/self/status") as status:
    resident = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
json.dump([peaks, resident], sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="settings of glibc")
def test_a_kept_heap_hides_nothing_and_is_kept_again_afterwards():
    kept = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
    words = [sys.executable, "-c", KEPT_HEAP]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | kept)
    peaks, resident = json.loads(done.stdout)
    assert peaks == pytest.approx([1, 0, 2, 2, 2], abs=0.1)
    assert resident > 3 * 40 * 10**6


def test_where_the_kernel_does_not_count_a_thread_samples(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> int:
        raise PermissionError("/proc/self/clear_refs")

    def busy() -> None:
        data = np.ones(SIZE, dtype=np.uint8)
        for _ in range(20):
            data += 1

    monkeypatch.setattr(Path, "write_text", refuse)
    _, peak = peak_memory(busy, "cpu")
    assert peak == pytest.approx(SIZE, rel=0.1)


def test_an_error_of_the_call_is_passed_on():
    def fail() -> None:
        raise OSError("no such file")

    calls = []
    with pytest.raises(OSError, match="no such file"):
        peak_memory(lambda: (calls.append(1), fail()), "cpu")
    assert calls == [1]


def test_on_cuda_torch_counts_after_the_work_has_ended(monkeypatch: pytest.MonkeyPatch):
    """With a stand-in for torch, since machines without a GPU run this too."""
    said: list[str] = []
    allocated = {"now": 100, "most": 100}

    def call() -> str:
        said.append("call")
        allocated["most"] = 350
        return "result"

    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        synchronize=lambda: said.append("synchronize"),
        reset_peak_memory_stats=lambda: said.append("reset"),
        memory_allocated=lambda: allocated["now"],
        max_memory_allocated=lambda: allocated["most"],
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert peak_memory(call) == ("result", 250)
    assert said == ["synchronize", "reset", "call", "synchronize"]


def test_it_needs_no_torch():
    code = f"import sys, {module.__name__} as m; m.peak_memory(lambda: 1); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
