"""The public names and signatures of the reference's module `pac`, served by pacbench.

`native_impl` chose between two implementations there; it is accepted here and changes nothing. Results differ from
the reference where that is broken: see docs/operators.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import arguments, functional
from ..arguments import PairLike
from ..columns import columns
from ..nn import layers

__all__ = [
    "PacConv2d",
    "PacConvTranspose2d",
    "PacPool2d",
    "nd2col",
    "pacconv2d",
    "pacconv_transpose2d",
    "packernel2d",
    "pacpool2d",
]


def np_gaussian_2d(width: int, sigma: float = -1) -> npt.NDArray[np.float32]:
    """Gaussian filter (width, width) that sums to 1, float32; σ is width / 4 unless it is positive. `width` is odd."""
    if width % 2 == 0:
        raise ValueError(f"np_gaussian_2d: got width {width}, expected an odd number")
    offsets = np.arange(width) - width // 2
    line = np.exp(-0.5 * (offsets / (sigma if sigma > 0 else width / 4)) ** 2)
    gaussian = np.outer(line, line)
    return np.asarray(gaussian / gaussian.sum(), dtype=np.float32)


def nd2col(
    input_nd: Tensor,
    kernel_size: PairLike,
    stride: PairLike = 1,
    padding: PairLike = 0,
    output_padding: PairLike = 0,
    dilation: PairLike = 1,
    transposed: bool = False,
    use_pyinn_if_possible: bool = False,  # noqa: ARG001 - the reference's signature
) -> Tensor:
    """Taps (N, C, k_h, k_w, H', W') of an image (N, C, H, W)."""
    if input_nd.dim() != 4:
        raise ValueError(f"nd2col: got input_nd {tuple(input_nd.shape)}, expected 4 dimensions (N, C, H, W)")
    window = arguments.window(
        "nd2col", kernel_size, stride, padding, output_padding if transposed else 0, dilation, transposed=transposed
    )
    return columns(input_nd, window)


def packernel2d(
    input: Tensor,
    mask: Tensor | None = None,
    kernel_size: PairLike = 0,
    stride: PairLike = 1,
    padding: PairLike = 0,
    output_padding: PairLike = 0,
    dilation: PairLike = 1,
    kernel_type: str = "gaussian",
    smooth_kernel_type: str = "none",
    smooth_kernel: Tensor | None = None,
    inv_alpha: Tensor | None = None,
    inv_lambda: Tensor | None = None,
    channel_wise: bool = False,
    normalize_kernel: bool = False,
    transposed: bool = False,
    native_impl: bool = False,  # noqa: ARG001 - the reference's signature
) -> tuple[Tensor, Tensor | None]:
    """Adapting kernel; the output mask has the reference's shape (N, 1, 1, 1, H', W') and dtype uint8."""
    kernel, output_mask = functional.packernel2d(
        input,
        None if mask is None else _for_batch(mask, input),
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding if transposed else 0,
        dilation=dilation,
        kernel_type=kernel_type,
        smooth_kernel_type=smooth_kernel_type,
        smooth_kernel=None if smooth_kernel_type == "none" else smooth_kernel,
        inv_alpha=inv_alpha if kernel_type.startswith("inv") else None,
        inv_lambda=inv_lambda if kernel_type.startswith("inv") else None,
        channel_wise=channel_wise,
        normalize_kernel=normalize_kernel,
        transposed=transposed,
    )
    channels = kernel.shape[1] if normalize_kernel else 1
    return kernel, None if output_mask is None else _reference_mask(output_mask, channels)


def pacconv2d(
    input: Tensor,
    kernel: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    native_impl: bool = False,  # noqa: ARG001 - the reference's signature
) -> Tensor:
    """`pacbench.functional.pacconv2d` by the reference's signature."""
    return functional.pacconv2d(
        input, _for_batch(kernel, input), weight, bias, stride, padding, dilation, shared_filters
    )


def pacconv_transpose2d(
    input: Tensor,
    kernel: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PairLike = 1,
    padding: PairLike = 0,
    output_padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    native_impl: bool = False,  # noqa: ARG001 - the reference's signature
) -> Tensor:
    """`pacbench.functional.pacconv_transpose2d` by the reference's signature."""
    return functional.pacconv_transpose2d(
        input, _for_batch(kernel, input), weight, bias, stride, padding, output_padding, dilation, shared_filters
    )


def pacpool2d(
    input: Tensor,
    kernel: Tensor,
    kernel_size: PairLike,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    native_impl: bool = False,  # noqa: ARG001 - the reference's signature
) -> Tensor:
    """`pacbench.functional.pacpool2d` by the reference's signature."""
    return functional.pacpool2d(input, _for_batch(kernel, input), kernel_size, stride, padding, dilation)


def _for_batch(tensor: Tensor, like: Tensor) -> Tensor:
    """One kernel (or mask) for a whole batch, as the reference broadcasts it."""
    if isinstance(tensor, Tensor) and tensor.dim() and tensor.shape[0] == 1 != like.shape[0]:
        return tensor.expand(like.shape[0], *tensor.shape[1:])
    return tensor


def _reference_mask(output_mask: Tensor, channels: int) -> Tensor:
    """A boolean output mask (N, 1, H', W') as the reference returns it: uint8, (N, channels, 1, 1, H', W').

    It has a channel for each kernel that is normalised by itself.
    """
    return output_mask[:, :, None, None].to(torch.uint8).repeat(1, channels, 1, 1, 1, 1)


class _ReferenceForward:
    """The reference's names of the forward arguments, and its output mask."""

    channel_wise: bool
    normalize_kernel: bool

    def forward(
        self,
        input_2d: Tensor,
        input_for_kernel: Tensor | None,
        kernel: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Any:
        """See the layer of that name in `pacbench.nn`; `input_for_kernel` is the guide."""
        kernel = None if kernel is None else _for_batch(kernel, input_2d)
        mask = None if mask is None else _for_batch(mask, input_2d)
        output = super().forward(input_2d, input_for_kernel, kernel, mask)  # type: ignore[misc]
        if not isinstance(output, tuple):
            return output
        return output[0], _reference_mask(output[1], self._mask_channels(input_2d.shape[1]))

    def compute_kernel(self, input_for_kernel: Tensor, input_mask: Tensor | None = None) -> Any:
        """Adapting kernel and output mask."""
        kernel, output_mask = super().compute_kernel(input_for_kernel, input_mask)  # type: ignore[misc]
        if output_mask is None:
            return kernel, None
        return kernel, _reference_mask(output_mask, self._mask_channels(kernel.shape[1]))

    def _mask_channels(self, channels: int) -> int:
        return channels if self.channel_wise and self.normalize_kernel else 1


class PacConv2d(_ReferenceForward, layers.PacConv2d):
    """`pacbench.nn.PacConv2d` by the reference's signature."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        dilation: PairLike = 1,
        bias: bool = True,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        normalize_kernel: bool = False,
        shared_filters: bool = False,
        filler: str = "uniform",
        native_impl: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            bias,
            kernel_type,
            smooth_kernel_type,
            normalize_kernel,
            shared_filters,
            filler,
        )
        self.native_impl = native_impl


class PacConvTranspose2d(_ReferenceForward, layers.PacConvTranspose2d):
    """`pacbench.nn.PacConvTranspose2d` by the reference's signature."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        output_padding: PairLike = 0,
        dilation: PairLike = 1,
        bias: bool = True,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        normalize_kernel: bool = False,
        shared_filters: bool = False,
        filler: str = "uniform",
        native_impl: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            bias,
            kernel_type,
            smooth_kernel_type,
            normalize_kernel,
            shared_filters,
            filler,
        )
        self.native_impl = native_impl


class PacPool2d(_ReferenceForward, layers.PacPool2d):
    """`pacbench.nn.PacPool2d` by the reference's signature."""

    def __init__(
        self,
        kernel_size: PairLike,
        stride: PairLike = 1,
        padding: PairLike = 0,
        dilation: PairLike = 1,
        kernel_type: str = "gaussian",
        smooth_kernel_type: str = "none",
        channel_wise: bool = False,
        normalize_kernel: bool = False,
        out_channels: int = -1,
        native_impl: bool = False,
    ) -> None:
        super().__init__(
            kernel_size,
            stride,
            padding,
            dilation,
            kernel_type,
            smooth_kernel_type,
            channel_wise,
            normalize_kernel,
            out_channels,
        )
        self.native_impl = native_impl
