"""Messages at a coarser resolution: what goes in is average-pooled, what comes out is upsampled and cropped.

Both PAC-CRF and Conv-CRF (Teichmann & Cipolla, 2018) blur in this way. An image whose side is no multiple
of the factor is padded by half of what is missing, rounded up, at its top and left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def leading_padding(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Rows above and columns to the left that make (height, width) fill whole cells of `factor` pixels."""
    height, width = size
    return -(-(-height % factor) // 2), -(-(-width % factor) // 2)


def blurred_size(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """The (height, width) that `pool_by` gives: the size divided by `factor`, rounded up."""
    return -(-size[0] // factor), -(-size[1] // factor)


def pool_by(values: Tensor, factor: int) -> Tensor:
    """Average (N, C, H, W) over cells of factor × factor pixels; the padding is left out of each average."""
    from torch.nn import functional as F  # noqa: N812 - torch's own name; backends are known without torch

    if factor == 1:
        return values
    padding = leading_padding((values.shape[2], values.shape[3]), factor)
    return F.avg_pool2d(values, factor, padding=padding, count_include_pad=False)


def upsample_by(values: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Undo `pool_by`: bilinear (N, C, ⌈H/factor⌉, ⌈W/factor⌉) → (N, C, H, W), `size` being (H, W)."""
    from torch.nn import functional as F  # noqa: N812 - as above

    if factor == 1:
        return values
    top, left = leading_padding(size, factor)
    large = F.interpolate(values, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return large[:, :, top : top + size[0], left : left + size[1]]
