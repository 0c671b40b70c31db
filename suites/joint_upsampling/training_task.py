"""Training a network for joint upsampling: the same data, crops, steps and seed whatever the network.

An example is a crop at a random place, flipped left to right or not, whose samples are taken as the protocol takes
them; each channel's samples are stretched to 0..1, the truth by the same numbers. The loss is taken where the truth is
known and off the border: the mean squared difference, as in Su et al. (CVPR 2019, section 4), or the mean length of
the error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pacbench.data.data_error import DataError
from pacbench.models.upsampling import Start, build_network, task_name
from pacbench.training import Sample, Stage, Task
from pacbench.training.batches import derived_seed

from .datasets import Item, UpsamplingDataset
from .learned import in_range
from .sampling import evaluated, low_resolution
from .scoring import error, main_error

Loss = Literal["mse", "epe"]
"""mse: the squared difference of stretched values; epe: the length of the error (endpoint error of flow, absolute error
of depth), in parts of the range of the crop's samples, that of its channels on average."""

_WHITE = 255.0
_PLACES = 20  # tried for a crop with a known pixel
_INITIAL = 4  # of the seeds that come from a training's


class UpsamplingTask(Task):
    """A network of `pacbench.models.upsampling`, trained on some images and measured on others.

    Args:
        method: Name of the network.
        factor: Of the upsampling.
        train: Images to learn from.
        held_out: Images to measure the error on.
        crop: Side of the crops, a multiple of the factor.
        steps: Optimisation steps.
        rate: Learning rate at the start.
        seed: Of the initial filters.
        start: What they are; see `build_network`.
        objective: The loss.
        said: What else the data is known by.

    Raises:
        ValueError: a network that knows no such factor or start, or a crop that is no multiple of it or all border.
    """

    def __init__(
        self,
        method: str,
        factor: int,
        train: UpsamplingDataset,
        held_out: UpsamplingDataset,
        *,
        crop: int,
        steps: int,
        rate: float,
        seed: int,
        start: Start,
        objective: Loss,
        said: Mapping[str, str],
    ) -> None:
        if crop % factor or crop <= 2 * train.border:
            raise ValueError(
                f"train upsample: got crops of {crop} pixels, expected a multiple of the factor {factor} beyond "
                f"{2 * train.border}"
            )
        self.name = task_name(method, train.kind, factor)
        self.method = method
        self.factor = factor
        self.train = train
        self.held_out = held_out
        self.crop = crop
        self.steps = steps
        self.rate = rate
        self.start = start
        self.objective = objective
        self.said = dict(said)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, _INITIAL))
            self.model = build_network(method, factor, start=start)

    def stages(self) -> Sequence[Stage]:
        """One."""
        return [Stage("upsample", self.steps, {"": self.rate})]

    def describe(self) -> Mapping[str, str | int | float | list[str]]:
        """The network, the images and the crops."""
        return {
            "method": self.method,
            "kind": self.train.kind,
            "factor": self.factor,
            "data": self.train.name,
            "train": list(self.train.ids),
            "held_out": list(self.held_out.ids),
            "crop": self.crop,
            "start": self.start,
            "loss": self.objective,
            **self.said,
        }

    def train_size(self) -> int:
        """Images to learn from."""
        return len(self.train.ids)

    def train_sample(self, index: int, generator: torch.Generator) -> Sample:
        """A crop of an image."""
        item = self._cut(self.train.load(self.train.ids[index]), generator)
        if bool(torch.rand((), generator=generator) < 0.5):
            item = _flipped(item, self.train.kind)
        return self._example(item)

    def loss(self, model: nn.Module, batch: Sample) -> tuple[Tensor, Tensor]:
        """Sum of the loss, and how many differences (mse) or pixels (epe) it is of."""
        difference = model(batch["values"], batch["guide"]) - batch["target"]
        if self.objective == "epe":
            span = batch["span"]
            lengths = torch.linalg.vector_norm(difference * (span / span.mean(1, keepdim=True)), dim=1)
            return lengths[batch["mask"]].sum(), batch["mask"].sum()
        counted = batch["mask"][:, None].expand_as(difference)
        return difference[counted].square().sum(), counted.sum()

    def validation_size(self) -> int:
        """Images to measure on."""
        return len(self.held_out.ids)

    def validation_sample(self, index: int) -> Sample:
        """An image, whole blocks of it."""
        item = self.held_out.load(self.held_out.ids[index])
        height, width = (side // self.factor * self.factor for side in item.known.shape)
        whole = _part(item, slice(0, height), slice(0, width))
        return self._example(whole) | {"truth": whole.truth, "known": whole.known}

    def measure(self, model: nn.Module, sample: Sample) -> Tensor:
        """The image's error in the data's unit, that under a guide of one colour, and 1."""
        guide = sample["guide"]
        flat = guide.mean((2, 3), keepdim=True).expand_as(guide)
        item = Item("", guide[0].cpu(), sample["truth"][0].cpu(), sample["known"][0].cpu())
        results = [model(sample["values"], seen) * sample["span"] + sample["least"] for seen in (guide, flat)]
        errors = [error(self.held_out, item, result[0].cpu()) for result in results]
        return torch.tensor([*errors, 1.0], dtype=torch.float64)

    def metrics(self, statistics: Tensor) -> Mapping[str, float]:
        """Mean of the images' errors; and with each guide replaced by its mean colour, which shows what it is used for.

        Where the two are the same, the network has not learnt to use its guide.
        """
        name = main_error(self.held_out.kind)
        guided, flat, count = statistics.tolist()
        return {name: guided / count, f"{name}_flat_guide": flat / count}

    def optimizer(self, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        """Adam, as published."""
        return torch.optim.Adam(groups)

    def _cut(self, item: Item, generator: torch.Generator) -> Item:
        height, width = item.known.shape
        if min(height, width) < self.crop:
            raise DataError(
                f"{self.train.name}, {item.id}: got {height} x {width} pixels, expected {self.crop} in both axes"
            )
        for _ in range(_PLACES):
            top = int(torch.randint(height - self.crop + 1, (), generator=generator))
            left = int(torch.randint(width - self.crop + 1, (), generator=generator))
            part = _part(item, slice(top, top + self.crop), slice(left, left + self.crop))
            if bool(part.known.any()):
                return part
        raise DataError(
            f"{self.train.name}, {item.id}: got {_PLACES} crops without a known pixel, expected one that has"
        )

    def _example(self, item: Item) -> dict[str, Tensor]:
        low = low_resolution(item.guide, item.truth, item.known, self.factor)
        values, least, span = in_range(low.values)
        return {
            "values": values[0],
            "guide": item.guide / _WHITE,
            "target": (torch.where(item.known, item.truth, 0.0) - least[0]) / span[0],
            "mask": evaluated(item.known, self.train.border),
            "least": least[0],
            "span": span[0],
        }


def _part(item: Item, rows: slice, columns: slice) -> Item:
    return Item(item.id, item.guide[:, rows, columns], item.truth[:, rows, columns], item.known[rows, columns])


def _flipped(item: Item, kind: str) -> Item:
    """Left to right: a flow then points the other way."""
    truth = item.truth.flip(-1)
    if kind == "flow":
        truth = truth * truth.new_tensor([-1.0, 1.0]).view(2, 1, 1)
    return Item(item.id, item.guide.flip(-1), truth, item.known.flip(-1))
