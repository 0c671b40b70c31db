"""A CRF as it is trained: behind a network, or on unaries that a network once gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor, nn

from ..backend import Backend
from ..crf import BCLCRF, ConvCRF, FullCRF
from ..nn.pac_crf import PacCRF, PacCRFLoose

MEAN_FIELD_STEPS = 5
RGB_SCALE = 30.0
"""What PAC-CRF has colours divided by, unless it is told otherwise."""

OtherCRF = Literal["conv_11", "conv_7", "full", "bcl"]
"""CRFs that may stand in the place of PAC-CRF: Conv-CRF with its filter's size, Full-CRF, BCL-CRF."""


class CRFOnUnary(nn.Module):
    """A CRF on given class scores, with the image's colours as edge features.

    Args:
        crf: From unary (N, C, H, W) and features (N, 3, H, W) to beliefs (N, C, H, W); its name here is `crf`.
        rgb_scale: What colours are divided by.
    """

    def __init__(self, crf: nn.Module, rgb_scale: float) -> None:
        super().__init__()
        self.crf = crf
        self.rgb_scale = rgb_scale

    def refined(self, unary: Tensor, image: Tensor) -> Tensor:
        """Beliefs (N, C, H, W) from class scores (N, C, H, W) and an image (N, 3, H, W), RGB in [0, 255]."""
        beliefs: Tensor = self.crf(unary, image / self.rgb_scale)
        return beliefs

    def forward(self, image: Tensor, unary: Tensor) -> Tensor:
        """As `refined`, the image first as for every model that is trained."""
        return self.refined(unary, image)


def _conv_crf(filter_size: int) -> Callable[[int, int, str | Backend | None], nn.Module]:
    def build(classes: int, steps: int, backend: str | Backend | None) -> nn.Module:
        return ConvCRF(
            classes, filter_size, num_steps=steps, weight=0.1, position_compat=1.0, trainable=True, backend=backend
        )

    return build


def _full_crf(classes: int, steps: int, backend: str | Backend | None) -> nn.Module:  # noqa: ARG001 (one signature)
    return FullCRF(
        classes, steps, position_compat=1.0, bilateral_compat=5.0, bilateral_sxy=50.0, bilateral_srgb=5.0,
        compatibility="learned", final_output="log_Q", trainable=True,
    )  # fmt: skip


def _bcl_crf(classes: int, steps: int, backend: str | Backend | None) -> nn.Module:  # noqa: ARG001 (one signature)
    return BCLCRF(classes, steps, position_compat=1.0, bilateral_compat=5.0, bilateral_sxy=50.0, bilateral_srgb=5.0)


_OTHERS: Mapping[OtherCRF, Callable[[int, int, str | Backend | None], nn.Module]] = {
    "conv_11": _conv_crf(11),
    "conv_7": _conv_crf(7),
    "full": _full_crf,
    "bcl": _bcl_crf,
}


def other_crf(kind: OtherCRF, num_classes: int, num_steps: int, backend: str | Backend | None = None) -> nn.Module:
    """A learnable CRF on colours in [0, 255], starting where the suite `crf` starts to tune its scalars.

    Full-CRF and BCL-CRF run on the lattice of the backend `native`, whatever the backend is.
    """
    return _OTHERS[kind](num_classes, num_steps, backend)


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
