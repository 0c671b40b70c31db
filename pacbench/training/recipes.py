"""What `pacbench train` can train: a network, a CRF on a network, a network with swapped convolutions.

A recipe is everything that was asked, checked; it lies in the folder of its training, so that `--resume` needs
nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import LabelledSet, embedded_scenes, open_folder
from pacbench.data.unaries import find_folder, load_unary
from pacbench.measuring.package_hash import data_hash
from pacbench.models.crf_behind_network import OtherCRF
from pacbench.models.network_plan import NetworkPlan, build_with, plan_for
from pacbench.models.small_fcn import WIDTH

from .origins import digest, with_origins
from .saved_recipe import SavedRecipe
from .segmentation import Augmentation, SegmentationTask, Unaries
from .settings import Precision, TrainingSettings
from .task import Stage

Kind = Literal["fcn", "crf", "pacfcn"]

SCENE_SIZE = (120, 160)
"""Of the embedded scenes that networks are trained on and judged by."""

_STEPS = {"fcn": 2000, "crf": 400, "pacfcn": 400}
_RATES = {
    "small": {"fcn": 3e-3, "crf": 1e-2, "pacfcn": 1e-3},
    "vgg16": {"fcn": 1e-4, "crf": 1e-3, "pacfcn": 1e-5},
    "none": {"crf": 1e-2},
}
_JOINT = {"small": (0.1, 0.03), "vgg16": (0.1, 1e-4)}
"""Of the joint stage: the CRF's and the network's share of the rate of the stage before."""


class Recipe(SavedRecipe):
    """What is trained, on what, for how long.

    Attributes:
        kind: "fcn", "crf" (alone on the frozen network, then jointly; without a network to begin with, on the unaries
            in the data's folder) or "pacfcn".
        data_root: Folder of a data set; None for the embedded scenes.
        scenes: Embedded scenes to train on.
        validated: Images of val to measure quality on; None for all (of the embedded scenes, 24).
        network: "small" or "vgg16"; of the weights that it begins with, where there are some.
        width: Of the small network, likewise.
        guide_scale: Of the guide of swapped convolutions; None for the network's own default.
        crf: Dilations of the PAC-CRF.
        other_crf: Another CRF in its place.
        pairwise_weight: What the CRF's messages are multiplied with from the start.
        joint: Whether "crf" has its second stage.
        steps: Optimisation steps in all, `epochs` coming first; None for the kind's default.
        epochs: How often each image is seen.
        batch: Images of a step.
        rate: Learning rate at the start; None for the kind's default.
        crop: Height and width of what is cut out of an image; None for the first image's size.
        scales: Images are resized by a factor drawn between these.
        seed: Of everything random.
        init: Weights to begin with, one file after the other.
        evaluate_every: Steps between measurements; None for the end of each stage only.
        checkpoint_every: Steps between checkpoints.
        device: A torch device.
        workers: Processes that read images.
        precision: Of the computation, "float32" or "bfloat16".
        channels_last: Whether images and filters keep their channels side by side.
        compact: Whether the weights file holds float16, and only what was trained.
    """

    kind: Kind
    data_root: str | None = None
    scenes: int = Field(default=160, ge=1)
    validated: int | None = Field(default=None, ge=0)
    network: Literal["small", "vgg16"] = "small"
    width: int = Field(default=WIDTH, ge=1)
    guide_scale: float | None = None
    crf: tuple[int, ...] = (16, 64)
    other_crf: OtherCRF | None = None
    pairwise_weight: float = 0.2
    joint: bool = True
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch: int = Field(default=8, ge=1)
    rate: float | None = Field(default=None, gt=0)
    crop: tuple[int, int] | None = None
    scales: tuple[float, float] = (0.8, 1.4)
    seed: int = Field(default=0, ge=0)
    init: tuple[str, ...] = ()
    evaluate_every: int | None = Field(default=None, ge=1)
    checkpoint_every: int = Field(default=50, ge=1)
    device: str = "cpu"
    workers: int = Field(default=0, ge=0)
    precision: Precision = "float32"
    channels_last: bool = False
    compact: bool = False

    def settings(self) -> TrainingSettings:
        """How it runs."""
        return TrainingSettings(
            self.seed, self.batch, self.device, self.checkpoint_every, self.evaluate_every, clip_norm=5.0,
            workers=self.workers, precision=self.precision, channels_last=self.channels_last,
        )  # fmt: skip

    def data(self) -> LabelledSet:
        """The data set."""
        if self.data_root is None:
            return embedded_scenes(SCENE_SIZE, self.scenes, 24)
        return open_folder(Path(self.data_root))

    def task(self) -> SegmentationTask:
        """The task, its model built and the weights that it begins with loaded.

        Raises:
            DataError: data or weights that cannot be used, or weights for other classes than the data's.
        """
        data = self.data()
        plan = self.plan(data.class_names)
        init = [Path(name) for name in self.init]
        said = {"init": ", ".join(map(digest, init))}
        if self.data_root is not None:
            said["data_hash"] = data_hash(Path(self.data_root))
        crop = self.crop or _first_size(data)
        unaries = self._unaries(len(plan.classes)) if plan.network == "none" else None
        return SegmentationTask(
            self.kind, build_with(plan, self.seed, init), plan, data, Augmentation(crop, scales=self.scales),
            self.schedule(len(data.splits["train"]), plan), validated=self.validated,
            compact=self.compact, said=said, unaries=unaries,
        )  # fmt: skip

    def _unaries(self, classes: int) -> Unaries:
        """Those in the data's folder; DataError where there are none, and so nothing to begin with."""
        try:
            if self.data_root is None:
                raise DataError("the embedded scenes have none")
            folder = find_folder(Path(self.data_root))
        except DataError as error:
            raise DataError(
                "crf: got no weights to begin with, expected --init with those of a trained network, or a folder "
                f"unary* in the data ({error})"
            ) from error
        return lambda item_id, size: load_unary(folder, item_id, classes, size)

    def plan(self, classes: tuple[str, ...]) -> NetworkPlan:
        """What the model is made of: what the weights that it begins with say, and what this kind adds."""
        plan = NetworkPlan(classes=classes, network=self.network, width=self.width)
        for name in self.init:
            path = Path(name)
            found = with_origins({path: plan_for(path, classes)})[path]
            if found.network == "none" and self.kind != "crf":
                raise DataError(f"{name}: got weights of a CRF without a network, expected a network's")
            plan = found.model_copy(update={"classes": classes})
        if self.kind == "crf":
            if not self.init:
                plan = plan.model_copy(update={"network": "none"})
            chosen = {"crf": () if self.other_crf else self.crf, "other_crf": self.other_crf}
            plan = plan.model_copy(update={"pairwise_weight": self.pairwise_weight, **chosen})
            alone = plan.network != "none" and [stage.name for stage in self.schedule(1, plan)] == ["crf"]
            return plan.model_copy(update={"frozen": alone})
        if self.kind == "fcn":
            return plan.model_copy(update={"fine_tuned": bool(self.init), "frozen": False})
        scale = self.guide_scale if self.guide_scale is not None else plan.default_guide_scale
        return plan.model_copy(update={"guide_scale": scale, "frozen": False})

    def schedule(self, images: int, plan: NetworkPlan) -> list[Stage]:
        """The stages."""
        steps = self.steps or _STEPS[self.kind]
        if self.epochs is not None:
            steps = max(1, round(self.epochs * images / self.batch))
        rate = self.rate if self.rate is not None else _RATES[plan.network][self.kind]
        if self.kind != "crf":
            return [Stage("network", steps, {"": rate})]
        if not self.joint or steps < 2 or plan.network == "none":
            return [Stage("crf", steps, {"crf": rate})]
        of_crf, of_network = _JOINT[plan.network]
        joint = {"crf": rate * of_crf, "network": rate * of_network}
        return [Stage("crf", steps - steps // 2, {"crf": rate}), Stage("joint", steps // 2, joint)]


def _first_size(data: LabelledSet) -> tuple[int, int]:
    labels = data.load("train", data.splits["train"][0]).labels
    return labels.shape[0], labels.shape[1]
