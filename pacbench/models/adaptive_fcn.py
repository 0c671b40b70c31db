"""PacFCN, and networks with a CRF behind them (Su et al., CVPR 2019, sections 5 and 6)."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

from ..backend import Backend
from ..nn.hot_swapping import hot_swap
from ..nn.pac_crf import PacCRF, PacCRFLoose
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

RGB_SCALE = 30.0
MEAN_FIELD_STEPS = 5

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


def pac_crf(
    num_classes: int,
    dilations: tuple[int, ...] = (16, 64),
    *,
    loose: bool = False,
    num_steps: int = MEAN_FIELD_STEPS,
    pairwise_weight: float = 1.0,
    backend: str | Backend | None = None,
) -> PacCRF | PacCRFLoose:
    """PAC-CRF,32 with dilations (32,), PAC-CRF,16-64 with (16, 64): one 4d kernel 5 × 5 for each."""
    kernels = [
        {"kernel_size": 5, "dilation": dilation, "compat_type": "4d", "pairwise_weight": pairwise_weight}
        for dilation in dilations
    ]
    kind = PacCRFLoose if loose else PacCRF
    return kind(num_classes, num_steps, pairwise_kernels=kernels, backend=backend)


class NetworkWithCRF(nn.Module):
    """A network that gives class scores, and a CRF on them with the image's colours as edge features.

    Image (N, 3, H, W), RGB in [0, 255], to beliefs (N, C, H, W) as the CRF's `final_output` says. The parts are
    `network` and `crf`.

    Args:
        network: Any model from image to scores (N, C, H, W).
        crf: The CRF.
        rgb_scale: What colours are divided by.
    """

    def __init__(self, network: nn.Module, crf: PacCRF | PacCRFLoose, rgb_scale: float = RGB_SCALE) -> None:
        super().__init__()
        self.network = network
        self.crf = crf
        self.rgb_scale = rgb_scale

    def forward(self, image: Tensor) -> Tensor:
        """Beliefs (N, C, H, W) for an image (N, 3, H, W)."""
        beliefs: Tensor = self.crf(self.network(image), image / self.rgb_scale)
        return beliefs
