"""Images with optical flow, as every flow data set gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.flow_files import Flow, read_flo, read_kitti_flow
from pacbench.data.image_files import read_colour

_READERS: dict[str, Callable[[Path], Flow]] = {".flo": read_flo, ".png": read_kitti_flow}


@dataclass(frozen=True)
class FlowEntry:
    """Where an image and the flow from it to the next one lie."""

    id: str
    image: Path
    flow: Path


@dataclass(frozen=True, eq=False)
class FlowSample:
    """An image of height H and width W with its flow.

    Attributes:
        id: as it is told.
        image: float32 (3, H, W), RGB, 0..255.
        flow: float32 (2, H, W), pixels; 0 where it is unknown.
        known: bool (H, W).
    """

    id: str
    image: Tensor
    flow: Tensor
    known: Tensor


def load_flow_sample(entry: FlowEntry) -> FlowSample:
    """Load an image and its flow (`.flo`, or KITTI's `.png`).

    Raises:
        DataError: a missing or broken file; different sizes; a flow that is nowhere known.
    """
    image = read_colour(entry.image)
    flow = _READERS[entry.flow.suffix](entry.flow)
    if flow.known.shape != image.shape[1:]:
        raise DataError(
            f"{entry.flow}: got a flow of {tuple(flow.known.shape)}, expected the image's {tuple(image.shape[1:])}"
        )
    if not bool(flow.known.any()):
        raise DataError(f"{entry.flow}: got a flow that is nowhere known, expected one that is")
    return FlowSample(entry.id, image, flow.vectors, flow.known)
