"""Layers: pixel-adaptive convolution, transposed convolution, pooling, and the CRFs built on them."""

from .hot_swapping import hot_swap
from .layers import PacConv2d, PacConvTranspose2d, PacPool2d
from .pac_crf import PacCRF, PacCRFLoose

__all__ = ["PacCRF", "PacCRFLoose", "PacConv2d", "PacConvTranspose2d", "PacPool2d", "hot_swap"]
