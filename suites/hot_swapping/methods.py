"""The rows of the hot-swapping table, and the weights that each is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pacbench.backend import Backend
from pacbench.models.network_plan import NetworkPlan, build_with, plan_for
from pacbench.training.origins import with_origins

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
        fine_tuned: whether its plain network was trained again from other weights, as the swapped one is.
        control: the row that a swapped one is fairly compared with, whose network was trained for as many steps.
    """

    name: str
    title: str
    swapped: bool
    crf: bool
    source: str
    trained_by: str
    fine_tuned: bool = False
    control: str | None = None

    def fits(self, plan: NetworkPlan) -> bool:
        """Whether weights of such a model are for this row."""
        if (plan.guide_scale is not None) != self.swapped or _with_crf(plan) != self.crf:
            return False
        return self.swapped or plan.fine_tuned == self.fine_tuned


_FCN = "Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015"
_PAC = "Su et al., Pixel-Adaptive Convolutional Neural Networks, CVPR 2019, section 6"

METHODS: tuple[Method, ...] = (
    Method(BASELINE, "FCN", False, False, _FCN, "pacbench train fcn"),
    Method(
        "fcn_fine_tuned", "FCN, fine-tuned", False, False, _FCN, "pacbench train fcn --init FCN", fine_tuned=True
    ),
    Method("pac_fcn", "PacFCN", True, False, _PAC, "pacbench train pacfcn", control="fcn_fine_tuned"),
    Method("fcn_pac_crf", "FCN + PAC-CRF", False, True, _PAC, "pacbench train crf"),
    Method(
        "fcn_fine_tuned_pac_crf", "FCN, fine-tuned, + PAC-CRF", False, True, _PAC,
        "pacbench train crf --init FINE_TUNED", fine_tuned=True,
    ),
    Method(
        "pac_fcn_pac_crf", "PacFCN + PAC-CRF", True, True, _PAC, "pacbench train crf --init PACFCN",
        control="fcn_fine_tuned_pac_crf",
    ),
)  # fmt: skip

BY_NAME = {method.name: method for method in METHODS}


@dataclass(frozen=True)
class Weights:
    """The weights of one training: files, one after the other, and the plan of the model that they are for."""

    plan: NetworkPlan
    files: tuple[Path, ...]
    note: str = ""

    @property
    def path(self) -> Path:
        """The file that names the training."""
        return self.files[-1]

    def build(self, backend: Backend) -> nn.Module:
        """The model in evaluation mode, on the CPU."""
        return build_with(self.plan, 0, list(self.files), backend).eval().requires_grad_(False)


def choose_weights(
    method: Method, given: Sequence[Path], class_names: tuple[str, ...], *, embedded: bool
) -> list[Weights]:
    """The weights of a row: those given that fit it, else, for the embedded scenes, those that are shipped.

    Several of one model are several trainings of the row; other models than the first, such as a CRF of other
    dilations, are left out, and so are CRFs on a frozen network where others were trained with theirs. A swapped row
    for which there are none takes those of the plain network, not fine-tuned; a plain row takes fine-tuned ones where
    there are no others. Empty where none fit.

    Raises:
        DataError: weights that cannot be read or are for another number of classes.
    """
    files = list(given) or (sorted(SHIPPED.glob("*.safetensors")) if embedded else [])
    plans = with_origins({path: plan_for(path, class_names) for path in files})
    fitting = [path for path, plan in plans.items() if method.fits(plan)]
    if fitting or method.fine_tuned:
        return [Weights(plans[path], _with_network(path, plans)) for path in _of_one_model(fitting, plans)]
    plain = [path for path, plan in plans.items() if plan.guide_scale is None and _with_crf(plan) == method.crf]
    plain = _of_one_model([path for path in plain if not plans[path].fine_tuned] or plain, plans)
    note = "not fine-tuned after swapping" if method.swapped else "its network was trained again from other weights"
    return [
        Weights(_swapped(plans[path]) if method.swapped else plans[path], _with_network(path, plans), note)
        for path in plain
    ]


def needs_given_weights(method: Method) -> bool:
    """Whether a row is only for weights that a reader has trained: none are shipped for it."""
    return method.fine_tuned


def _of_one_model(paths: Sequence[Path], plans: Mapping[Path, NetworkPlan]) -> list[Path]:
    chosen = [path for path in paths if not plans[path].frozen] or paths
    return [path for path in chosen if plans[path] == plans[chosen[0]]]


def _swapped(plan: NetworkPlan) -> NetworkPlan:
    return plan.model_copy(update={"guide_scale": plan.default_guide_scale})


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
