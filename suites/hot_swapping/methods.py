"""The rows of the hot-swapping table, and the weights that each is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pacbench.backend import Backend
from pacbench.models.network_plan import NetworkPlan, build_with, plan_for

SHIPPED = Path(__file__).parent / "weights"
"""Weights for the embedded scenes, one file for each row; its README says how they were made."""

BASELINE = "fcn"


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: as it is asked for.
        title: as it is told.
        swapped: whether the last convolutions of stages 3 to 5 are pixel-adaptive.
        crf: whether a PAC-CRF stands behind the network.
        source: where it was published.
        trained_by: the command that makes weights for it.
    """

    name: str
    title: str
    swapped: bool
    crf: bool
    source: str
    trained_by: str

    def fits(self, plan: NetworkPlan) -> bool:
        """Whether weights of such a model are for this row."""
        return (plan.guide_scale is not None) == self.swapped and _with_crf(plan) == self.crf


_FCN = "Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015"
_PAC = "Su et al., Pixel-Adaptive Convolutional Neural Networks, CVPR 2019, section 6"

METHODS: tuple[Method, ...] = (
    Method(BASELINE, "FCN", False, False, _FCN, "pacbench train fcn"),
    Method("fcn_pac_crf", "FCN + PAC-CRF", False, True, _PAC, "pacbench train crf"),
    Method("pac_fcn", "PacFCN", True, False, _PAC, "pacbench train pacfcn"),
    Method("pac_fcn_pac_crf", "PacFCN + PAC-CRF", True, True, _PAC, "pacbench train crf --init PACFCN"),
)


@dataclass(frozen=True)
class Weights:
    """The weights of a row: files, one after the other, and the plan of the model that they are for."""

    plan: NetworkPlan
    files: tuple[Path, ...]
    note: str

    def build(self, backend: Backend) -> nn.Module:
        """The model in evaluation mode, on the CPU."""
        return build_with(self.plan, 0, list(self.files), backend).eval().requires_grad_(False)


def choose_weights(
    method: Method, given: Sequence[Path], class_names: tuple[str, ...], *, embedded: bool
) -> Weights | None:
    """The weights of a row: those given that fit it, else, for the embedded scenes, those that are shipped.

    A swapped row for which there are none takes those of the plain network, not fine-tuned. None where none fit.

    Raises:
        DataError: weights that cannot be read or are for another number of classes.
    """
    files = list(given) or (sorted(SHIPPED.glob("*.safetensors")) if embedded else [])
    plans = {path: plan_for(path, class_names) for path in files}
    fitting = [path for path, plan in plans.items() if method.fits(plan)]
    if fitting:
        path = fitting[0]
        return Weights(plans[path], _with_network(path, plans), f"weights: {path.name}")
    plain = [path for path, plan in plans.items() if plan.guide_scale is None and _with_crf(plan) == method.crf]
    if method.swapped and plain:
        path = plain[0]
        plan = plans[path].model_copy(update={"guide_scale": plans[path].default_guide_scale})
        return Weights(plan, _with_network(path, plans), f"weights: {path.name}, not fine-tuned after swapping")
    return None


def _with_crf(plan: NetworkPlan) -> bool | None:
    """Whether a network has a PAC-CRF behind it; None for what is of no row: another CRF, or one without a network."""
    return None if plan.other_crf is not None or plan.network == "none" else bool(plan.crf)


def _with_network(path: Path, plans: Mapping[Path, NetworkPlan]) -> tuple[Path, ...]:
    """A shipped CRF holds no network of its own: that of the row without a CRF goes before."""
    if path.parent != SHIPPED or not plans[path].crf:
        return (path,)
    swapped = plans[path].guide_scale is not None
    network = [other for other, plan in plans.items() if not plan.has_crf and (plan.guide_scale is not None) == swapped]
    return (*network[:1], path)
