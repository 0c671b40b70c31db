"""The Middlebury flow set (Baker et al., IJCV 2011): scenes whose flow from frame 10 to frame 11 is published.

The published layout: `other-data/SCENE/frame10.png` and `other-gt-flow/SCENE/flow10.flo`. Beside it, a folder a scene
that holds both.
"""

from __future__ import annotations

from pathlib import Path

from pacbench.data.data_error import DataError
from pacbench.data.flow_samples import FlowEntry

_IMAGE, _FLOW = "frame10.png", "flow10.flo"
_IMAGES, _FLOWS = "other-data", "other-gt-flow"


def is_here(root: Path) -> bool:
    """Whether a folder has one of the two layouts."""
    return bool(_found(root))


def entries(root: Path) -> tuple[FlowEntry, ...]:
    """Every scene with flow, by name.

    Raises:
        DataError: there is none, or one lacks its frame 10.
    """
    found = _found(root)
    if not found:
        raise DataError(f"{root}: got no scene, expected {_FLOWS}/SCENE/{_FLOW}, or SCENE/{_FLOW} with {_IMAGE}")
    for entry in found:
        if not entry.image.is_file():
            raise DataError(f"{entry.image}: got no file, expected the image of {entry.flow}")
    return found


def _found(root: Path) -> tuple[FlowEntry, ...]:
    published = (root / _FLOWS).is_dir()
    flows = sorted((root / _FLOWS if published else root).glob(f"*/{_FLOW}"))
    return tuple(
        FlowEntry(
            flow.parent.name,
            (root / _IMAGES / flow.parent.name if published else flow.parent) / _IMAGE,
            flow,
        )
        for flow in flows
    )
