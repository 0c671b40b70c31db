"""One pairwise kernel of a PAC-CRF: its options, their limits, and the layer that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from pacbench.backend import Backend
from pacbench.nn.layers import PacConv2d

CompatType = Literal["4d", "2d", "potts", "na"]

COMPAT_TYPES: tuple[str, ...] = get_args(CompatType)


@dataclass(frozen=True)
class PairwiseKernel:
    """One pairwise kernel: what its message is filtered with, and at which resolution.

    Attributes:
        kernel_size: side of the window, odd.
        dilation: spacing of its taps.
        blur: the message is computed at 1/blur of the resolution.
        compat_type: '4d' a filter for each pair of classes; '2d' one filter, then a learnable 1×1 compatibility;
            'potts' one filter, subtracted; 'na' a plain convolution, blind to the edge features.
        spatial_filter: whether the one filter of '2d' and 'potts' is learnable, or ones around a centre of 0.
        pairwise_weight: weight of the message.
    """

    kernel_size: int = 3
    dilation: int = 1
    blur: int = 1
    compat_type: str = "4d"
    spatial_filter: bool = True
    pairwise_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"PacCRF: got kernel_size={self.kernel_size}, expected an odd positive number")
        for name in ("dilation", "blur"):
            if getattr(self, name) < 1:
                raise ValueError(f"PacCRF: got {name}={getattr(self, name)}, expected at least 1")
        if self.compat_type not in COMPAT_TYPES:
            raise ValueError(
                f"PacCRF: got compat_type={self.compat_type!r}, expected one of {', '.join(map(repr, COMPAT_TYPES))}"
            )

    @property
    def adapts(self) -> bool:
        """Whether the message depends on edge features."""
        return self.compat_type != "na"

    @property
    def in_filter(self) -> bool:
        """Whether one adapted filter at full resolution is the whole message, as `mean_field_update` computes it."""
        return self.blur == 1 and self.compat_type in ("4d", "potts")

    @property
    def signed_weight(self) -> float:
        """The weight as it is subtracted: a Potts message rewards agreement, so its sign is flipped."""
        return -self.pairwise_weight if self.compat_type == "potts" else self.pairwise_weight

    def messenger(self, channels: int, perturbed: bool, backend: str | Backend | None) -> nn.Module:
        """The layer that filters beliefs (N, channels, h, w) into messages of the same shape."""
        padding = self.kernel_size // 2 * self.dilation
        if not self.adapts:
            return nn.Conv2d(channels, channels, self.kernel_size, padding=padding, dilation=self.dilation, bias=False)
        pools = self.compat_type != "4d" and not self.spatial_filter
        filler = "crf_pool" if pools else "crf_perturbed" if perturbed else "crf"
        return PacConv2d(
            channels,
            channels,
            self.kernel_size,
            padding=padding,
            dilation=self.dilation,
            bias=False,
            shared_filters=self.compat_type != "4d",
            filler=filler,
            backend=backend,
        )
