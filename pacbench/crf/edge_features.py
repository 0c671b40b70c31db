"""What the pairwise kernels of a CRF compare: positions and colours, each divided by its scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Scales = float | Sequence[float] | Tensor


def create_position_feats(
    shape: Sequence[int],
    scales: Scales | None = None,
    bs: int = 1,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Pixel coordinates as features.

    Args:
        shape: (H, W).
        scales: what the coordinates are divided by, in pixels: one number, or one for y and one for x.
        bs: batch size.
        device: where the result lives.
        dtype: of the result.

    Returns:
        (bs, 2, H, W): y, then x.
    """
    if len(shape) != 2:
        raise ValueError(f"create_position_feats: shape has {len(shape)} entries, expected 2 (height, width)")
    rows, columns = (torch.arange(size, device=device, dtype=dtype) for size in shape)
    mesh = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    if scales is not None:
        mesh = mesh / _column(scales, 2, "create_position_feats", mesh)
    return mesh.expand(bs, -1, -1, -1)


def create_YXRGB(  # noqa: N802 (the name that the reference's users know)
    img: Tensor,
    yx_scale: Scales | None = None,
    rgb_scale: Scales | None = None,
    scales: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """Pixel coordinates and colours as features, each divided by its scale.

    Args:
        img: (N, 3, H, W) or (3, H, W).
        yx_scale: for the coordinates, in pixels: one number or two. Not divided when None.
        rgb_scale: for the colours, in the image's own units: one number, or one for each channel.
        scales: the scales of y, x and of each channel at once, in place of the two.

    Returns:
        (N, 5, H, W): y, x, then the image's channels.

    Raises:
        ValueError: `scales` given beside one of the others, or a scale with the wrong number of entries.
    """
    if img.dim() not in (3, 4):
        raise ValueError(f"create_YXRGB: img has {img.dim()} dimensions, expected 4 (N, 3, H, W) or 3 (3, H, W)")
    image = img.reshape(-1, *img.shape[-3:])
    channels = image.shape[1]
    if scales is not None:
        if yx_scale is not None or rgb_scale is not None:
            raise ValueError("create_YXRGB: got scales beside yx_scale or rgb_scale, expected one or the other")
        if len(scales) != 2 + channels:
            raise ValueError(
                f"create_YXRGB: scales has {len(scales)} entries, expected {2 + channels} "
                f"(y, x and {channels} channels)"
            )
        yx_scale, rgb_scale = scales[:2], scales[2:]
    if not image.is_floating_point():
        image = image.to(torch.get_default_dtype())
    mesh = create_position_feats(image.shape[-2:], yx_scale, image.shape[0], image.device, image.dtype)
    if rgb_scale is not None:
        image = image / _column(rgb_scale, channels, "create_YXRGB", image)
    return torch.cat([mesh, image], dim=1)


class EdgeFeatures(nn.Module):
    """Colours, and coordinates where they have a scale, with scales that are learned: what a PAC-CRF adapts to.

    The logarithms of the scales are the parameters, `log_rgb_scale` and `log_yx_scale`, so that scales stay positive.

    Args:
        rgb_scale: what colours are divided by at the start, in the image's own units.
        yx_scale: what coordinates are divided by at the start, in pixels; None leaves them out.

    Raises:
        ValueError: a scale that is not a finite number above 0.
    """

    log_yx_scale: Tensor | None

    def __init__(self, rgb_scale: float = 30.0, yx_scale: float | None = None) -> None:
        super().__init__()
        for name, scale in (("rgb_scale", rgb_scale), ("yx_scale", yx_scale)):
            if scale is not None and not (math.isfinite(scale) and scale > 0):
                raise ValueError(f"EdgeFeatures: got {name}={scale}, expected a finite number above 0")
        self.log_rgb_scale = nn.Parameter(torch.tensor(float(rgb_scale)).log())
        self.log_yx_scale = None if yx_scale is None else nn.Parameter(torch.tensor(float(yx_scale)).log())

    def forward(self, image: Tensor) -> Tensor:
        """Features of an image.

        Args:
            image: (N, C, H, W).

        Returns:
            (N, C, H, W), or (N, 2 + C, H, W) with y and x first.
        """
        if self.log_yx_scale is None:
            return image / self.log_rgb_scale.exp()
        return create_YXRGB(image, self.log_yx_scale.exp(), self.log_rgb_scale.exp())


def _column(scales: Scales, expected: int, operator: str, like: Tensor) -> Tensor:
    """One or `expected` scales as (1 or `expected`, 1, 1), on the device and in the dtype of `like`."""
    column = torch.as_tensor(scales, device=like.device, dtype=like.dtype).reshape(-1, 1, 1)
    if column.shape[0] not in (1, expected):
        raise ValueError(f"{operator}: got {column.shape[0]} scales, expected 1 or {expected}")
    return column
