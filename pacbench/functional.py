"""The operators of pixel-adaptive convolution (Su et al., CVPR 2019), each served by any backend.

Notation: guide f (N, G, H, W), adapting kernel K[i, j] = K(f_i, f_j), window Ω(i), filter W, input v. Kernel sizes
are odd. Every argument that torch takes as a pair may be one int. `backend` names a backend, or is one; without it
`pacbench.use_backend`, then the environment variable PACBENCH_BACKEND, then the best backend for the device decide.

All functions raise ValueError (shape, size, option) or TypeError (type, dtype) before any work, UnknownNameError
for a backend that does not exist, UnavailableError for one that cannot run here, and NotSupportedError, with all
reasons, where a backend that was asked for (or every candidate) does not support the call.

Under autocast the convolutions follow `torch.nn.functional.conv2d`: input, weight and bias take autocast's dtype;
guide and adapting kernel stay in float32. The mean-field update, a running sum, is computed in float32.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from . import arguments, autocast
from .arguments import PairLike
from .backend import Backend
from .mean_field import mean_field_update

__all__ = [
    "guided_pacconv2d",
    "guided_pacconv_transpose2d",
    "guided_pacpool2d",
    "mean_field_update",
    "pacconv2d",
    "pacconv_transpose2d",
    "packernel2d",
    "pacpool2d",
]


def packernel2d(
    guide: Tensor,
    mask: Tensor | None = None,
    *,
    kernel_size: PairLike,
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
    backend: str | Backend | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Adapting kernel of a guide, Su et al., eq. 3: K[i, j] = exp(-½ ‖f_j - f_i‖²) by default.

    Args:
        guide: Adapting features f, (N, G, H, W). With `transposed` at the *output's* resolution.
        mask: Valid pixels, (N, 1, H, W), with `transposed` at the *input's* resolution; bool or numbers. K is
            multiplied by it and, without `normalize_kernel`, divided by (valid taps / taps inside the image).
        kernel_size: Taps per axis, odd.
        stride: As in `nn.Conv2d` (`nn.ConvTranspose2d` with `transposed`), like the next three.
        padding: Taps in the padding compare f_i with 0.
        output_padding: With `transposed` only.
        dilation: Spacing of the taps.
        kernel_type: ``gaussian``, or ``inv_{alpha}_{lambda}``: inv_alpha + (d² + 1e-4)^(inv_lambda / 2); with
            ``_asym`` d uses max(f_j - f_i, 0); ``_fixed`` says that alpha and lambda are not learnt.
        smooth_kernel_type: ``none``, ``gaussian`` ([¼ ½ ¼] ⊗ itself), ``average_{s}``, ``full_{s}``: f_i is the
            guide filtered so, zero padded.
        smooth_kernel: (1, 1, s, s), the learnt filter of ``full_{s}``.
        inv_alpha: One value, or G with `channel_wise`; the constant of `kernel_type` if not given.
        inv_lambda: Likewise.
        channel_wise: One kernel per guide channel.
        normalize_kernel: Divide K by its sum over the taps inside the image.
        transposed: The kernel for `pacconv_transpose2d` with the same arguments.
        backend: See the module.

    Returns:
        Kernel (N, 1 or G, k_h, k_w, H', W'), and with a mask the output mask (bool, N, 1, H', W'): which windows
        hold a valid tap. Windows that hold none have kernel 0.
    """
    operator = "packernel2d"
    guide = _guide_of(operator, guide)
    window = arguments.window(operator, kernel_size, stride, padding, output_padding, dilation, transposed=transposed)
    adapting = _adapting(
        operator,
        guide,
        kernel_type,
        smooth_kernel_type,
        smooth_kernel,
        inv_alpha,
        inv_lambda,
        channel_wise,
        normalize_kernel,
    )
    kernel, output_mask = autocast.run(arguments.packernel2d(guide, mask, window, adapting), backend)
    return kernel, output_mask


def pacconv2d(
    input: Tensor,
    kernel: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    *,
    backend: str | Backend | None = None,
) -> Tensor:
    """Pixel-adaptive convolution with a given adapting kernel, Su et al., eq. 3.

    v'_i = Σ_j K[i, j] W[p_j - p_i] v_j + b

    Args:
        input: v, (N, C, H, W).
        kernel: K, (N, 1, k_h, k_w, H', W'), as `packernel2d` with the same arguments gives it.
        weight: W, (O, C, k_h, k_w), or (1, 1, k_h, k_w) with `shared_filters`.
        bias: (O,), or (C,) with `shared_filters`.
        stride: As in `nn.Conv2d`, like the next two.
        padding: Zeros on each side.
        dilation: Spacing of the taps.
        shared_filters: One spatial filter serves every channel; O = C.
        backend: See the module.

    Returns:
        (N, O, H', W').
    """
    operator = "pacconv2d"
    size = arguments.filter_size(operator, weight)
    window = arguments.window(operator, size, stride, padding, 0, dilation, transposed=False)
    input, weight, bias = autocast.narrowed(input, weight, bias)
    call = arguments.convolution(
        operator, input, kernel, None, weight, bias, None, window=window, adapting=None, shared_filters=shared_filters
    )
    output: Tensor = autocast.run(call, backend)
    return output


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
    *,
    backend: str | Backend | None = None,
) -> Tensor:
    """Transposed pixel-adaptive convolution with a given adapting kernel, Su et al., section 4.1.

    stride - 1 zeros are put between the input's pixels, then `pacconv2d` with stride 1. The filter is *correlated*
    with them, as in the published implementation: with K = 1 this is `F.conv_transpose2d` with the filter flipped.

    Args:
        input: v, (N, C, H, W).
        kernel: K, (N, 1, k_h, k_w, H', W'), as `packernel2d(transposed=True)` with the same arguments gives it.
        weight: W, (C, O, k_h, k_w), or (1, 1, k_h, k_w) with `shared_filters`.
        bias: (O,), or (C,) with `shared_filters`.
        stride: As in `nn.ConvTranspose2d`, like the next three.
        padding: Taken off each side of the output.
        output_padding: Added at the output's far side.
        dilation: Spacing of the taps.
        shared_filters: One spatial filter serves every channel; O = C.
        backend: See the module.

    Returns:
        (N, O, H', W').
    """
    operator = "pacconv_transpose2d"
    size = arguments.filter_size(operator, weight)
    window = arguments.window(operator, size, stride, padding, output_padding, dilation, transposed=True)
    input, weight, bias = autocast.narrowed(input, weight, bias)
    call = arguments.convolution(
        operator, input, kernel, None, weight, bias, None, window=window, adapting=None, shared_filters=shared_filters
    )
    output: Tensor = autocast.run(call, backend)
    return output


def pacpool2d(
    input: Tensor,
    kernel: Tensor,
    kernel_size: PairLike,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    *,
    backend: str | Backend | None = None,
) -> Tensor:
    """Pixel-adaptive pooling with a given adapting kernel: v'_i = Σ_j K[i, j] v_j, a sum, not a mean.

    Args:
        input: v, (N, C, H, W).
        kernel: K, (N, 1 or C, k_h, k_w, H', W').
        kernel_size: Taps per axis, odd.
        stride: As in `nn.AvgPool2d`; 1 by default.
        padding: Zeros on each side.
        dilation: Spacing of the taps.
        backend: See the module.

    Returns:
        (N, C, H', W').
    """
    operator = "pacpool2d"
    window = arguments.window(operator, kernel_size, stride, padding, 0, dilation, transposed=False)
    output: Tensor = autocast.run(
        arguments.pooling(operator, input, kernel, None, None, window=window, adapting=None), backend
    )
    return output


def guided_pacconv2d(
    input: Tensor,
    guide: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    *,
    mask: Tensor | None = None,
    kernel_type: str = "gaussian",
    smooth_kernel_type: str = "none",
    smooth_kernel: Tensor | None = None,
    inv_alpha: Tensor | None = None,
    inv_lambda: Tensor | None = None,
    normalize_kernel: bool = False,
    backend: str | Backend | None = None,
) -> Any:
    """`pacconv2d(input, packernel2d(guide, …), weight, …)` in one; fused backends never store the kernel.

    Arguments as in `packernel2d` and `pacconv2d`; the guide (N, G, H, W) has the input's resolution.

    Returns:
        (N, O, H', W'), or with a mask the pair of it and the output mask (bool, N, 1, H', W').
    """
    operator = "guided_pacconv2d"
    size = arguments.filter_size(operator, weight)
    window = arguments.window(operator, size, stride, padding, 0, dilation, transposed=False)
    guide = _guide_of(operator, guide)
    adapting = _adapting(
        operator, guide, kernel_type, smooth_kernel_type, smooth_kernel, inv_alpha, inv_lambda, False, normalize_kernel
    )
    input, weight, bias = autocast.narrowed(input, weight, bias)
    call = arguments.convolution(
        operator,
        input,
        None,
        guide,
        weight,
        bias,
        mask,
        window=window,
        adapting=adapting,
        shared_filters=shared_filters,
    )
    output, output_mask = autocast.run(call, backend)
    return output if mask is None else (output, output_mask)


def guided_pacconv_transpose2d(
    input: Tensor,
    guide: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: PairLike = 1,
    padding: PairLike = 0,
    output_padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    *,
    mask: Tensor | None = None,
    kernel_type: str = "gaussian",
    smooth_kernel_type: str = "none",
    smooth_kernel: Tensor | None = None,
    inv_alpha: Tensor | None = None,
    inv_lambda: Tensor | None = None,
    normalize_kernel: bool = False,
    backend: str | Backend | None = None,
) -> Any:
    """`pacconv_transpose2d` and its `packernel2d` in one; fused backends never store the kernel.

    Arguments as there; the guide (N, G, H', W') has the output's resolution, a mask (N, 1, H, W) the input's.

    Returns:
        (N, O, H', W'), or with a mask the pair of it and the output mask (bool, N, 1, H', W').
    """
    operator = "guided_pacconv_transpose2d"
    size = arguments.filter_size(operator, weight)
    window = arguments.window(operator, size, stride, padding, output_padding, dilation, transposed=True)
    guide = _guide_of(operator, guide)
    adapting = _adapting(
        operator, guide, kernel_type, smooth_kernel_type, smooth_kernel, inv_alpha, inv_lambda, False, normalize_kernel
    )
    input, weight, bias = autocast.narrowed(input, weight, bias)
    call = arguments.convolution(
        operator,
        input,
        None,
        guide,
        weight,
        bias,
        mask,
        window=window,
        adapting=adapting,
        shared_filters=shared_filters,
    )
    output, output_mask = autocast.run(call, backend)
    return output if mask is None else (output, output_mask)


def guided_pacpool2d(
    input: Tensor,
    guide: Tensor,
    kernel_size: PairLike,
    stride: PairLike = 1,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    *,
    mask: Tensor | None = None,
    kernel_type: str = "gaussian",
    smooth_kernel_type: str = "none",
    smooth_kernel: Tensor | None = None,
    inv_alpha: Tensor | None = None,
    inv_lambda: Tensor | None = None,
    channel_wise: bool = False,
    normalize_kernel: bool = False,
    backend: str | Backend | None = None,
) -> Any:
    """`pacpool2d(input, packernel2d(guide, …), …)` in one; fused backends never store the kernel.

    Arguments as in `packernel2d` and `pacpool2d`; the guide (N, G, H, W) has the input's resolution, and with
    `channel_wise` as many channels.

    Returns:
        (N, C, H', W'), or with a mask the pair of it and the output mask (bool, N, 1, H', W').
    """
    operator = "guided_pacpool2d"
    window = arguments.window(operator, kernel_size, stride, padding, 0, dilation, transposed=False)
    guide = _guide_of(operator, guide)
    adapting = _adapting(
        operator,
        guide,
        kernel_type,
        smooth_kernel_type,
        smooth_kernel,
        inv_alpha,
        inv_lambda,
        channel_wise,
        normalize_kernel,
    )
    call = arguments.pooling(operator, input, None, guide, mask, window=window, adapting=adapting)
    output, output_mask = autocast.run(call, backend)
    return output if mask is None else (output, output_mask)


def _adapting(
    operator: str,
    guide: Tensor,
    kernel_type: str,
    smooth_kernel_type: str,
    smooth_kernel: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    channel_wise: bool,
    normalize_kernel: bool,
) -> Any:
    return arguments.adapting_kernel(
        operator,
        guide,
        kernel_type=kernel_type,
        smooth_kernel_type=smooth_kernel_type,
        smooth_kernel=smooth_kernel,
        inv_alpha=inv_alpha,
        inv_lambda=inv_lambda,
        channel_wise=channel_wise,
        normalize_kernel=normalize_kernel,
    )


def _guide_of(operator: str, guide: Tensor) -> Tensor:
    """The checked guide; under autocast a 16-bit one becomes float32."""
    return autocast.widened(arguments.guide_of(operator, guide))
