"""Joint upsampling: error of each method, and its time for one image.

Rows are methods x factors x data x backends. Every method gets the same samples and the same guide; where one uses
neither guide nor backend, its row says so.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean

import pytest
import torch

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.errors import NotSupportedError
from pacbench.metrics.root_mean_square_error import root_mean_square_error
from pacbench.running.case_recorder import CaseRecorder
from pacbench.running.device import device_of
from pacbench.running.measure import Measure
from pacbench.running.profiles import PROFILES

from .datasets import DATASETS, EXTENTS, UpsamplingDataset, open_dataset, tuning_dataset
from .methods import METHODS, Method, Upsampler
from .panels import panel
from .sampling import BORDER, LowResolution, evaluated, low_resolution, offset
from .tuning import Tuner

_DATA_ROOT = "data_root"
_TIMED_CALLS = {"quick": 3, "standard": 3, "full": 5}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The factors of the profile; a folder of real data that was given gets a row that says it is not read."""
    if metafunc.function is test_data:
        given = metafunc.config.getoption("pacbench_data_root") or os.environ.get("PACBENCH_DATA")
        metafunc.parametrize("data", [*DATASETS, *([_DATA_ROOT] if given else [])])
    if "factor" in metafunc.fixturenames:
        profile = metafunc.config.getoption("pacbench_profile") or next(iter(PROFILES))
        metafunc.parametrize("factor", EXTENTS[profile].factors, ids=lambda factor: f"x{factor}")


@pytest.fixture(scope="module")
def tuner(profile: str) -> Tuner:
    """Knows the scalars that are best on the train scenes."""
    return Tuner(tuning_dataset(profile))


@pytest.mark.quality
def test_data(data: str, profile: str, data_root: Path | None, record: CaseRecorder) -> None:
    """Every image can be read; those that cannot are named, and left out elsewhere."""
    if data == _DATA_ROOT:
        pytest.skip(f"this suite reads its embedded data only, nothing from {data_root}")
    dataset = open_dataset(data, profile)
    record.describe(dataset=dataset.name)
    bad = [str(item) for item in dataset.items() if isinstance(item, DataError)]
    record.metric("images", len(dataset.ids) - len(bad))
    if bad:
        pytest.fail("\n".join(bad), pytrace=False)


@pytest.mark.quality
@pytest.mark.parametrize("data", DATASETS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_quality(
    method: Method, data: str, factor: int, backend: Backend, profile: str, tuner: Tuner, record: CaseRecorder
) -> None:
    """Mean over the images of each one's RMSE, the method's scalars tuned on the train scenes."""
    dataset = open_dataset(data, profile)
    device = device_of(backend) if method.uses_backend else "cpu"
    _describe(record, method, "quality", dataset, factor, device)
    tuned = tuner.tuned(method, factor)
    if tuned is not None:
        record.parameters.update(tuned.values)
        record.note(tuned.note())
    upsample = method.build({} if tuned is None else tuned.values, backend)
    first = dataset.first()
    pictured = data == "scenes" and factor == _pictured_factor(profile)
    left_out = 0
    for item in dataset.items():
        if isinstance(item, DataError):
            left_out += 1
            continue
        low = low_resolution(item.guide, item.truth, item.known, factor)
        result = _upsampled(upsample, low, device)
        record.per_item[item.id] = {"rmse": root_mean_square_error(result, item.truth, evaluated(item.known))}
        if pictured and item.id == first.id:
            record.panel(f"upsampling-{method.name}-x{factor}-{backend.name}", panel(item, low, result))
    record.metric("rmse", fmean(found["rmse"] for found in record.per_item.values()))
    if left_out:
        record.note(f"{left_out} of {len(dataset.ids)} images left out because they cannot be read: see test_data")


@pytest.mark.timing
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_time(
    method: Method, factor: int, backend: Backend, profile: str, record: CaseRecorder, measure: Measure
) -> None:
    """Time of the first scene, without gradients."""
    dataset = open_dataset("scenes", profile)
    device = device_of(backend) if method.uses_backend else "cpu"
    _describe(record, method, "total", dataset, factor, device)
    if method.grid:
        record.note("timed with: " + ", ".join(f"{name} {value:g}" for name, value in method.start.items()))
    item = dataset.first()
    low = _on_device(low_resolution(item.guide, item.truth, item.known, factor), device)
    record.describe(shapes={"values": low.values.shape, "guide": low.guide.shape})
    upsample = method.build(method.start, backend)
    try:
        with torch.no_grad():
            measure(lambda: upsample(low), rounds=_TIMED_CALLS[profile])
    except NotSupportedError as error:
        pytest.skip(str(error))


def _describe(
    record: CaseRecorder, method: Method, direction: str, dataset: UpsamplingDataset, factor: int, device: str
) -> None:
    record.describe(
        method=method.name, direction=direction, dataset=dataset.name, device=device, dtype="float32",
        operator="guided_pacconv_transpose2d" if method.uses_backend else None,
    )  # fmt: skip
    record.metric("factor", factor)
    record.note(f"{method.title}: {method.source}")
    record.note(method.note)
    if direction == "quality":
        record.note(
            f"mean of {len(dataset.ids)} images' RMSE; samples at offset {offset(factor)} of every {factor} pixels, "
            f"{BORDER} pixels at each border not evaluated"
        )
        record.note(dataset.note)


def _on_device(low: LowResolution, device: str) -> LowResolution:
    return LowResolution(low.guide.to(device), low.values.to(device), low.valid.to(device), low.factor)


def _upsampled(upsample: Upsampler, low: LowResolution, device: str) -> torch.Tensor:
    try:
        with torch.no_grad():
            result = upsample(_on_device(low, device))
    except NotSupportedError as error:
        pytest.skip(str(error))
    assert tuple(result.shape) == (1, 1, *low.size)
    assert bool(torch.isfinite(result).all())
    return result[0, 0].cpu()


def _pictured_factor(profile: str) -> int:
    """The factor that panels show: 8, or the largest of a profile without it."""
    factors = EXTENTS[profile].factors
    return 8 if 8 in factors else max(factors)
