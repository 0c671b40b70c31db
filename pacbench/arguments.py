"""Checks of the operators' arguments: once, in one place, for all backends, before any work.

Each function takes the public arguments of an operator, raises a ValueError (shape, size, option) or a TypeError
(type, dtype) that names operator and argument, and otherwise returns the checked :class:`~pacbench.calls.Call`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .adapting_kernel import AdaptingKernel, KernelType, smooth_kernel_size
from .argument_checks import (
    SIXTEEN_BIT,
    PairLike,
    expect_floating,
    expect_guide_dtype,
    expect_image,
    expect_tensor,
    pair,
)
from .calls import Call
from .geometry import Pair, Window

__all__ = [
    "PairLike",
    "adapting_kernel",
    "convolution",
    "filter_size",
    "guide_of",
    "mean_field_update",
    "packernel2d",
    "pooling",
    "window",
]


def window(
    operator: str,
    kernel_size: PairLike,
    stride: PairLike,
    padding: PairLike,
    output_padding: PairLike,
    dilation: PairLike,
    *,
    transposed: bool,
) -> Window:
    """A checked window: odd kernel size, positive stride and dilation, no negative padding."""
    checked = Window(
        pair(operator, "kernel_size", kernel_size, least=1),
        pair(operator, "stride", stride, least=1),
        pair(operator, "padding", padding, least=0),
        pair(operator, "output_padding", output_padding, least=0),
        pair(operator, "dilation", dilation, least=1),
        transposed=transposed,
    )
    if any(size % 2 == 0 for size in checked.kernel_size):
        raise ValueError(f"{operator}: got kernel_size {checked.kernel_size}, expected odd sizes")
    if checked.output_padding != (0, 0) and not transposed:
        raise ValueError(
            f"{operator}: got output_padding {checked.output_padding}, expected 0 where transposed is False"
        )
    pairs = zip(checked.output_padding, checked.stride, checked.dilation, strict=True)
    if any(extra >= max(s, d) for extra, s, d in pairs):
        raise ValueError(
            f"{operator}: got output_padding {checked.output_padding}, expected less than stride {checked.stride} "
            f"or dilation {checked.dilation}"
        )
    return checked


def adapting_kernel(
    operator: str,
    guide: Tensor,
    *,
    kernel_type: str,
    smooth_kernel_type: str,
    smooth_kernel: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    channel_wise: bool,
    normalize_kernel: bool,
) -> AdaptingKernel:
    """A checked adapting kernel with its defaults filled in: constants of an `inv` type, a fixed smoothing kernel."""
    kind = KernelType.parse(kernel_type, operator)
    channels = guide.shape[1] if channel_wise else 1
    parameters: dict[str, Tensor | None] = {"inv_alpha": inv_alpha, "inv_lambda": inv_lambda}
    for (name, parameter), constant in zip(parameters.items(), (kind.alpha, kind.exponent), strict=True):
        if kind.form == "gaussian":
            if parameter is not None:
                raise ValueError(
                    f"{operator}: got {name} with kernel_type {kernel_type!r}, expected it with 'inv_…' only"
                )
        elif parameter is None:
            parameters[name] = torch.full((1,), constant, dtype=guide.dtype, device=guide.device)
        else:
            parameter = _parameter(operator, name, parameter, guide)
            if parameter.numel() not in {1, channels}:
                raise ValueError(
                    f"{operator}: got {name} of {parameter.numel()} values, expected 1"
                    + (f" or {channels} (one a guide channel)" if channel_wise else "")
                )
            parameters[name] = parameter.reshape(-1)
    return AdaptingKernel(
        form=kind.form,
        asymmetric=kind.asymmetric,
        channel_wise=channel_wise,
        normalize=normalize_kernel,
        smooth_kernel=_smooth_kernel(operator, guide, smooth_kernel_type, smooth_kernel),
        inv_alpha=parameters["inv_alpha"],
        inv_lambda=parameters["inv_lambda"],
    )


def packernel2d(guide: Tensor, mask: Tensor | None, window: Window, adapting: AdaptingKernel) -> Call:
    """Check the tensors of `packernel2d`; the guide itself has been checked by :func:`guide_of`."""
    operator = "packernel2d"
    tensors = {"guide": guide, "mask": _mask(operator, mask, guide, _mask_size(operator, guide, window))}
    _output_size(operator, window, _mask_size(operator, guide, window), "guide")
    return Call(operator, tensors, window, adapting)


def convolution(
    operator: str,
    input: Tensor,
    kernel: Tensor | None,
    guide: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    *,
    window: Window,
    adapting: AdaptingKernel | None,
    shared_filters: bool,
) -> Call:
    """Check the tensors of a (transposed, guided) convolution; weight and window agree already."""
    expect_image(operator, "input", input)
    expect_tensor(operator, "weight", weight, like=input, like_name="input")
    channels = input.shape[1]
    if shared_filters:
        if tuple(weight.shape[:2]) != (1, 1):
            raise ValueError(
                f"{operator}: got weight {tuple(weight.shape)}, expected (1, 1, k_h, k_w) with shared_filters"
            )
        outputs = channels
    else:
        in_axis = 0 if window.transposed else 1
        if weight.shape[in_axis] != channels:
            raise ValueError(
                f"{operator}: got weight {tuple(weight.shape)} of {weight.shape[in_axis]} input channels, expected "
                f"{channels} (input is {tuple(input.shape)})"
            )
        outputs = weight.shape[1 - in_axis]
    if bias is not None:
        expect_tensor(operator, "bias", bias, like=input, like_name="input")
        if tuple(bias.shape) != (outputs,):
            raise ValueError(f"{operator}: got bias {tuple(bias.shape)}, expected ({outputs},)")
    return _with_kernel_or_guide(
        operator, input, kernel, guide, mask, {"weight": weight, "bias": bias}, window, adapting, shared_filters
    )


def pooling(
    operator: str,
    input: Tensor,
    kernel: Tensor | None,
    guide: Tensor | None,
    mask: Tensor | None,
    *,
    window: Window,
    adapting: AdaptingKernel | None,
) -> Call:
    """Check the tensors of a (guided) pooling."""
    expect_image(operator, "input", input)
    if adapting is not None and guide is not None and adapting.channel_wise and guide.shape[1] != input.shape[1]:
        raise ValueError(
            f"{operator}: got guide of {guide.shape[1]} channels with channel_wise, expected {input.shape[1]} "
            f"(input is {tuple(input.shape)})"
        )
    return _with_kernel_or_guide(operator, input, kernel, guide, mask, {}, window, adapting, None)


def mean_field_update(
    base: Tensor,
    beliefs: Tensor,
    kernel: Tensor,
    weight: Tensor,
    *,
    window: Window,
    shared_filters: bool,
    message_weight: float,
) -> Call:
    """Check the arguments of `mean_field_update`; weight and window agree already."""
    operator = "mean_field_update"
    expect_image(operator, "base", base)
    expect_image(operator, "beliefs", beliefs)
    expect_tensor(operator, "beliefs", beliefs, like=base, like_name="base")
    if beliefs.shape != base.shape:
        raise ValueError(f"{operator}: got beliefs {tuple(beliefs.shape)}, expected {tuple(base.shape)} as base")
    expect_tensor(operator, "weight", weight, like=base, like_name="base")
    channels = 1 if shared_filters else base.shape[1]
    if tuple(weight.shape[:2]) != (channels, channels):
        raise ValueError(
            f"{operator}: got weight {tuple(weight.shape)}, expected ({channels}, {channels}, k_h, k_w) "
            + ("with shared_filters" if shared_filters else f"(base is {tuple(base.shape)})")
        )
    size: Pair = (base.shape[2], base.shape[3])
    output_size = window.output_size(size)
    if output_size != size:
        raise ValueError(
            f"{operator}: got padding {window.padding}, which gives an output of {output_size[0]} x {output_size[1]} "
            f"pixels, expected one of {size[0]} x {size[1]} as base (kernel_size {window.kernel_size}, dilation "
            f"{window.dilation})"
        )
    if not isinstance(message_weight, (int, float)) or isinstance(message_weight, bool):
        raise TypeError(f"{operator}: got message_weight of type {type(message_weight).__name__}, expected float")
    tensors = {
        "base": base,
        "beliefs": beliefs,
        "kernel": _kernel(operator, kernel, base, window, output_size, "base"),
        "weight": weight,
    }
    return Call(operator, tensors, window, None, shared_filters, float(message_weight))


def filter_size(operator: str, weight: Tensor) -> Pair:
    """Kernel size by the weight's last two axes."""
    expect_floating(operator, "weight", weight)
    if weight.dim() != 4:
        raise ValueError(f"{operator}: got weight {tuple(weight.shape)}, expected 4 dimensions")
    return weight.shape[2], weight.shape[3]


def guide_of(operator: str, guide: Tensor) -> Tensor:
    """A checked guide (N, G, H, W)."""
    expect_image(operator, "guide", guide)
    return guide


def _with_kernel_or_guide(
    operator: str,
    input: Tensor,
    kernel: Tensor | None,
    guide: Tensor | None,
    mask: Tensor | None,
    parameters: dict[str, Tensor | None],
    window: Window,
    adapting: AdaptingKernel | None,
    shared_filters: bool | None,
) -> Call:
    size: Pair = (input.shape[2], input.shape[3])
    output_size = _output_size(operator, window, size, "input")
    tensors: dict[str, Tensor | None] = {"input": input}
    if adapting is None:
        tensors["kernel"] = _kernel(operator, kernel, input, window, output_size)
        return Call(operator, tensors | parameters, window, None, shared_filters)
    if guide is None:
        raise ValueError(f"{operator}: got no guide, expected a tensor (N, G, H, W)")
    expected = (input.shape[0], *(output_size if window.transposed else size))
    if (guide.shape[0], *guide.shape[2:]) != expected:
        raise ValueError(
            f"{operator}: got guide {tuple(guide.shape)}, expected ({expected[0]}, G, {expected[1]}, {expected[2]}) "
            f"(input is {tuple(input.shape)})"
        )
    expect_guide_dtype(operator, "guide", guide, input)
    tensors |= {"guide": guide, **parameters, "mask": _mask(operator, mask, guide, size)}
    return Call(operator, tensors, window, adapting, shared_filters)


def _kernel(
    operator: str, kernel: Tensor | None, image: Tensor, window: Window, output_size: Pair, name: str = "input"
) -> Tensor:
    """A checked kernel for an image (N, C, H, W), which is the argument of that name."""
    if not isinstance(kernel, Tensor):
        raise TypeError(f"{operator}: got kernel of type {type(kernel).__name__}, expected torch.Tensor")
    channels = (1, image.shape[1]) if operator == "pacpool2d" else (1,)
    expected = (image.shape[0], *window.kernel_size, *output_size)
    if kernel.dim() != 6 or (kernel.shape[0], *kernel.shape[2:]) != expected or kernel.shape[1] not in channels:
        one_or_c = " or ".join(map(str, dict.fromkeys(channels)))
        raise ValueError(
            f"{operator}: got kernel {tuple(kernel.shape)}, expected ({expected[0]}, {one_or_c}, "
            f"{', '.join(map(str, expected[1:]))}) ({name} is {tuple(image.shape)})"
        )
    expect_guide_dtype(operator, "kernel", kernel, image, name)
    return kernel


def _mask_size(operator: str, guide: Tensor, window: Window) -> Pair:
    """Size of the mask, which is the input's, by the guide's."""
    if not window.transposed:
        return guide.shape[2], guide.shape[3]
    height, width = window.transposed_input_size((guide.shape[2], guide.shape[3]))
    if height != int(height) or width != int(width) or height < 1 or width < 1:
        raise ValueError(
            f"{operator}: got guide {tuple(guide.shape)} for a transposed window of kernel_size {window.kernel_size}, "
            f"stride {window.stride}, padding {window.padding}, output_padding {window.output_padding}, dilation "
            f"{window.dilation}, expected the size of that operator's output"
        )
    return int(height), int(width)


def _mask(operator: str, mask: Tensor | None, guide: Tensor, size: Pair) -> Tensor | None:
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise TypeError(f"{operator}: got mask of type {type(mask).__name__}, expected torch.Tensor")
    if mask.shape[0:1] != guide.shape[0:1] or tuple(mask.shape[1:]) != (1, *size):
        raise ValueError(
            f"{operator}: got mask {tuple(mask.shape)}, expected ({guide.shape[0]}, 1, {size[0]}, {size[1]})"
        )
    if mask.device != guide.device:
        raise ValueError(f"{operator}: got mask on {mask.device}, expected {guide.device} as guide")
    if mask.is_complex():
        raise TypeError(f"{operator}: got mask of dtype {mask.dtype}, expected a real dtype or bool")
    return mask.to(guide.dtype).detach()


def _smooth_kernel(operator: str, guide: Tensor, kind: str, given: Tensor | None) -> Tensor | None:
    size = smooth_kernel_size(kind, operator)
    if size is None:
        if given is not None:
            raise ValueError(f"{operator}: got smooth_kernel with smooth_kernel_type 'none', expected another type")
        return None
    if given is not None:
        given = _parameter(operator, "smooth_kernel", given, guide)
        if given.dim() != 4 or tuple(given.shape) != (1, 1, size, size):
            raise ValueError(
                f"{operator}: got smooth_kernel {tuple(given.shape)}, expected (1, 1, {size}, {size}) "
                f"for smooth_kernel_type {kind!r}"
            )
        return given
    if kind.startswith("full_"):
        raise ValueError(f"{operator}: got no smooth_kernel, expected one for smooth_kernel_type {kind!r}")
    line = torch.tensor([0.25, 0.5, 0.25]) if kind == "gaussian" else torch.full((size,), 1 / size, dtype=torch.float64)
    line = line.to(guide)
    return torch.outer(line, line)[None, None]


def _parameter(operator: str, name: str, parameter: Tensor, guide: Tensor) -> Tensor:
    """A learnt parameter of the adapting kernel in the guide's dtype: a 16-bit layer may meet a float32 guide."""
    expect_floating(operator, name, parameter)
    if parameter.dtype in SIXTEEN_BIT and guide.dtype == torch.float32:
        parameter = parameter.float()
    expect_tensor(operator, name, parameter, like=guide, like_name="guide")
    return parameter


def _output_size(operator: str, window: Window, size: Pair, name: str) -> Pair:
    output_size = window.output_size(size)
    if min(output_size) < 1:
        raise ValueError(
            f"{operator}: got {name} of {size[0]} x {size[1]} pixels, which gives an output of {output_size[0]} x "
            f"{output_size[1]}, expected at least 1 x 1 (kernel_size {window.kernel_size}, stride {window.stride}, "
            f"padding {window.padding}, dilation {window.dilation})"
        )
    return output_size
