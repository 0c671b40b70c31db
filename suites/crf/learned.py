"""CRFs that `pacbench train crf` trained, as rows: whose weights are for which row, and what they are applied to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.weights import load_weights
from pacbench.models import CRFOnUnary
from pacbench.models.network_plan import NetworkPlan, build_with, plan_for
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

from .methods import Inference, Method, PacInference

_NETWORK = "network."


class NoWeightsError(Exception):
    """Of the weights given none are for the row; the message says which would be."""


@dataclass(frozen=True)
class LearnedCRF:
    """A trained CRF.

    Attributes:
        path: the file that it comes from.
        plan: what it is.
    """

    path: Path
    plan: NetworkPlan

    def inference(self, device: str, backend: Backend) -> Inference:
        """It, ready for images, on a device."""
        model = build_with(self.plan, 0, [self.path], backend).eval().requires_grad_(False).to(device)
        assert isinstance(model, CRFOnUnary)
        if isinstance(model.crf, (PacCRF, PacCRFLoose)):
            return PacInference(model.crf, model.rgb_scale)
        return cast(Inference, model.crf)

    def check_network(self, network: nn.Module | None) -> None:
        """Raise a DataError where the CRF was trained with a network that gives other unaries than the table's."""
        own = {
            name.removeprefix(_NETWORK): value
            for name, value in load_weights(self.path).items()
            if name.startswith(_NETWORK)
        }
        state: dict[str, Tensor] = network.state_dict() if network is not None else {}
        if not own.keys() <= state.keys() or any(not torch.equal(value, state[name]) for name, value in own.items()):
            raise DataError(
                f"{self.path}: got a CRF whose network was trained with it, or is another than that of the "
                "unaries, expected one trained by `pacbench train crf --no-joint` on the unaries' own network; as it "
                "is, it is a row of hot_swapping"
            )


def learned_crf(
    method: Method, weights: Sequence[Path], network: nn.Module | None, class_names: tuple[str, ...]
) -> LearnedCRF:
    """The trained CRF of a row: the first of the weights that are for it and for the table's unaries.

    Args:
        method: a learned row.
        weights: those given.
        network: which the table's unaries come from; None where they are files.
        class_names: of the data.

    Raises:
        NoWeightsError: none of the weights are for this row.
        DataError: they cannot be read, are for another number of classes, or were trained for other unaries.
    """
    unfit: DataError | None = None
    for path in weights:
        plan = plan_for(path, class_names)
        if not method.takes(plan):
            continue
        found = LearnedCRF(path, plan)
        try:
            found.check_network(network)
        except DataError as error:
            unfit = error
        else:
            return found
    raise unfit or NoWeightsError(f"no weights for this row: give --weights FILE as made by `{method.trained_by}`")
