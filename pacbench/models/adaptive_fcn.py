"""PacFCN, and networks with a CRF behind them (Su et al., CVPR 2019, sections 5 and 6)."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

from ..backend import Backend
from ..nn.hot_swapping import hot_swap
from .crf_behind_network import RGB_SCALE, CRFOnUnary
from .fcn8s import FCN8s
from .small_fcn import SmallFCN

SWAPPED = ("conv3_3", "conv4_3", "conv5_3")
"""The last convolution of stages 3 to 5."""

GUIDE = "relu2_2"
"""The end of stage 2."""

GUIDE_SCALE = 1e-4
"""For the published network, whose features run to hundreds."""

SMALL_GUIDE_SCALE = 0.1
"""For the small network, whose features batch normalisation keeps near 1: with 1e-4 no gradient would reach them."""

Network = TypeVar("Network", bound="FCN8s | SmallFCN")


def pac_fcn(
    network: Network, *, guide_scale: float | None = None, backend: str | Backend | None = None, inplace: bool = False
) -> Network:
    """PacFCN: the last convolution of stages 3 to 5 swapped for a pixel-adaptive one, guided by stage 2.

    Args:
        network: An `FCN8s` or a `SmallFCN`, trained or not.
        guide_scale: 1e-4 for `FCN8s` if not given (as published), 0.1 for `SmallFCN`.
        backend: The backend that serves the swapped layers.
        inplace: Change `network` itself rather than a copy.

    Returns:
        A network of the same class and state_dict keys.
    """
    if guide_scale is None:
        guide_scale = GUIDE_SCALE if isinstance(network, FCN8s) else SMALL_GUIDE_SCALE
    return hot_swap(network, SWAPPED, guide=GUIDE, guide_scale=guide_scale, backend=backend, inplace=inplace)


class NetworkWithCRF(CRFOnUnary):
    """A network that gives class scores, and a CRF on them with the image's colours as edge features.

    Image (N, 3, H, W), RGB in [0, 255], to beliefs (N, C, H, W) as the CRF's `final_output` says. The parts are
    `network` and `crf`.

    Args:
        network: Any model from image to scores (N, C, H, W).
        crf: The CRF.
        rgb_scale: What colours are divided by.
    """

    def __init__(self, network: nn.Module, crf: nn.Module, rgb_scale: float = RGB_SCALE) -> None:
        super().__init__(crf, rgb_scale)
        self.network = network

    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]  # its unary is its network's
        """Beliefs (N, C, H, W) for an image (N, 3, H, W)."""
        return self.refined(self.network(image), image)
