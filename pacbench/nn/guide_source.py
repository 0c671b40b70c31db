"""The guide of hot-swapped layers: the output of an earlier layer, kept for the length of one forward pass.

It reaches the layers by hooks and a plain object that they share, not by arguments, so that a model's own code and
its state_dict stay as they are. `torch.compile` traces both, without a graph break.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

Size = tuple[int, int]


class GuideSource:
    """Holds what the guide layer gave in the pass that is under way, scaled; one pass at a time.

    Copies and pickles carry the settings, never a tensor.
    """

    def __init__(self, layer: str, scale: float, detach: bool) -> None:
        self.layer = layer
        self.scale = scale
        self.detach = detach
        self.guide: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"guide": None}

    def at(self, size: Size, reader: str) -> Tensor:
        """The guide at a size; RuntimeError where the guide layer has not run in this pass."""
        if self.guide is None:
            raise RuntimeError(
                f"hot_swap: layer {reader!r} runs before its guide {self.layer!r}, expected a guide from an earlier "
                "layer of the same pass"
            )
        return resized(self.guide, size)


class KeepGuide:
    """Forward hook of the guide layer. Scaling makes a copy, which an in-place layer behind it cannot change."""

    def __init__(self, source: GuideSource) -> None:
        self.source = source

    def __call__(self, layer: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002 (torch's signature)
        """Keep the output."""
        source = self.source
        if not isinstance(output, Tensor) or output.dim() != 4:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"hot_swap: guide {source.layer!r} gives {got}, expected a tensor (N, G, H, W)")
        source.guide = (output.detach() if source.detach else output) * source.scale


class ForgetGuide:
    """Forward pre-hook and forward hook of the whole model: no guide outlives its pass."""

    def __init__(self, source: GuideSource) -> None:
        self.source = source

    def __call__(self, *_: Any) -> None:
        """Forget it."""
        self.source.guide = None


def resized(guide: Tensor, size: Size) -> Tensor:
    """A guide (N, G, h, w) at another size (N, G, H, W).

    Where a whole number of guide pixels, the same down and across, makes one pixel of the target (as pooling layers
    between the two make it, whichever way they round), each target pixel is the mean of those it covers. Otherwise
    it is the mean over its share of the area where the guide is finer, and bilinear where it is coarser.
    """
    height, width = int(guide.shape[2]), int(guide.shape[3])
    if (height, width) == size:
        return guide
    factor = _pooling_factor((height, width), size)
    if factor is not None:
        return F.avg_pool2d(guide, factor, ceil_mode=True)[:, :, : size[0], : size[1]]
    if height >= size[0] and width >= size[1]:
        return F.adaptive_avg_pool2d(guide, size)
    return F.interpolate(guide, size, mode="bilinear", align_corners=False)


def _pooling_factor(size: Size, target: Size) -> int | None:
    """The whole factor by which pooling made the target's size, rounding up or down at each of its stages."""
    factor = round(size[0] / target[0])
    if factor < 2 or any(not _pools_to(own, other, factor) for own, other in zip(size, target, strict=True)):
        return None
    return factor


def _pools_to(size: int, target: int, factor: int) -> bool:
    return target in (size // factor, -(-size // factor))
