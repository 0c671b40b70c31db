"""What every row of the suite says besides its time."""

from __future__ import annotations

import statistics
from typing import Protocol

import torch

from pacbench.backend import Backend
from pacbench.measuring.fma_peak import FmaPeak
from pacbench.running.case_recorder import CaseRecorder

from .cases import Direction
from .workload import Differentiated


class Titled(Differentiated, Protocol):
    """A case that can be told."""

    @property
    def title(self) -> str:
        """What it is, in words."""


def timed_on(backend: Backend) -> str:
    """Device type: the CPU where the backend runs there, since plain operators and the FMA peak are timed on it."""
    devices = backend.capabilities.devices
    return "cpu" if "cpu" in devices else devices[0]


def note_case(record: CaseRecorder, case: Titled, direction: Direction) -> None:
    """Say what the case is, and which gradients its backward pass computes."""
    record.note(case.title)
    if direction == "forward_backward":
        record.note(f"gradients to {', '.join(case.differentiated)}")


def expect_sound(output: torch.Tensor, case: Differentiated) -> None:
    """The output has its shape and is finite."""
    assert tuple(output.shape) == case.output_shape
    assert bool(torch.isfinite(output).all())


def note_throughput(record: CaseRecorder, flops: float, device: str, peak: FmaPeak) -> None:
    """GFLOP/s at the median time, and what that is of the FMA peak; nothing where timing is switched off."""
    if not record.samples_s:
        return
    gflops = flops / statistics.median(record.samples_s) * 1e-9
    record.metric("gflops", gflops)
    if device != "cpu":
        return
    if peak.gflops is None:
        record.note(f"the FMA peak was not measured: {peak.reason}")
        return
    record.metric("fma_peak_gflops", peak.gflops)
    record.metric("percent_of_fma_peak", 100 * gflops / peak.gflops)
