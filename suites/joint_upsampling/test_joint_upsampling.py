"""Joint upsampling: error of each method, and its time for one image.

Rows are methods x factors x data x backends. Every method gets the same samples and the same guide; where one uses
neither guide nor backend, its row says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import pytest
import torch

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.errors import NotSupportedError
from pacbench.metrics.bootstrap import interval, paired_interval
from pacbench.running.case_recorder import CaseRecorder
from pacbench.running.measure import Measure
from pacbench.running.profiles import PROFILES
from pacbench.running.suite_options import split_factors

from ..trainings import note_trainings
from .datasets import EXTENTS, Data, Item, UnfitFactorError, UpsamplingDataset, open_embedded
from .interpolation import interpolation
from .learned import Learned
from .methods import METHODS, Method, Upsampler
from .networks import NoWeightsError, parameters, untrained, with_weights
from .panels import panel
from .real_datasets import open_folder
from .sampling import LowResolution, offset
from .scoring import errors, main_error
from .tuning import Tuner

_BROKEN_ROOT = "data_root"
_PICTURED = "scenes"
_TIMED_EMBEDDED = ("scenes", "scenes_flow")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The factors asked for or the profile's, and the data of the folder given or the embedded data."""
    options = metafunc.config.option
    profile = options.pacbench_profile or next(iter(PROFILES))
    if "factor" in metafunc.fixturenames:
        factors = split_factors(options.pacbench_factor) or EXTENTS[profile].factors
        metafunc.parametrize("factor", factors, ids=lambda factor: f"x{factor}")
    if "data" in metafunc.fixturenames:
        root = options.pacbench_data_root or os.environ.get("PACBENCH_DATA")
        names = _names(Path(root) if root else None, profile)
        timed = metafunc.function is test_time and not root
        metafunc.parametrize("data", [name for name in names if name in _TIMED_EMBEDDED] if timed else names)


def _names(root: Path | None, profile: str) -> list[str]:
    if root is None:
        return list(open_embedded(profile))
    try:
        return list(open_folder(root, profile))
    except DataError:  # every row says why
        return [_BROKEN_ROOT]


@pytest.fixture(scope="module")
def every_data(profile: str, data_root: Path | None) -> dict[str, Data]:
    """The data sets by name."""
    return open_embedded(profile) if data_root is None else open_folder(data_root, profile)


@pytest.fixture(scope="module")
def tuner() -> Tuner:
    """Knows the scalars that are best on the images to tune on."""
    return Tuner()


@pytest.mark.quality
def test_data(data: str, every_data: dict[str, Data], record: CaseRecorder) -> None:
    """Every image can be read; those that cannot are named, and left out elsewhere."""
    dataset = every_data[data].evaluation
    record.describe(dataset=dataset.name)
    bad = [str(item) for item in dataset.items() if isinstance(item, DataError)]
    record.metric("images", len(dataset.ids) - len(bad))
    if bad:
        pytest.fail("\n".join(bad), pytrace=False)


@pytest.mark.quality
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_quality(
    method: Method,
    data: str,
    factor: int,
    backend: Backend,
    every_data: dict[str, Data],
    data_root: Path | None,
    weights: tuple[Path, ...],
    tuner: Tuner,
    record: CaseRecorder,
) -> None:
    """Mean over the images of each one's error, and its interval; scalars tuned on other images."""
    dataset = every_data[data].evaluation
    device = method.device(backend)
    _describe(record, method, "quality", dataset, factor, device)
    picture = f"upsampling-{method.name}-x{factor}-{backend.name}"
    if method.learned:
        try:
            found = with_weights(method.name, dataset.kind, factor, backend, weights, embedded=data_root is None)
        except (NoWeightsError, ValueError) as error:
            _skip_unless_data(error)
        record.metric("parameters", parameters(found[0][0].network))
        upsamplers: list[Upsampler] = [Learned(learned.network.to(device)) for learned, _ in found]
        each = _evaluate(upsamplers, method, dataset, factor, device, record, picture)
        note_trainings(record, main_error(dataset.kind), [path for _, path in found], each)
    else:
        upsample = _tuned(method, factor, every_data[data].tuning, backend, tuner, record)
        record.metric("parameters", 0)
        _evaluate([upsample], method, dataset, factor, device, record, picture)


@pytest.mark.timing
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_time(
    method: Method,
    data: str,
    factor: int,
    backend: Backend,
    every_data: dict[str, Data],
    record: CaseRecorder,
    measure: Measure,
) -> None:
    """Time of the first image, without gradients."""
    dataset = every_data[data].evaluation
    device = method.device(backend)
    _describe(record, method, "total", dataset, factor, device)
    if method.learned and data == "scenes_flow":
        pytest.skip("networks take flow channel by channel: twice the time of the scenes' depth")
    item = dataset.first()
    low = _samples(item, method, dataset, factor).to(device)
    record.describe(shapes={"values": low.values.shape, "guide": low.guide.shape})
    if method.grid:
        record.note("timed with: " + ", ".join(f"{name} {value:g}" for name, value in method.start.items()))
    if method.learned:
        try:
            learned = untrained(method.name, factor, backend)
        except ValueError as error:
            pytest.skip(str(error))
        upsample: Upsampler = Learned(learned.network.to(device))
        record.metric("parameters", parameters(learned.network))
        record.note("timed with filters that have learnt nothing: time does not depend on them")
    else:
        upsample = method.build(method.start, backend)
    try:
        with torch.no_grad():
            measure(lambda: upsample(low), rounds=1 if method.learned else None)
    except NotSupportedError as error:
        pytest.skip(str(error))


def _tuned(
    method: Method, factor: int, tuning: UpsamplingDataset, backend: Backend, tuner: Tuner, record: CaseRecorder
) -> Upsampler:
    try:
        tuned = tuner.tuned(method, factor, tuning)
    except UnfitFactorError as error:
        pytest.skip(f"nothing to tune on: {error}")
    if tuned is not None:
        record.parameters.update(tuned.values)
        record.note(tuned.note())
    return method.build({} if tuned is None else tuned.values, backend)


def _evaluate(
    upsamplers: Sequence[Upsampler],
    method: Method,
    dataset: UpsamplingDataset,
    factor: int,
    device: str,
    record: CaseRecorder,
    picture: str,
) -> list[float]:
    """Record the errors of a method, the mean over its trainings image by image; returns the mean error of each one."""
    first = dataset.first()
    bilinear = interpolation("bilinear")
    baseline: list[float] = []
    by_training: list[list[float]] = []
    measure = main_error(dataset.kind)
    left_out = 0
    for item in dataset.items():
        if isinstance(item, DataError):
            left_out += 1
            continue
        low = _samples(item, method, dataset, factor)
        results = [_upsampled(upsample, low, device) for upsample in upsamplers]
        found = [errors(dataset, item, result) for result in results]
        record.per_item[item.id] = {name: fmean(one[name] for one in found) for name in found[0]}
        by_training.append([one[measure] for one in found])
        plain = low if method.first_sample is None else item.at(factor, sampled=dataset.sampled)
        baseline.append(errors(dataset, item, bilinear(plain)[0])[measure])
        if dataset.kind == "depth" and dataset.name.startswith("embedded") and item.id == first.id:
            record.panel(picture, panel(item, low, results[0]))
    own = [found[measure] for found in record.per_item.values()]
    names = dict.fromkeys(name for one in record.per_item.values() for name in one)
    for name in names:
        record.metric(name, fmean(one[name] for one in record.per_item.values() if name in one))
    _note_intervals(record, measure, own, baseline)
    if left_out:
        record.note(f"{left_out} of {len(dataset.ids)} images left out because they cannot be read: see test_data")
    return [fmean(one) for one in zip(*by_training, strict=True)]


def _note_intervals(record: CaseRecorder, measure: str, own: list[float], baseline: list[float]) -> None:
    """95 % bootstrap intervals over the images, of the mean and of its difference to bilinear on the same ones."""
    found, difference = interval(own), paired_interval(own, baseline)
    if found is None or difference is None:
        record.note("one image has no interval")
        return
    record.metric(f"{measure}_low", found.low)
    record.metric(f"{measure}_high", found.high)
    record.metric("minus_bilinear", difference.value)
    record.metric("minus_bilinear_low", difference.low)
    record.metric("minus_bilinear_high", difference.high)


def _samples(item: Item, method: Method, dataset: UpsamplingDataset, factor: int) -> LowResolution:
    if method.first_sample is not None and not dataset.sampled:
        pytest.skip("the low-resolution inputs came with the data: they cannot be sampled elsewhere")
    try:
        return item.at(factor, sampled=dataset.sampled, start=method.first_sample)
    except UnfitFactorError as error:
        pytest.skip(str(error))


def _skip_unless_data(error: Exception) -> None:
    """Broken data is a failure; that a method has no weights, or knows no such factor, is a reason."""
    if isinstance(error, DataError):
        raise error
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
        start = offset(factor) if method.first_sample is None else method.first_sample
        sampled = f"samples at offset {start} of every {factor} pixels" if dataset.sampled else "inputs of the data"
        record.note(
            f"mean of {len(dataset.ids)} images' {main_error(dataset.kind).upper()}; {sampled}, {dataset.border} "
            "pixels at each border not evaluated"
        )
        record.note(dataset.note)


def _upsampled(upsample: Upsampler, low: LowResolution, device: str) -> torch.Tensor:
    try:
        with torch.no_grad():
            result = upsample(low.to(device))
    except NotSupportedError as error:
        pytest.skip(str(error))
    assert tuple(result.shape) == (1, low.values.shape[1], *low.size)
    assert bool(torch.isfinite(result).all())
    return result[0].cpu()
