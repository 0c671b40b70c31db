"""What a model is made of, in a few words that travel with its weights, so that a file is enough to build it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.weights import load_weights

from .adaptive_fcn import GUIDE_SCALE, SMALL_GUIDE_SCALE, NetworkWithCRF, pac_fcn
from .crf_behind_network import MEAN_FIELD_STEPS, RGB_SCALE, CRFOnUnary, OtherCRF, other_crf, pac_crf
from .fcn8s import FCN8s
from .small_fcn import WIDTH, SmallFCN

HEADER = "pacbench_plan"
"""Under this name the plan stands in the header of a safetensors file."""


class NetworkPlan(BaseModel):
    """A network, perhaps with its convolutions swapped, perhaps with a CRF behind it.

    Attributes:
        classes: Names of the classes, in the order of the scores.
        network: "small" (`SmallFCN`), "vgg16" (`FCN8s`), or "none" for a CRF on unaries that are given.
        width: Of the small network.
        guide_scale: What the guide of the swapped convolutions is multiplied with; None for a plain network.
        crf: Dilations of the PAC-CRF behind it, such as (16, 64); empty for none.
        other_crf: Another CRF in its place; None for none.
        loose: Whether the CRF has weights of its own for each step.
        steps: Mean-field steps.
        rgb_scale: What colours are divided by for the CRF.
        pairwise_weight: Of the CRF's kernels.
        fine_tuned: Whether the plain network was trained again from other weights; files of before do not say it.
        frozen: Whether the network stood still while the CRF was trained; files of before do not say it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...] = Field(min_length=2)
    network: Literal["small", "vgg16", "none"] = "small"
    width: int = Field(default=WIDTH, ge=1)
    guide_scale: float | None = None
    crf: tuple[int, ...] = ()
    other_crf: OtherCRF | None = None
    loose: bool = False
    steps: int = Field(default=MEAN_FIELD_STEPS, ge=1)
    rgb_scale: float = Field(default=RGB_SCALE, gt=0)
    pairwise_weight: float = 1.0
    fine_tuned: bool = False
    frozen: bool = False

    @model_validator(mode="after")
    def _one_crf(self) -> Self:
        if self.crf and self.other_crf is not None:
            raise ValueError(f"got crf {self.crf} and other_crf {self.other_crf}, expected one of them")
        if self.network == "none" and not self.has_crf:
            raise ValueError("got neither a network nor a CRF, expected one of them")
        if self.network == "none" and self.guide_scale is not None:
            raise ValueError("got a guide scale without a network, expected both or neither")
        return self

    @property
    def has_crf(self) -> bool:
        """Whether a CRF is part of it."""
        return bool(self.crf) or self.other_crf is not None

    @property
    def default_guide_scale(self) -> float:
        """The guide scale of this kind of network where none is asked for."""
        return GUIDE_SCALE if self.network == "vgg16" else SMALL_GUIDE_SCALE

    def build(self, backend: str | Backend | None = None) -> FCN8s | SmallFCN | CRFOnUnary:
        """The model with its starting values, drawn from torch's global generator."""
        network = self._network(backend)
        crf, rgb_scale = self._crf(backend)
        if crf is None:
            assert network is not None
            return network
        return CRFOnUnary(crf, rgb_scale) if network is None else NetworkWithCRF(network, crf, rgb_scale)

    def _network(self, backend: str | Backend | None) -> FCN8s | SmallFCN | None:
        if self.network == "none":
            return None
        count = len(self.classes)
        network = FCN8s(count) if self.network == "vgg16" else SmallFCN(count, self.width)
        if self.guide_scale is None:
            return network
        return pac_fcn(network, guide_scale=self.guide_scale, backend=backend, inplace=True)

    def _crf(self, backend: str | Backend | None) -> tuple[nn.Module | None, float]:
        """The CRF, and what it has colours divided by."""
        count = len(self.classes)
        if self.other_crf is not None:
            return other_crf(self.other_crf, count, self.steps, backend), 1.0
        if not self.crf:
            return None, 1.0
        crf = pac_crf(
            count, self.crf, loose=self.loose, num_steps=self.steps, pairwise_weight=self.pairwise_weight,
            backend=backend,
        )  # fmt: skip
        return crf, self.rgb_scale

    def header(self) -> dict[str, str]:
        """What is written into the header of a safetensors file."""
        return {HEADER: json.dumps(self.model_dump(mode="json"))}


def read_plan(path: Path) -> NetworkPlan | None:
    """The plan in a weights file's header; None where the file carries none (weights from elsewhere).

    Raises:
        DataError: the file is missing or broken, or its plan does not fit.
    """
    if not path.is_file():
        raise DataError(f"{path}: got no file, expected weights as .safetensors or as torch.save wrote them")
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(HEADER)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: got a file that cannot be read as weights ({error}), expected safetensors") from error
    if text is None:
        return None
    try:
        return NetworkPlan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}: got a plan whose {where} does not fit ({first['msg']}), expected a model's"
        ) from error


def plan_for(path: Path, classes: tuple[str, ...]) -> NetworkPlan:
    """The plan of weights for data of these classes; weights from elsewhere, which carry none, are FCN-8s.

    Raises:
        DataError: as `read_plan`, or weights for another number of classes.
    """
    plan = read_plan(path) or NetworkPlan(classes=classes, network="vgg16")
    if len(plan.classes) != len(classes):
        raise DataError(f"{path}: got weights for {len(plan.classes)} classes, expected the data's {len(classes)}")
    return plan


def load_into(model: nn.Module, path: Path) -> list[str]:
    """Load weights of any floating dtype into a model, or into its `network` where they are those of a network alone.

    Returns:
        Names of the model's tensors that the file does not hold; they keep their values.

    Raises:
        DataError: the file holds a tensor that the model has not, or of another shape, or none of the model's.
    """
    weights = load_weights(path)
    own = model.state_dict()
    if isinstance(model, NetworkWithCRF) and not any(name.startswith(("network.", "crf.")) for name in weights):
        weights = {f"network.{name}": value for name, value in weights.items()}
    for name, value in weights.items():
        if name not in own:
            raise DataError(
                f"{path}: got {name}, expected names of {type(model).__name__} ({', '.join(list(own)[:3])}, …)"
            )
        if value.shape != own[name].shape:
            raise DataError(f"{path}: got {name} of {tuple(value.shape)}, expected {tuple(own[name].shape)}")
    if not weights:
        raise DataError(f"{path}: got no tensor, expected those of {type(model).__name__}")
    converted: dict[str, Tensor] = {name: value.to(own[name].dtype) for name, value in weights.items()}
    model.load_state_dict(converted, strict=False)
    return [name for name in own if name not in weights]


def build_with(plan: NetworkPlan, seed: int, init: list[Path], backend: str | Backend | None = None) -> nn.Module:
    """A model from its plan and weights, one file after the other; what no file holds starts at random by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = plan.build(backend)
    for path in init:
        load_into(model, path)
    return model
