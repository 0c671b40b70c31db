"""Flying Chairs (Dosovitskiy et al., ICCV 2015): rendered chairs that fly, with optical flow; to train on.

The published layout: `data/NNNNN_img1.ppm` and `data/NNNNN_flow.flo`, in the root or in `FlyingChairs_release`. Beside
it, the names of FlowNet 2's examples: `NNNNNNN-img0.ppm` and `NNNNNNN-gt.flo`.
"""

from __future__ import annotations

from pathlib import Path

from pacbench.data.data_error import DataError
from pacbench.data.flow_samples import FlowEntry

_NAMES = (("_flow.flo", "_img1.ppm"), ("-gt.flo", "-img0.ppm"))


def is_here(root: Path) -> bool:
    """Whether a folder holds pairs of either naming."""
    return bool(_found(root))


def entries(root: Path) -> tuple[FlowEntry, ...]:
    """Every image with flow, by name.

    Raises:
        DataError: there is none, or one lacks its image.
    """
    found = _found(root)
    if not found:
        raise DataError(f"{root}: got no pair, expected NNNNN_flow.flo with NNNNN_img1.ppm")
    for entry in found:
        if not entry.image.is_file():
            raise DataError(f"{entry.image}: got no file, expected the image of {entry.flow}")
    return found


def _found(root: Path) -> tuple[FlowEntry, ...]:
    for folder in (root, root / "data", root / "FlyingChairs_release" / "data"):
        for flow_end, image_end in _NAMES:
            flows = sorted(folder.glob(f"*{flow_end}"))
            if flows:
                names = [(flow, flow.name.removesuffix(flow_end)) for flow in flows]
                return tuple(FlowEntry(name, folder / f"{name}{image_end}", flow) for flow, name in names)
    return ()
