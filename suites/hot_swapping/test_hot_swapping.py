"""Hot-swapped segmentation networks: quality beside the plain network's, time and memory of one image.

Rows are methods × backends. Every row gets the same images at the same resolution. A backend serves the swapped
layers and the CRF; the plain network is torch's own on any backend's device. Weights of several trainings that are for
one row make one row of their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import LabelledImage
from pacbench.data.voc_palette import palette_png
from pacbench.metrics.mean_iou import MeanIoUMeter, mean_iou_of
from pacbench.metrics.paired_bootstrap import mean_miou_difference_interval
from pacbench.metrics.segmentation_quality import SegmentationQuality
from pacbench.running.device import device_of

from ..crf.panels import pictures_of
from ..rows_shown import rows_shown
from ..trainings import names_of, note_trainings
from .dataset import SwappingDataset
from .methods import BASELINE, BY_NAME, METHODS, Method, Weights, choose_weights, needs_given_weights


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The rows, those of fine-tuned plain networks where there are weights for them."""
    if "method" in metafunc.fixturenames:
        methods = rows_shown(metafunc, METHODS, lambda method: method.fits if needs_given_weights(method) else None)
        end = "-total" if "measure" in metafunc.fixturenames else ""
        metafunc.parametrize("method", methods, ids=lambda method: f"{method.name}{end}")


def _weights(method: Method, dataset: SwappingDataset, given: tuple[Path, ...]) -> list[Weights]:
    chosen = choose_weights(method, given, dataset.data.class_names, embedded=dataset.embedded)
    if not chosen:
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
def test_quality(
    method: Method,
    backend: Backend,
    dataset: SwappingDataset,
    weights: tuple[Path, ...],
    prediction_folder: Path | None,
    record: Any,
) -> None:
    """Measure mIoU over the evaluated images, its difference to the plain network's, and that to a fair control's."""
    first, device = dataset.first(), device_of(backend)
    _describe(record, method, "quality", dataset, first, device)
    chosen = _weights(method, dataset, weights)
    rows = {"": chosen, **_compared(method, dataset, weights)}
    models = {name: [one.build(backend).to(device) for one in row] for name, row in rows.items()}
    count = len(dataset.data.class_names)
    qualities = [SegmentationQuality(count) for _ in chosen]
    compared: dict[str, list[list[Tensor]]] = {name: [[] for _ in row] for name, row in rows.items() if name}
    for item in dataset.items():
        if isinstance(item, DataError):
            record.note(f"left out: {item}")
            continue
        predictions = {name: [_predict(model, item.image, device) for model in row] for name, row in models.items()}
        added = [quality.add(one, item.labels) for quality, one in zip(qualities, predictions[""], strict=True)]
        for name, confusions in compared.items():
            for kept, one in zip(confusions, predictions[name], strict=True):
                kept.append(MeanIoUMeter(count).add(one, item.labels))
        record.per_item[item.id] = {
            "miou": fmean(one.miou for one in added),
            "pixel_accuracy": fmean(one.pixel_accuracy for one in added),
        }
        prediction = predictions[""][0]
        if prediction_folder is not None:
            path = prediction_folder / method.name / f"{item.id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(palette_png(prediction))
        if item.id == first.id:
            record.panel(
                method.name, pictures_of(item.image, [item.labels, *predictions.get("miou_gain", [])[:1], prediction])
            )
    _record_quality(record, chosen, qualities, dataset.data.class_names)
    for name, each in compared.items():
        _record_difference(record, name, [quality.confusions for quality in qualities], each, rows[name])


def _record_quality(
    record: Any, trainings: Sequence[Weights], qualities: Sequence[SegmentationQuality], classes: Sequence[str]
) -> None:
    """The mean of each metric over the trainings, what each has, and each class's mean IoU."""
    found = [quality.metrics() for quality in qualities]
    for name in found[0]:
        record.metric(name, fmean(one[name] for one in found))
    note_trainings(record, "miou", [one.path for one in trainings], [one["miou"] for one in found])
    for note in dict.fromkeys(one.note for one in trainings if one.note):
        record.note(note)
    results = [quality.result() for quality in qualities]
    for index in results[0].present:
        record.per_item[f"class {classes[index]}"] = {"iou": fmean(one.per_class[index] for one in results)}


def _record_difference(
    record: Any, name: str, own: Sequence[Tensor], other: Sequence[Sequence[Tensor]], trainings: Sequence[Weights]
) -> None:
    """How much mIoU is above another row's, the mean over pairs of trainings, with a paired bootstrap over images."""
    beside = [torch.stack(list(other[min(index, len(other) - 1)])) for index in range(len(own))]
    pairs = list(zip(own, beside, strict=True))
    found = mean_miou_difference_interval(pairs)
    record.metric(name, found.difference)
    if len(own[0]) > 1:
        record.metric(f"{name}_low", found.low)
        record.metric(f"{name}_high", found.high)
    if max(len(own), len(other)) > 1:
        each = [100 * (mean_iou_of(one.sum(0)).mean - mean_iou_of(two.sum(0)).mean) for one, two in pairs]
        record.note(
            f"{name}: the mean of {', '.join(f'{points:+.2f}' for points in each)} points, each training less that at "
            f"the same place, or the last, of {', '.join(names_of([one.path for one in trainings]))}"
        )


@pytest.mark.timing
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
    model = _weights(method, dataset, weights)[0].build(backend).to(device)
    image = item.image[None].to(device)
    with torch.no_grad():
        measure(lambda: model(image))


def _compared(method: Method, dataset: SwappingDataset, given: tuple[Path, ...]) -> dict[str, list[Weights]]:
    """By the name of a difference the row that it is to: the plain network's, and a fair control's if there is one."""
    others = {"miou_gain": BASELINE if method.name != BASELINE else None, "miou_minus_control": method.control}
    found = {
        name: choose_weights(BY_NAME[other], given, dataset.data.class_names, embedded=dataset.embedded)
        for name, other in others.items()
        if other is not None
    }
    return {name: row for name, row in found.items() if row}


def _predict(model: nn.Module, image: Tensor, device: str) -> Tensor:
    with torch.no_grad():
        scores: Tensor = model(image[None].to(device))
    assert scores.shape[2:] == image.shape[1:]
    assert bool(torch.isfinite(scores).all())
    return scores.argmax(dim=1)[0].cpu()
