"""Whole CRFs: kernels and mean-field steps of one image, forward, and forward + backward where filters are learned.

PAC-CRF and Conv-CRF by each backend, Full-CRF and BCL-CRF by each that has a lattice; beside them, in the same process,
Full-CRF by pydensecrf2 on the same image.
"""

from __future__ import annotations

import pytest

from pacbench.backend import Backend
from pacbench.crf import FullCRFPydensecrf2
from pacbench.errors import NotSupportedError, UnavailableError
from pacbench.measuring.fma_peak import FmaPeak
from pacbench.running.case_recorder import CaseRecorder
from pacbench.running.measure import Measure
from pacbench.running.profiles import PROFILES

from .cases import Direction
from .models import MODELS_OF_PROFILE, ModelCase
from .references import FULL_CRF
from .rows import expect_sound, note_case, note_throughput, timed_on
from .workload import timed_call

pytestmark = pytest.mark.timing


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A small image in the quick profile, the size that users have in the others."""
    profile = metafunc.config.getoption("pacbench_profile") or next(iter(PROFILES))
    by_backend = "backend" in metafunc.fixturenames
    rows = [
        (model, direction)
        for model in MODELS_OF_PROFILE[profile]
        if by_backend == model.uses_backend
        for direction in model.directions
    ]
    metafunc.parametrize(
        ("model", "direction"), rows, ids=[f"{model.name}-{direction}" for model, direction in rows]
    )  # fmt: skip


def test_model(
    model: ModelCase,
    direction: Direction,
    backend: Backend,
    record: CaseRecorder,
    measure: Measure,
    fma_peak: FmaPeak,
) -> None:
    """A CRF whose messages or lattice a backend computes."""
    device = timed_on(backend)
    _describe(record, model, direction, device)
    try:
        output = measure(timed_call(model.run(backend), model, direction, model.tensors(device)))
    except (NotSupportedError, UnavailableError) as error:
        pytest.skip(str(error))
    expect_sound(output, model)
    flops = model.flops(direction)
    if flops is not None:
        note_throughput(record, flops, device, fma_peak)


def test_full_crf(model: ModelCase, direction: Direction, record: CaseRecorder, measure: Measure) -> None:
    """Full-CRF by pydensecrf2 on the same image, on the CPU, whatever the backend."""
    _describe(record, model, direction, "cpu")
    record.describe(method=FULL_CRF)
    reasons = FullCRFPydensecrf2.unavailable_reasons()
    if reasons:
        pytest.skip("; ".join(reasons))
    expect_sound(measure(timed_call(model.run(None), model, direction, model.tensors())), model)


def _describe(record: CaseRecorder, model: ModelCase, direction: Direction, device: str) -> None:
    record.describe(
        operator=model.operator,
        direction=direction,
        device=device,
        dtype="float32",
        shapes=model.shapes,
        flops=model.flops(direction),
    )
    note_case(record, model, direction)
