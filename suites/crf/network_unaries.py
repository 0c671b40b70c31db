"""Unaries that a trained network gives, in the place of files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from pacbench.data.data_error import DataError
from pacbench.models import NetworkWithCRF
from pacbench.models.network_plan import NetworkPlan, build_with, plan_for
from pacbench.training.origins import with_origins

_KEPT = 256


class NetworkUnaries:
    """A network's class scores for images, each computed once.

    Of the weights given, those of a network without a CRF, with plain convolutions and not trained again from others
    come first; a CRF behind a network is left out.

    Raises:
        DataError: no usable weights, or another number of classes than the data's.
    """

    def __init__(self, weights: Sequence[Path], class_names: tuple[str, ...]) -> None:
        found = with_origins({path: plan_for(path, class_names) for path in weights})
        plans = [(plan, path) for path, plan in found.items() if plan.network != "none"]
        if not plans:
            raise DataError("unaries: got neither a folder unary* nor weights, expected one of them")
        plan, path = min(plans, key=lambda one: _distance(one[0]))
        model = build_with(plan, 0, [path]).eval().requires_grad_(False)
        self.network: nn.Module = model.network if isinstance(model, NetworkWithCRF) else model
        self._scores = lru_cache(maxsize=_KEPT)(self._compute)
        self._images: dict[str, Tensor] = {}

    def scores(self, item_id: str, image: Tensor) -> Tensor:
        """Scores (1, C, H, W) for an image (1, 3, H, W) in [0, 255]; an ID stands for one image."""
        self._images[item_id] = image
        try:
            return self._scores(item_id)
        finally:
            del self._images[item_id]

    def _compute(self, item_id: str) -> Tensor:
        with torch.no_grad():
            scores: Tensor = self.network(self._images[item_id])
        return scores


def _distance(plan: NetworkPlan) -> tuple[bool, bool, bool]:
    """How far a model is from the plain network."""
    return plan.has_crf, plan.guide_scale is not None, plan.fine_tuned
