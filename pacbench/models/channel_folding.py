"""How networks of one channel serve several: channel by channel, folded into the batch, each under the same guide."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Upsampling(Protocol):
    """What is asked of a network's arguments."""

    factor: int
    channels: int
    guide_channels: int


def expect_inputs(network: Upsampling, target: Tensor, guide: Tensor) -> None:
    """Check the arguments of an upsampling network.

    Raises:
        ValueError: a target or guide of other channels, or a guide that is not `factor` times as large.
    """
    name = type(network).__name__
    if target.ndim != 4 or (target.shape[1] != network.channels and network.channels != 1):
        raise ValueError(f"{name}: got a target {tuple(target.shape)}, expected (N, {network.channels}, h, w)")
    height, width = (network.factor * size for size in target.shape[2:])
    if tuple(guide.shape) != (target.shape[0], network.guide_channels, height, width):
        raise ValueError(
            f"{name}: got a guide {tuple(guide.shape)}, expected "
            f"{(target.shape[0], network.guide_channels, height, width)} for a target {tuple(target.shape)} at "
            f"factor {network.factor}"
        )


def folded(target: Tensor, channels: int) -> Tensor:
    """(N, C, H, W) as (N·C, 1, H, W), where the network takes one channel and there are more."""
    if target.shape[1] == channels:
        return target
    return target.reshape(-1, channels, *target.shape[2:])


def repeated_guide(guide: Tensor, x: Tensor) -> Tensor:
    """The guide's features (N, G, H, W), once for each channel that was folded into the batch of `x`."""
    times = x.shape[0] // guide.shape[0]
    return guide if times == 1 else guide.repeat_interleave(times, dim=0)


def unfolded(output: Tensor, target: Tensor) -> Tensor:
    """(N·C, 1, H, W) as (N, C, H, W)."""
    if output.shape[0] == target.shape[0]:
        return output
    return output.reshape(target.shape[0], target.shape[1], *output.shape[2:])
