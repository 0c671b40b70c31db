"""Training networks and CRFs for semantic segmentation: samples, augmentation, loss and mIoU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from pacbench.data.labelled_images import VOID, LabelledSet
from pacbench.metrics.mean_iou import MeanIoUMeter, mean_iou_of
from pacbench.models.network_plan import NetworkPlan

from .task import Sample, Stage, Task

Unaries = Callable[[str, tuple[int, int]], Tensor]
"""Class scores (C, H, W) of an image by its ID and size (H, W)."""

_LAYERS = ("image", "unary")
"""What a model is given, in its order."""


@dataclass(frozen=True)
class Augmentation:
    """How a training image is varied.

    Attributes:
        crop: Height and width of what is cut out at random; what lies beyond the image is void.
        flip: Whether images are mirrored at random.
        scales: Images are resized by a factor drawn between these (log-uniformly).
    """

    crop: tuple[int, int]
    flip: bool = True
    scales: tuple[float, float] = (0.8, 1.4)

    def __call__(self, image: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A variant of an image (C, H, W), in whatever channels, and its labels (H, W), both of the crop's size."""
        low, high = self.scales
        draw = torch.rand(4, generator=generator).tolist()
        factor = low * (high / low) ** draw[0]
        size = [max(1, round(side * factor)) for side in labels.shape]
        if factor != 1:
            image = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=factor < 1)[0]
            labels = F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
        if self.flip and draw[1] < 0.5:
            image, labels = image.flip(2), labels.flip(1)
        missing = [max(0, want - have) for want, have in zip(self.crop, size, strict=True)]
        if any(missing):
            image = F.pad(image, (0, missing[1], 0, missing[0]), value=127.0)
            labels = F.pad(labels, (0, missing[1], 0, missing[0]), value=VOID)
        spare = [have - want for have, want in zip(labels.shape, self.crop, strict=True)]
        top, left = (int(part * (room + 1)) for part, room in zip(draw[2:], spare, strict=True))
        here = slice(top, top + self.crop[0]), slice(left, left + self.crop[1])
        return image[:, here[0], here[1]].contiguous(), labels[here].contiguous()


class SegmentationTask(Task):
    """A model from image to class scores, learned by cross-entropy on the pixels that are not void.

    Args:
        name: As the weights say it.
        model: From (N, 3, H, W), RGB in [0, 255], to (N, C, H, W); with `unaries`, from them (N, C, H, W) too.
        plan: What the model is made of.
        data: Trained on its `train`, measured on its `val`.
        augmentation: How training images are varied.
        schedule: The stages.
        validated: How many of the validation images are measured on; None for all.
        compact: Whether the weights file holds float16, and only what was trained.
        said: More that the result depends on, such as the weights that it began with.
        unaries: The class scores (C, H, W) of an image by its ID and size, for a model that is given them.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        plan: NetworkPlan,
        data: LabelledSet,
        augmentation: Augmentation,
        schedule: Sequence[Stage],
        *,
        validated: int | None = None,
        compact: bool = False,
        said: Mapping[str, str] | None = None,
        unaries: Unaries | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.plan = plan
        self.data = data
        self.augmentation = augmentation
        self.schedule = list(schedule)
        self.validated = tuple(data.splits["val"][:validated])
        self.compact = compact
        self.leaves_unused = plan.has_crf  # a PAC-CRF has pairwise weights that only some of its kernels use
        self.said = dict(said or {})
        self.unaries = unaries

    def stages(self) -> Sequence[Stage]:
        """The schedule."""
        return self.schedule

    def describe(self) -> Mapping[str, str | int | float | list[str]]:
        """Model, data and augmentation."""
        crop, scales = self.augmentation.crop, self.augmentation.scales
        return {
            "data": self.data.name,
            "plan": self.plan.model_dump_json(),
            "train": list(self.data.splits["train"]),
            "validated": list(self.validated),
            "crop": f"{crop[0]}x{crop[1]}",
            "flip": int(self.augmentation.flip),
            "scales": f"{scales[0]} to {scales[1]}",
            **self.said,
        }

    def header(self) -> Mapping[str, str]:
        """The plan, so that the weights say what they are of."""
        return self.plan.header()

    def exported(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All of it, or in compact form what a stage trains."""
        if not self.compact:
            return state
        trained = {
            name: value
            for name, value in state.items()
            if any(stage.rate_of(name) is not None for stage in self.schedule)
        }
        return {name: value.half() if value.is_floating_point() else value for name, value in trained.items()}

    def train_size(self) -> int:
        """How many training images there are."""
        return len(self.data.splits["train"])

    def train_sample(self, index: int, generator: torch.Generator) -> Sample:
        """`image` and `labels`, and `unary` where the model is given one, varied alike."""
        whole = self._sample("train", self.data.splits["train"][index])
        layers = [whole[name] for name in _LAYERS if name in whole]
        varied, labels = self.augmentation(torch.cat(layers), whole["labels"], generator)
        parts = torch.split(varied, [len(layer) for layer in layers])
        return {"labels": labels, **dict(zip(_LAYERS, parts, strict=False))}

    def loss(self, model: nn.Module, batch: Sample) -> tuple[Tensor, Tensor]:
        """Cross-entropy summed over the pixels that are not void, and their number."""
        labels = batch["labels"]
        total = F.cross_entropy(self._scores(model, batch).float(), labels, ignore_index=VOID, reduction="sum")
        return total, (labels != VOID).sum()

    def validation_size(self) -> int:
        """How many images quality is measured on."""
        return len(self.validated)

    def validation_sample(self, index: int) -> Sample:
        """`image` and `labels`, and `unary` where the model is given one, whole."""
        return self._sample("val", self.validated[index])

    def measure(self, model: nn.Module, sample: Sample) -> Tensor:
        """The confusion matrix of one image."""
        prediction = self._scores(model, sample).argmax(1)
        confusion = MeanIoUMeter(len(self.plan.classes), VOID).add(prediction, sample["labels"])
        return confusion.to(prediction.device)

    def metrics(self, statistics: Tensor) -> Mapping[str, float]:
        """Mean IoU and pixel accuracy, 0 to 1."""
        result = mean_iou_of(statistics)
        return {"mIoU": result.mean, "pixel_accuracy": result.pixel_accuracy}

    def _sample(self, split: str, item_id: str) -> Sample:
        item = self.data.load(split, item_id)
        sample = {"image": item.image, "labels": item.labels}
        if self.unaries is None:
            return sample
        return {**sample, "unary": self.unaries(item_id, (item.labels.shape[0], item.labels.shape[1]))}

    def _scores(self, model: nn.Module, sample: Sample) -> Tensor:
        scores: Tensor = model(*(sample[name] for name in _LAYERS if name in sample))
        return scores
