"""Operators: time, GFLOP/s, share of this machine's FMA peak and peak memory, forward and forward + backward.

Rows are cases × directions × backends; each process also times the plain torch operator of the same sizes, so that
ratios are of numbers measured side by side. A guided operator is timed in its fused form (guide in, no kernel
given); the mean-field messages of W3 operator by operator (the kernel once, then every message with it, softmax and
sums by torch), beside the whole PAC-CRF of `test_whole_crfs.py`, whose layer may fuse them.
"""

from __future__ import annotations

from functools import partial

import pytest

from pacbench.backend import Backend
from pacbench.errors import NotSupportedError
from pacbench.measuring.fma_peak import FmaPeak
from pacbench.running.case_recorder import CaseRecorder
from pacbench.running.measure import Measure
from pacbench.running.profiles import PROFILES

from .cases import CASES_OF_PROFILE, DIRECTIONS, Direction, OperatorCase
from .references import REFERENCES, Reference
from .rows import expect_sound, note_case, note_throughput, timed_on
from .workload import pac_operator, plain_operator, tensors, timed_call

pytestmark = pytest.mark.timing

_WORTH_A_NOTE = 0.05


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Small images in the quick profile, the sizes that users have in the others."""
    if "method" in metafunc.fixturenames:
        metafunc.parametrize("method", REFERENCES, ids=lambda method: method.name)
    profile = metafunc.config.getoption("pacbench_profile") or next(iter(PROFILES))
    metafunc.parametrize("case", CASES_OF_PROFILE[profile], ids=lambda case: case.name)
    metafunc.parametrize("direction", DIRECTIONS)


def test_time(
    case: OperatorCase,
    direction: Direction,
    backend: Backend,
    record: CaseRecorder,
    measure: Measure,
    fma_peak: FmaPeak,
) -> None:
    """An operator by a backend."""
    device = timed_on(backend)
    _describe(record, case, direction, device)
    try:
        call = timed_call(partial(pac_operator, case, backend=backend), case, direction, tensors(case, device))
        output = measure(call)
    except NotSupportedError as error:
        pytest.skip(str(error))
    expect_sound(output, case)
    note_throughput(record, case.flops(direction), device, fma_peak)


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
    output = measure(timed_call(partial(plain_operator, plain), plain, direction, tensors(plain)))
    expect_sound(output, plain)
    note_throughput(record, plain.flops(direction), "cpu", fma_peak)


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
    note_case(record, case, direction)
    outside = 1 - case.share_of_taps_inside
    if outside >= _WORTH_A_NOTE:
        record.note(f"{100 * outside:.0f} % of the counted operations are at taps outside the image")
