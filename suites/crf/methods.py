"""The rows of the segmentation table: each method, where it comes from, and what is tuned or learned of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pacbench.backend import Backend
from pacbench.crf import BCLCRF, ConvCRF, FullCRF, FullCRFPydensecrf2
from pacbench.models.network_plan import NetworkPlan
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose
from pacbench.running.device import device_of

STEPS = 5

UNARY = "unary"
"""The row that the others are compared with."""

Scalars = Mapping[str, float]


class Inference(Protocol):
    """A method with its scalars: what depends on the image only, and the mean-field steps, apart."""

    def kernel(self, image: Tensor) -> Any:
        """What is computed once for an image (1, 3, H, W) in [0, 255]."""

    def steps(self, unary: Tensor, kernel: Any) -> Tensor:
        """Logits or probabilities (1, C, H, W) from unary logits (1, C, H, W) and what `kernel` gave."""


@dataclass(frozen=True, eq=False)
class Method:
    """One row of the table.

    Attributes:
        name: as it is asked for.
        title: as it is told.
        source: where it was published.
        build: from the number of classes, the scalars and a backend.
        grid: the values that tuning may choose for each scalar, ascending.
        start: where tuning starts, one of the grid's values each.
        uses_backend: whether its messages are computed by the backend under test.
        note: what a reader of the row must know.
        unavailable_reasons: why it cannot run on this machine.
        trained_by: the command that makes weights for a learned row; empty for one whose scalars are tuned.
        takes: whether trained weights of such a plan are for this row.
    """

    name: str
    title: str
    source: str
    build: Callable[[int, Scalars, Backend], Inference]
    grid: Mapping[str, Sequence[float]]
    start: Scalars
    uses_backend: bool
    note: str
    unavailable_reasons: Callable[[], list[str]] = list
    trained_by: str = ""
    takes: Callable[[NetworkPlan], bool] = lambda _: False

    @property
    def is_crf(self) -> bool:
        """Whether it makes something of the unary, rather than being the unary."""
        return self.name != UNARY

    def device(self, backend: Backend) -> str:
        """Where it runs: where the backend does, if it uses it, else on the CPU."""
        return device_of(backend) if self.uses_backend else "cpu"

    def inference(self, channels: int, scalars: Scalars, backend: Backend) -> Inference:
        """The method with its scalars, on its device."""
        with torch.device(self.device(backend)):
            return self.build(channels, scalars, backend)


class Unary:
    """No CRF: the unary as it is."""

    def kernel(self, image: Tensor) -> None:
        """Nothing."""

    def steps(self, unary: Tensor, kernel: None) -> Tensor:  # noqa: ARG002 (the protocol's)
        """The unary."""
        return unary


@dataclass(frozen=True)
class PacInference:
    """PAC-CRF on colours divided by a scale."""

    crf: PacCRF | PacCRFLoose
    rgb_scale: float

    def kernel(self, image: Tensor) -> list[Tensor | None]:
        """The adapting kernel of each pairwise kernel."""
        return self.crf.compute_edge_kernels(image / self.rgb_scale)

    def steps(self, unary: Tensor, kernel: list[Tensor | None]) -> Tensor:
        """The mean-field steps."""
        beliefs: Tensor = self.crf(unary, None, kernel)
        return beliefs


def _pac_crf(*dilations: int) -> Callable[[int, Scalars, Backend], Inference]:
    """PAC-CRF with a 4d kernel 5 × 5 for each dilation, its filters at their unperturbed starting values."""

    def build(channels: int, scalars: Scalars, backend: Backend) -> Inference:
        kernels = [
            {"kernel_size": 5, "dilation": dilation, "compat_type": "4d", "pairwise_weight": scalars["pairwise_weight"]}
            for dilation in dilations
        ]
        crf = PacCRF(
            channels,
            STEPS,
            perturbed_init=False,
            fixed_weighting=True,
            unary_weight=scalars["unary_weight"],
            pairwise_kernels=kernels,
            backend=backend,
        )
        return PacInference(crf.requires_grad_(False), scalars["rgb_scale"])

    return build


def _conv_crf(filter_size: int) -> Callable[[int, Scalars, Backend], Inference]:
    def build(channels: int, scalars: Scalars, backend: Backend) -> Inference:
        return ConvCRF(
            channels,
            filter_size,
            blur=4,
            num_steps=STEPS,
            weight=scalars["weight"],
            colour_schan=scalars["colour_schan"],
            position_compat=scalars["position_compat"],
            backend=backend,
        )

    return build


def _full_crf(channels: int, scalars: Scalars, backend: Backend) -> Inference:  # noqa: ARG001 (one signature for all)
    return FullCRF(
        channels,
        STEPS,
        bilateral_compat=scalars["bilateral_compat"],
        bilateral_srgb=scalars["bilateral_srgb"],
        bilateral_sxy=scalars["bilateral_sxy"],
        position_compat=scalars["position_compat"],
    )


def _full_crf_pydensecrf2(channels: int, scalars: Scalars, backend: Backend) -> Inference:  # noqa: ARG001 (as above)
    return FullCRFPydensecrf2(channels, STEPS, **scalars)


def _bcl_crf(channels: int, scalars: Scalars, backend: Backend) -> Inference:  # noqa: ARG001 (as above)
    crf = BCLCRF(
        channels,
        STEPS,
        bilateral_compat=scalars["bilateral_compat"],
        bilateral_srgb=scalars["bilateral_srgb"],
        bilateral_sxy=scalars["bilateral_sxy"],
        position_compat=scalars["position_compat"],
    )
    return crf.requires_grad_(False)


_CONV_GRID = {
    "weight": (0.025, 0.05, 0.1, 0.2, 0.4),
    "colour_schan": (6.0, 13.0, 26.0),
    "position_compat": (0.3, 1.0, 3.0),
}
_CONV_START = {"weight": 0.1, "colour_schan": 13.0, "position_compat": 1.0}
_PAC_GRID = {
    "pairwise_weight": (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8),
    "rgb_scale": (5.0, 8.0, 12.0, 20.0, 30.0),
    "unary_weight": (0.5, 1.0, 2.0),
}
_PAC_START = {"pairwise_weight": 0.8, "rgb_scale": 12.0, "unary_weight": 1.0}
_FULL_GRID = {
    "bilateral_compat": (1.0, 3.0, 5.0, 10.0),
    "bilateral_srgb": (3.0, 5.0, 13.0),
    "bilateral_sxy": (30.0, 50.0, 80.0),
    "position_compat": (0.0, 1.0, 3.0),
}
_FULL_START = {"bilateral_compat": 5.0, "bilateral_srgb": 5.0, "bilateral_sxy": 50.0, "position_compat": 1.0}
_FULL_SOURCE = "Krähenbühl & Koltun, Efficient Inference in Fully Connected CRFs, NIPS 2011"
_BCL_SOURCE = "Jampani, Kiefel & Gehler, Learning Sparse High Dimensional Filters, CVPR 2016"
_LATTICE_NOTE = "on the lattice of the backend native, on the CPU, whatever the backend is"
_LEARNED_NOTE = "its parameters learned on the training split"
_PAC_SOURCE = "Su et al., Pixel-Adaptive Convolutional Neural Networks, CVPR 2019, section 5"
_CONV_SOURCE = "Teichmann & Cipolla, Convolutional CRFs for Semantic Segmentation, 2018"


def _untrained(channels: int, scalars: Scalars, backend: Backend) -> Inference:
    raise NotImplementedError("a learned row is built by learned.learned_crf")


def _learned(
    name: str,
    title: str,
    source: str,
    options: str,
    takes: Callable[[NetworkPlan], bool],
    *,
    uses_backend: bool = True,
    unavailable_reasons: Callable[[], list[str]] = list,
) -> Method:
    """A row for weights that `pacbench train crf` with these options made."""
    note = _LEARNED_NOTE if uses_backend else f"{_LEARNED_NOTE}; {_LATTICE_NOTE}"
    return Method(
        f"{name}_learned", f"{title}, learned", source, _untrained, {}, {}, uses_backend, note, unavailable_reasons,
        f"pacbench train crf {options}", takes,
    )  # fmt: skip


_TUNED: tuple[Method, ...] = (
    Method(
        UNARY, "Unary", "the network alone", lambda *_: Unary(), {}, {},
        uses_backend=False, note="no CRF: the unary as it is",
    ),
    Method(
        "full_crf", "Full-CRF", _FULL_SOURCE, _full_crf, _FULL_GRID, _FULL_START,
        uses_backend=False, note=_LATTICE_NOTE, unavailable_reasons=FullCRF.unavailable_reasons,
    ),
    Method(
        "full_crf_pydensecrf2", "Full-CRF (pydensecrf2)", f"{_FULL_SOURCE} (its code)", _full_crf_pydensecrf2,
        _FULL_GRID, _FULL_START,
        uses_backend=False, note="by pydensecrf2, on the CPU and one thread whatever the backend is",
        unavailable_reasons=FullCRFPydensecrf2.unavailable_reasons,
    ),
    Method(
        "bcl_crf", "BCL-CRF", _BCL_SOURCE, _bcl_crf, _FULL_GRID, _FULL_START,
        uses_backend=False, note=f"filters not learned: Gaussians of radius 1 times tuned scalars; {_LATTICE_NOTE}",
        unavailable_reasons=BCLCRF.unavailable_reasons,
    ),
    Method(
        "conv_crf_11", "Conv-CRF, filter 11, blur 4", _CONV_SOURCE, _conv_crf(11), _CONV_GRID, _CONV_START,
        uses_backend=True, note="the published default configuration but for the tuned scalars",
    ),
    Method(
        "conv_crf_7", "Conv-CRF, filter 7, blur 4", _CONV_SOURCE, _conv_crf(7), _CONV_GRID, _CONV_START,
        uses_backend=True, note="the published default configuration but for filter size and tuned scalars",
    ),
    Method(
        "pac_crf_32", "PAC-CRF, 32", _PAC_SOURCE, _pac_crf(32), _PAC_GRID, _PAC_START,
        uses_backend=True, note="filters not learned: at their starting values, times the tuned scalars",
    ),
    Method(
        "pac_crf_16_64", "PAC-CRF, 16-64", _PAC_SOURCE, _pac_crf(16, 64), _PAC_GRID, _PAC_START,
        uses_backend=True, note="filters not learned: at their starting values, times the tuned scalars",
    ),
)  # fmt: skip

_PUBLISHED_DILATIONS = ((32,), (16, 64))

_LEARNED: tuple[Method, ...] = (
    _learned(
        "full_crf", "Full-CRF", _FULL_SOURCE, "--crf full", lambda plan: plan.other_crf == "full",
        uses_backend=False, unavailable_reasons=FullCRF.unavailable_reasons,
    ),
    _learned(
        "bcl_crf", "BCL-CRF", _BCL_SOURCE, "--crf bcl", lambda plan: plan.other_crf == "bcl",
        uses_backend=False, unavailable_reasons=BCLCRF.unavailable_reasons,
    ),
    _learned(
        "conv_crf_11", "Conv-CRF, filter 11, blur 4", _CONV_SOURCE, "--crf conv_11",
        lambda plan: plan.other_crf == "conv_11",
    ),
    _learned(
        "conv_crf_7", "Conv-CRF, filter 7, blur 4", _CONV_SOURCE, "--crf conv_7",
        lambda plan: plan.other_crf == "conv_7",
    ),
    _learned("pac_crf_32", "PAC-CRF, 32", _PAC_SOURCE, "--dilations 32", lambda plan: plan.crf == (32,)),
    _learned("pac_crf_16_64", "PAC-CRF, 16-64", _PAC_SOURCE, "--dilations 16-64", lambda plan: plan.crf == (16, 64)),
    _learned(
        "pac_crf_other", "PAC-CRF, other dilations", _PAC_SOURCE, "--dilations A-B",
        lambda plan: bool(plan.crf) and plan.crf not in _PUBLISHED_DILATIONS,
    ),
)  # fmt: skip

METHODS = _TUNED + _LEARNED
