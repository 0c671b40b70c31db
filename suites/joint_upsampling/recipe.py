"""What `pacbench train upsample` was asked: checked, and kept in the training's folder, so that it can be resumed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from pacbench.data.data_error import DataError
from pacbench.errors import UnknownNameError
from pacbench.measuring.package_hash import data_hash
from pacbench.models.upsampling import Start
from pacbench.training.saved_recipe import SavedRecipe
from pacbench.training.settings import TrainingSettings

from .datasets import Kind, UpsamplingDataset, embedded_scenes
from .real_datasets import TRAINING, spread
from .training_task import Loss, UpsamplingTask

EMBEDDED = ("scenes", "scenes_flow")

_SCENE_SIZE = (192, 256)
_HELD_OUT = 8
_CACHED = 256


class UpsamplingRecipe(SavedRecipe):
    """What is trained, on what, for how long.

    Attributes:
        method: Name of the network.
        factor: Of the upsampling.
        data_root: Folder of a data set; None for the embedded scenes.
        data: Name of the data set; None for the first that is there.
        scenes: Embedded scenes to learn from.
        steps: Optimisation steps.
        batch: Crops of a step.
        rate: Learning rate at the start.
        crop: Side of a crop.
        seed: Of everything random.
        start: The filters to begin with, "random" or "interpolation"; see `pacbench.models.upsampling.build_network`.
        loss: "mse" as published, or "epe"; see `Loss`.
        evaluate_every: Steps between measurements; None for the end only.
        checkpoint_every: Steps between checkpoints.
        device: A torch device.
        workers: Processes that read images.
    """

    method: str
    factor: int = Field(ge=2)
    data_root: str | None = None
    data: str | None = None
    scenes: int = Field(default=64, ge=1)
    steps: int = Field(default=2000, ge=1)
    batch: int = Field(default=4, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    crop: int = Field(default=64, ge=1)
    seed: int = Field(default=0, ge=0)
    start: Start = "random"
    loss: Loss = "mse"
    evaluate_every: int | None = Field(default=None, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)
    device: str = "cpu"
    workers: int = Field(default=0, ge=0)

    def settings(self) -> TrainingSettings:
        """How it runs."""
        return TrainingSettings(
            self.seed, self.batch, self.device, self.checkpoint_every, self.evaluate_every, clip_norm=1.0,
            workers=self.workers,
        )  # fmt: skip

    def task(self) -> UpsamplingTask:
        """The task, its network built.

        Raises:
            DataError: data that cannot be used.
            UnknownNameError: no such network or data set.
            ValueError: a factor or crop that does not fit.
        """
        train, held_out = self.images()
        said = {"data_hash": data_hash(Path(self.data_root))} if self.data_root is not None else {}
        return UpsamplingTask(
            self.method, self.factor, train, held_out, crop=self.crop, steps=self.steps, rate=self.rate,
            seed=self.seed, start=self.start, objective=self.loss, said=said,
        )  # fmt: skip

    def images(self) -> tuple[UpsamplingDataset, UpsamplingDataset]:
        """What is learnt from, and what is held out of it to measure on: never an image that a run evaluates."""
        if self.data_root is None:
            name = self.data or EMBEDDED[0]
            if name not in EMBEDDED:
                raise UnknownNameError("data", name, EMBEDDED)
            kind: Kind = "depth" if name == EMBEDDED[0] else "flow"
            every = embedded_scenes("train", _SCENE_SIZE, self.scenes + _HELD_OUT, kind)
            learnt, held = every.ids[: self.scenes], every.ids[self.scenes :]
        else:
            every = _to_train_on(Path(self.data_root), self.data)
            held = spread(every.ids, _HELD_OUT) if len(every.ids) > 2 * _HELD_OUT else every.ids[-1:]
            learnt = tuple(item_id for item_id in every.ids if item_id not in held)
        return replace(every, ids=learnt, load=lru_cache(maxsize=_CACHED)(every.load)), replace(every, ids=held)


def _to_train_on(root: Path, name: str | None) -> UpsamplingDataset:
    found = {key: opened for key, open_it in TRAINING.items() if (opened := open_it(root)) is not None}
    if not found:
        raise DataError(f"{root}: got no data set to train on, expected one of {', '.join(TRAINING)}")
    if name is not None and name not in found:
        raise UnknownNameError("data", name, found)
    return found[name] if name is not None else next(iter(found.values()))
