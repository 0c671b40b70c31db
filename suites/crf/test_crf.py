"""Segmentation by CRFs: quality, and time of set-up and mean-field steps.

Rows are methods × backends. Every method gets the same images at the same resolution, the same unaries and the
same number of steps; where one differs (Full-CRF on the CPU only), its row says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.voc_palette import palette_png
from pacbench.metrics.segmentation_quality import SegmentationQuality

from ..rows_shown import rows_shown
from .dataset import CrfDataset, Item, Split
from .learned import NoWeightsError, learned_crf
from .methods import METHODS, Inference, Method, Scalars
from .panels import panel
from .tuning import Tuner

PARTS = ("total", "kernel", "steps")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The rows, learned ones where there are weights for them; each CRF is timed in parts."""
    if "method" not in metafunc.fixturenames:
        return
    methods = rows_shown(metafunc, METHODS, lambda method: method.takes if method.trained_by else None)
    if "part" not in metafunc.fixturenames:
        metafunc.parametrize("method", methods, ids=lambda method: method.name)
        return
    timed = [(method, part) for method in methods for part in (PARTS if method.is_crf else PARTS[:1])]
    metafunc.parametrize(("method", "part"), timed, ids=[f"{method.name}-{part}" for method, part in timed])


def _require(method: Method) -> None:
    reasons = method.unavailable_reasons()
    if reasons:
        pytest.skip("; ".join(reasons))


def _describe(record: Any, method: Method, part: str, dataset: CrfDataset, item: Item, device: str) -> None:
    record.describe(
        method=method.name,
        direction=part,
        dataset=dataset.name,
        device=device,
        dtype=str(item.unary.dtype).removeprefix("torch."),
        shapes={"unary": list(item.unary.shape), "image": list(item.image.shape)},
    )
    record.note(f"{method.title}: {method.source}")
    record.note(method.note)


@pytest.mark.quality
@pytest.mark.parametrize("split", ["tuning", "evaluation"])
def test_data(split: str, dataset: CrfDataset, record: Any) -> None:
    """Every image, mask and unary can be read; those that cannot are named, and left out elsewhere."""
    images: Split = getattr(dataset, split)
    record.describe(dataset=dataset.name, direction="data")
    bad = [str(item) for item in images.items() if isinstance(item, DataError)]
    record.metric("images", len(images.ids) - len(bad))
    for reason in bad:
        record.note(reason)
    if bad:
        pytest.fail("\n".join(bad), pytrace=False)


@pytest.mark.quality
def test_quality(
    method: Method,
    backend: Backend,
    dataset: CrfDataset,
    tuner: Tuner,
    weights: tuple[Path, ...],
    record: Any,
    prediction_folder: Path | None,
) -> None:
    """Measure mIoU over the evaluation split, the method's scalars tuned on the tuning split, or itself learned."""
    first = dataset.evaluation.first()
    _describe(record, method, "quality", dataset, first, method.device(backend))
    _require(method)
    tuned = tuner.tuned(method, backend)
    scalars = method.start if tuned is None else tuned.values
    inference = _inference(method, scalars, backend, dataset, weights, record)
    quality = SegmentationQuality(dataset.num_classes)
    left_out: list[str] = []
    for item in dataset.evaluation.items():
        if isinstance(item, DataError):
            left_out.append(str(item))
            continue
        prediction = _predict(inference, item, method.device(backend))
        unary = item.unary.argmax(dim=1)[0] if method.is_crf else None
        added = quality.add(prediction, item.labels, unary)
        record.per_item[item.id] = {"miou": added.miou, "pixel_accuracy": added.pixel_accuracy}
        if prediction_folder is not None:
            _save(prediction_folder / method.name / f"{item.id}.png", prediction)
        if item.id == first.id:
            record.panel(method.name, panel(item, prediction))
    result = quality.result()
    for name, value in quality.metrics().items():
        record.metric(name, value)
    names = [dataset.class_names[index] for index in result.present]
    for index, name in zip(result.present, names, strict=True):
        record.per_item[f"class {name}"] = {"iou": result.per_class[index]}
    evaluated = len(dataset.evaluation.ids) - len(left_out)
    classes = f"{len(names)} classes in their truth: {', '.join(names)}"
    record.note(f"mIoU over {evaluated} images of {dataset.evaluation.name} and the {classes}")
    for reason in left_out:
        record.note(f"left out: {reason}")
    if tuned is not None:
        record.parameters.update(tuned.values)
        record.note(tuned.note())


def _inference(
    method: Method,
    scalars: Scalars,
    backend: Backend,
    dataset: CrfDataset,
    weights: tuple[Path, ...],
    record: Any,
) -> Inference:
    """The row's method with its scalars, or as it was learned; skips a learned row that there are no weights for."""
    if not method.trained_by:
        return method.inference(dataset.num_classes, scalars, backend)
    try:
        learned = learned_crf(method, weights, dataset.network, dataset.class_names)
    except NoWeightsError as error:
        pytest.skip(str(error))
    record.note(f"weights: {learned.path.parent.name}/{learned.path.name}")
    return learned.inference(method.device(backend), backend)


def _save(path: Path, prediction: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(palette_png(prediction))


def _predict(inference: Inference, item: Item, device: str) -> torch.Tensor:
    with torch.no_grad():
        scores = inference.steps(item.unary.to(device), inference.kernel(item.image.to(device)))
    assert scores.shape == item.unary.shape
    assert bool(torch.isfinite(scores).all())
    return scores.argmax(dim=1)[0].cpu()


@pytest.mark.timing
def test_time(
    method: Method,
    part: str,
    backend: Backend,
    dataset: CrfDataset,
    tuner: Tuner,
    weights: tuple[Path, ...],
    record: Any,
    measure: Callable[..., Any],
) -> None:
    """Time of one image: the kernel, the steps, and both, with the scalars that quality is measured with."""
    item = dataset.evaluation.first()
    device = method.device(backend)
    _describe(record, method, part, dataset, item, device)
    _require(method)
    if not method.is_crf:
        pytest.skip("the unary is given: there is nothing to time")
    tuned = tuner.tuned(method, backend)
    if tuned is not None:
        record.parameters.update(tuned.values)
    scalars = method.start if tuned is None else tuned.values
    inference = _inference(method, scalars, backend, dataset, weights, record)
    image, unary = item.image.to(device), item.unary.to(device)
    with torch.no_grad():
        kernel = inference.kernel(image)
        run: dict[str, Callable[[], Any]] = {
            "kernel": lambda: inference.kernel(image),
            "steps": lambda: inference.steps(unary, kernel),
            "total": lambda: inference.steps(unary, inference.kernel(image)),
        }
        measure(run[part])
