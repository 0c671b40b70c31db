"""Mean intersection over union, as PASCAL VOC defines it.

One confusion matrix is summed over the whole set, void pixels left out. A class's IoU is TP / (TP + FP + FN),
and the mean is over the classes that occur in the truth of the evaluated set (Everingham et al., IJCV 2015).
torchmetrics supplies the confusion matrix only: its own Jaccard index averages over the classes in truth or
prediction, so that a few stray pixels of an absent class lower the mean by a whole class's share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

VOID = 255


@dataclass(frozen=True)
class MeanIoU:
    """The result over a set.

    Attributes:
        mean: mean IoU over `present`, 0..1; NaN if no pixel was evaluated.
        per_class: IoU of each class, 0..1; NaN for the classes that are not in the truth.
        pixel_accuracy: share of evaluated pixels that are right, 0..1; NaN if none was evaluated.
        present: the classes that occur in the truth, ascending.
        confusion: int64 (C, C): pixels of true class (row) predicted as (column).
    """

    mean: float
    per_class: tuple[float, ...]
    pixel_accuracy: float
    present: tuple[int, ...]
    confusion: Tensor


class MeanIoUMeter:
    """Sums a confusion matrix image by image.

    >>> meter = MeanIoUMeter(num_classes=2)
    >>> confusion = meter.add(torch.tensor([[0, 1]]), torch.tensor([[0, 255]]))
    >>> meter.result().mean
    1.0
    """

    def __init__(self, num_classes: int, ignore_index: int = VOID) -> None:
        if num_classes < 2:
            raise ValueError(f"MeanIoUMeter: got {num_classes} classes, expected 2 or more")
        if 0 <= ignore_index < num_classes:
            raise ValueError(
                f"MeanIoUMeter: got ignore_index {ignore_index}, expected none of the {num_classes} classes"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def add(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Add one image, or a batch.

        Args:
            prediction: integer class indices of any shape; class scores must be reduced (argmax) first.
            truth: integer labels of the same shape, `ignore_index` for void.

        Returns:
            The confusion matrix (C, C) of what was added, on the CPU.

        Raises:
            ValueError: different shapes, a dtype that is not integer, or a value that is no class.
        """
        if prediction.shape != truth.shape:
            raise ValueError(
                f"MeanIoUMeter: got a prediction of shape {tuple(prediction.shape)}, expected that of the "
                f"truth, {tuple(truth.shape)}"
            )
        valid = truth != self.ignore_index
        for name, values in (("prediction", prediction), ("truth", truth)):
            if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
                raise ValueError(f"MeanIoUMeter: got a {name} of dtype {values.dtype}, expected integers")
            checked = values[valid]
            if checked.numel() and (int(checked.min()) < 0 or int(checked.max()) >= self.num_classes):
                raise ValueError(
                    f"MeanIoUMeter: got a {name} with values {int(checked.min())} to {int(checked.max())}, "
                    f"expected 0 to {self.num_classes - 1}"
                )
        added: Tensor = multiclass_confusion_matrix(
            prediction.to(torch.int64),
            truth.to(torch.int64),
            num_classes=self.num_classes,
            ignore_index=self.ignore_index,
            validate_args=False,
        )
        added = added.to("cpu", torch.int64)
        self.confusion += added
        return added

    def result(self) -> MeanIoU:
        """The result over everything added so far."""
        return mean_iou_of(self.confusion)


def mean_iou_of(confusion: Tensor) -> MeanIoU:
    """The result for a confusion matrix (C, C), rows true, columns predicted."""
    counts = confusion.to(torch.float64)
    hits, true, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    in_truth = true > 0
    iou = torch.where(in_truth, hits / (true + predicted - hits), torch.nan)
    return MeanIoU(
        mean=float(iou[in_truth].mean()),
        per_class=tuple(iou.tolist()),
        pixel_accuracy=float(hits.sum() / counts.sum()),
        present=tuple(torch.nonzero(in_truth).flatten().tolist()),
        confusion=confusion.clone(),
    )


def mean_iou(prediction: Tensor, truth: Tensor, num_classes: int, ignore_index: int = VOID) -> MeanIoU:
    """The result for one image or one batch; see :class:`MeanIoUMeter` for arguments and errors."""
    meter = MeanIoUMeter(num_classes, ignore_index)
    meter.add(prediction, truth)
    return meter.result()
