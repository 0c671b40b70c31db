"""Hot-swapped segmentation networks: quality beside the plain network's, time and memory of one image.

Rows are methods × backends. Every row gets the same images at the same resolution. A backend serves the swapped
layers and the CRF; the plain network is torch's own on any backend's device.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import LabelledImage
from pacbench.data.voc_palette import palette_png
from pacbench.metrics.segmentation_quality import SegmentationQuality
from pacbench.running.device import device_of

from ..crf.panels import pictures_of
from .dataset import SwappingDataset
from .methods import BASELINE, METHODS, Method, Weights, choose_weights


def _weights(method: Method, dataset: SwappingDataset, given: tuple[Path, ...]) -> Weights:
    chosen = choose_weights(method, given, dataset.data.class_names, embedded=dataset.embedded)
    if chosen is None:
        pytest.skip(f"no weights for this row: give --weights FILE as made by `{method.trained_by}`")
    return chosen


def _describe(
    record: Any, method: Method, part: str, dataset: SwappingDataset, item: LabelledImage, device: str
) -> None:
    record.describe(
        method=method.name,
        direction=part,
        dataset=dataset.data.name,
        device=device,
        dtype="float32",
        shapes={"image": [1, *item.image.shape]},
    )
    record.note(f"{method.title}: {method.source}")


@pytest.mark.quality
def test_data(dataset: SwappingDataset, record: Any) -> None:
    """Every image and mask can be read; those that cannot are named, and left out elsewhere."""
    record.describe(dataset=dataset.data.name, direction="data")
    bad = [str(item) for item in dataset.items() if isinstance(item, DataError)]
    record.metric("images", len(dataset.ids) - len(bad))
    if bad:
        pytest.fail("\n".join(bad), pytrace=False)


@pytest.mark.quality
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_quality(
    method: Method,
    backend: Backend,
    dataset: SwappingDataset,
    weights: tuple[Path, ...],
    prediction_folder: Path | None,
    record: Any,
) -> None:
    """Measure mIoU over the evaluated images, and its difference to the plain network's."""
    first, device = dataset.first(), device_of(backend)
    _describe(record, method, "quality", dataset, first, device)
    chosen = _weights(method, dataset, weights)
    model = chosen.build(backend).to(device)
    plain = _baseline(method, dataset, weights, backend)
    record.note(chosen.note)
    quality = SegmentationQuality(len(dataset.data.class_names))
    for item in dataset.items():
        if isinstance(item, DataError):
            record.note(f"left out: {item}")
            continue
        prediction = _predict(model, item.image, device)
        beside = _predict(plain, item.image, device) if plain is not None else None
        added = quality.add(prediction, item.labels, beside)
        record.per_item[item.id] = {"miou": added.miou, "pixel_accuracy": added.pixel_accuracy}
        if prediction_folder is not None:
            path = prediction_folder / method.name / f"{item.id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(palette_png(prediction))
        if item.id == first.id:
            shown = [item.labels, prediction] if beside is None else [item.labels, beside, prediction]
            record.panel(method.name, pictures_of(item.image, shown))
    for name, value in quality.metrics().items():
        record.metric(name, value)
    result = quality.result()
    for index in result.present:
        record.per_item[f"class {dataset.data.class_names[index]}"] = {"iou": result.per_class[index]}


@pytest.mark.timing
@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-total")
def test_time(
    method: Method,
    backend: Backend,
    dataset: SwappingDataset,
    weights: tuple[Path, ...],
    record: Any,
    measure: Callable[..., Any],
) -> None:
    """Time of one image from pixels to scores, without gradients."""
    item, device = dataset.first(), device_of(backend)
    _describe(record, method, "total", dataset, item, device)
    model = _weights(method, dataset, weights).build(backend).to(device)
    image = item.image[None].to(device)
    with torch.no_grad():
        measure(lambda: model(image))


def _baseline(method: Method, dataset: SwappingDataset, given: tuple[Path, ...], backend: Backend) -> nn.Module | None:
    """The plain network to compare with; None for itself, and where it has no weights."""
    if method.name == BASELINE:
        return None
    chosen = choose_weights(METHODS[0], given, dataset.data.class_names, embedded=dataset.embedded)
    return chosen.build(backend).to(device_of(backend)) if chosen is not None else None


def _predict(model: nn.Module, image: Tensor, device: str) -> Tensor:
    with torch.no_grad():
        scores: Tensor = model(image[None].to(device))
    assert scores.shape[2:] == image.shape[1:]
    assert bool(torch.isfinite(scores).all())
    return scores.argmax(dim=1)[0].cpu()
