"""The error of a result on an image: root mean square error of depth, endpoint errors of flow."""

from __future__ import annotations

from torch import Tensor

from pacbench.metrics.endpoint_error import endpoint_error
from pacbench.metrics.motion_boundaries import near_motion_boundaries
from pacbench.metrics.root_mean_square_error import root_mean_square_error

from .datasets import Item, Kind, UpsamplingDataset
from .sampling import evaluated

BOUNDARY = "epe_boundary"


def main_error(kind: Kind) -> str:
    """Name of the error that methods are tuned by and compared in."""
    return "rmse" if kind == "depth" else "epe"


def error(dataset: UpsamplingDataset, item: Item, result: Tensor) -> float:
    """The main error of a result (C, H, W), in the unit of the data."""
    mask = evaluated(item.known, dataset.border)
    if dataset.kind == "depth":
        return root_mean_square_error(result, item.truth, mask)
    return endpoint_error(result, item.truth, mask)


def errors(dataset: UpsamplingDataset, item: Item, result: Tensor) -> dict[str, float]:
    """Every error of a result, by name; that beside motion boundaries only where the image has some."""
    found = {main_error(dataset.kind): error(dataset, item, result)}
    if dataset.kind == "flow":
        near = near_motion_boundaries(item.truth, item.known) & evaluated(item.known, dataset.border)
        if bool(near.any()):
            found[BOUNDARY] = endpoint_error(result, item.truth, near)
    return found
