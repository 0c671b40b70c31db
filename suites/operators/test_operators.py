"""Operators: time, GFLOP/s, share of this machine's FMA peak and peak memory, forward and forward + backward.

Rows are cases × directions × backends; each process also times the plain torch operator of the same sizes, so that
ratios are of numbers measured side by side. A guided operator is timed in its fused form (guide in, no kernel
given); the mean-field messages of W3 as a layer makes them (the kernel once, then every message with it).
"""

from __future__ import annotations

import statistics
from functools import partial

import pytest
import torch

from pacbench.backend import Backend
from pacbench.errors import NotSupportedError
from pacbench.measuring.fma_peak import FmaPeak, measure_fma_peak
from pacbench.running.case_recorder import CaseRecorder
from pacbench.running.measure import Measure
from pacbench.running.profiles import PROFILES

from .cases import CASES_OF_PROFILE, DIRECTIONS, Direction, OperatorCase
from .references import REFERENCES, Reference
from .workload import pac_operator, plain_operator, timed_call

pytestmark = pytest.mark.timing

_WORTH_A_NOTE = 0.05


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Small images in the quick profile, the sizes that users have in the others."""
    if "method" in metafunc.fixturenames:
        metafunc.parametrize("method", REFERENCES, ids=lambda method: method.name)
    profile = metafunc.config.getoption("pacbench_profile") or next(iter(PROFILES))
    metafunc.parametrize("case", CASES_OF_PROFILE[profile], ids=lambda case: case.name)
    metafunc.parametrize("direction", DIRECTIONS)


@pytest.fixture(scope="module")
def fma_peak() -> FmaPeak:
    """Multiply-adds per second of this machine's registers, with as many threads as torch has."""
    return measure_fma_peak(torch.get_num_threads())


def test_time(
    case: OperatorCase,
    direction: Direction,
    backend: Backend,
    record: CaseRecorder,
    measure: Measure,
    fma_peak: FmaPeak,
) -> None:
    """An operator by a backend."""
    device = _device(backend)
    _describe(record, case, direction, device)
    try:
        call = timed_call(partial(pac_operator, case, backend=backend), case, direction, device)
        output = measure(call)
    except NotSupportedError as error:
        pytest.skip(str(error))
    _expect_sound(output, case)
    _throughput(record, case.flops(direction), device, fma_peak)


def test_reference(
    method: Reference,
    case: OperatorCase,
    direction: Direction,
    record: CaseRecorder,
    measure: Measure,
    fma_peak: FmaPeak,
) -> None:
    """The plain torch operator of the same sizes, on the CPU, whatever the backend."""
    plain = case.plain_twin
    _describe(record, plain, direction, "cpu")
    record.describe(method=method.name)
    record.note(f"{plain.operator}: {method.title}")
    output = measure(timed_call(partial(plain_operator, plain), plain, direction, "cpu"))
    _expect_sound(output, plain)
    _throughput(record, plain.flops(direction), "cpu", fma_peak)


def _device(backend: Backend) -> str:
    """The CPU where the backend runs there: the plain operators and the FMA peak are measured on it."""
    devices = backend.capabilities.devices
    return "cpu" if "cpu" in devices else devices[0]


def _describe(record: CaseRecorder, case: OperatorCase, direction: Direction, device: str) -> None:
    record.describe(
        operator=case.operator,
        direction=direction,
        device=device,
        dtype="float32",
        shapes=case.shapes,
        flops=case.flops(direction),
        bytes=case.compulsory_bytes(direction),
    )
    record.note(case.title)
    if direction == "forward_backward":
        record.note(f"gradients to {', '.join(case.differentiated)}")
    outside = 1 - case.share_of_taps_inside
    if outside >= _WORTH_A_NOTE:
        record.note(f"{100 * outside:.0f} % of the counted operations are at taps outside the image")


def _expect_sound(output: torch.Tensor, case: OperatorCase) -> None:
    assert tuple(output.shape) == case.output_shape
    assert bool(torch.isfinite(output).all())


def _throughput(record: CaseRecorder, flops: float, device: str, peak: FmaPeak) -> None:
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
