"""Calls of the library with torch tensors: dense tensors of one dtype in, new tensors out.

16-bit tensors are computed in float32 and rounded once, at the end. Arguments are those of the ops in `ops.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pacbench.compiled.encoding import AdaptingCode, WindowCode, out_channels

from . import library

DIFFERENTIATED = ("input", "guide", "centres", "kernel", "weight", "bias", "inv_alpha", "inv_lambda")
"""Tensors of a convolution that have a gradient, in the order of the backward op's results."""

KERNEL_DIFFERENTIATED = ("guide", "centres", "inv_alpha", "inv_lambda")
"""The same for the adapting kernel alone."""

Tensors = Mapping[str, Tensor | None]


def convolution(
    input: Tensor,
    guide: Tensor | None,
    centres: Tensor | None,
    mask: Tensor | None,
    kernel: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    window: Sequence[int],
    adapting: Sequence[int],
    shared_filters: bool,
) -> tuple[Tensor, Tensor]:
    """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""
    code = WindowCode(*window)
    shape = (
        input.shape[0],
        out_channels(input, weight, code, shared_filters),
        *code.output_size(input.shape[2], input.shape[3]),
    )
    output, output_mask = _outputs(input, shape, mask)
    tensors = {
        "input": input,
        "guide": guide,
        "centres": centres,
        "mask": mask,
        "kernel": kernel,
        "weight": weight,
        "bias": bias,
        "inv_alpha": inv_alpha,
        "inv_lambda": inv_lambda,
    }
    made = {"output": output, "output_mask": None if mask is None else output_mask}
    sizes = _sizes(input, shape, kernel, code, AdaptingCode(*adapting), weight is None or shared_filters)
    _run("forward", tensors, made, sizes)
    return output.to(input.dtype), output_mask


def convolution_backward(
    grad: Tensor,
    input: Tensor,
    guide: Tensor | None,
    centres: Tensor | None,
    mask: Tensor | None,
    kernel: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    window: Sequence[int],
    adapting: Sequence[int],
    shared_filters: bool,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Gradients to the tensors of DIFFERENTIATED that are wanted, in that order."""
    tensors = {
        "input": input,
        "guide": guide,
        "centres": centres,
        "mask": mask,
        "kernel": kernel,
        "weight": weight,
        "bias": bias,
        "inv_alpha": inv_alpha,
        "inv_lambda": inv_lambda,
        "grad_output": grad,
    }
    code = WindowCode(*window)
    sizes = _sizes(input, grad.shape, kernel, code, AdaptingCode(*adapting), weight is None or shared_filters)
    return _gradients("backward", tensors, DIFFERENTIATED, wanted, sizes)


def mean_field_update(
    base: Tensor,
    beliefs: Tensor,
    kernel: Tensor,
    weight: Tensor,
    window: Sequence[int],
    message_weight: float,
) -> Tensor:
    """The base + message_weight · the convolution of softmax(beliefs, 1), (N, C, H, W)."""
    output, _ = _outputs(base, base.shape, None)
    tensors = {"input": beliefs, "kernel": kernel, "weight": weight, "base": base}
    sizes = _sizes(beliefs, base.shape, kernel, WindowCode(*window), AdaptingCode(), False)
    _run("forward", tensors, {"output": output}, {**sizes, "softmax": 1, "message_weight": message_weight})
    return output.to(base.dtype)


def mean_field_update_backward(
    grad: Tensor,
    beliefs: Tensor,
    kernel: Tensor,
    weight: Tensor,
    window: Sequence[int],
    message_weight: float,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Gradients to beliefs, kernel and weight that are wanted, in that order; that to the base is `grad`."""
    tensors = {"input": beliefs, "kernel": kernel, "weight": weight, "grad_output": grad}
    sizes = _sizes(beliefs, grad.shape, kernel, WindowCode(*window), AdaptingCode(), False)
    sizes = {**sizes, "softmax": 1, "message_weight": message_weight}
    return _gradients("backward", tensors, ("input", "kernel", "weight"), wanted, sizes)


def adapting_kernel(
    guide: Tensor,
    centres: Tensor | None,
    mask: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    window: Sequence[int],
    adapting: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""
    code, form = WindowCode(*window), AdaptingCode(*adapting)
    size = code.kernel_output_size(guide.shape[2], guide.shape[3])
    channels = guide.shape[1] if form.channel_wise else 1
    output, output_mask = _outputs(
        guide, (guide.shape[0], channels, code.kernel_height, code.kernel_width, *size), mask
    )
    tensors = {"guide": guide, "centres": centres, "mask": mask, "inv_alpha": inv_alpha, "inv_lambda": inv_lambda}
    made = {"output": output, "output_mask": None if mask is None else output_mask}
    _run("kernel_forward", tensors, made, _kernel_sizes(guide, channels, size, code, form))
    return output.to(guide.dtype), output_mask


def adapting_kernel_backward(
    grad: Tensor,
    guide: Tensor,
    centres: Tensor | None,
    mask: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    window: Sequence[int],
    adapting: Sequence[int],
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Gradients to the tensors of KERNEL_DIFFERENTIATED that are wanted, in that order."""
    tensors = {
        "guide": guide,
        "centres": centres,
        "mask": mask,
        "inv_alpha": inv_alpha,
        "inv_lambda": inv_lambda,
        "grad_output": grad,
    }
    size = (grad.shape[4], grad.shape[5])
    sizes = _kernel_sizes(guide, grad.shape[1], size, WindowCode(*window), AdaptingCode(*adapting))
    return _gradients("kernel_backward", tensors, KERNEL_DIFFERENTIATED, wanted, sizes)


def _sizes(
    input: Tensor,
    output_shape: Sequence[int],
    kernel: Tensor | None,
    window: WindowCode,
    adapting: AdaptingCode,
    shared_filters: bool,
) -> dict[str, float]:
    batch, channels, height, width = input.shape
    kernel_channels = (channels if adapting.channel_wise else 1) if kernel is None else kernel.shape[1]
    return {
        "batch": batch,
        "in_channels": channels,
        "out_channels": output_shape[1],
        "height": height,
        "width": width,
        "out_height": output_shape[2],
        "out_width": output_shape[3],
        "shared_filters": int(shared_filters),
        "kernel_channels": kernel_channels,
        "message_weight": 1.0,
        **window.fields(),
        **adapting.fields(),
    }


def _kernel_sizes(
    guide: Tensor, channels: int, size: tuple[int, int], window: WindowCode, adapting: AdaptingCode
) -> dict[str, float]:
    height, width = window.mask_size(guide.shape[2], guide.shape[3])
    return {
        "batch": guide.shape[0],
        "height": height,
        "width": width,
        "out_height": size[0],
        "out_width": size[1],
        "kernel_channels": channels,
        "message_weight": 1.0,
        **window.fields(),
        **adapting.fields(),
    }


def _scalar(leading: Tensor) -> torch.dtype:
    """What is computed in, by the dtype of the tensor that leads a call."""
    return torch.float64 if leading.dtype is torch.float64 else torch.float32


def _outputs(leading: Tensor, shape: Sequence[int], mask: Tensor | None) -> tuple[Tensor, Tensor]:
    output = leading.new_empty(shape, dtype=_scalar(leading))
    mask_shape = (0,) if mask is None else (shape[0], 1, *shape[-2:])
    return output, leading.new_empty(mask_shape, dtype=torch.bool)


def _gradients(
    operation: str, tensors: Tensors, names: Sequence[str], wanted: Sequence[bool], sizes: Mapping[str, float]
) -> list[Tensor]:
    """New gradients to the tensors of those names that are wanted; zero where the batch is empty."""
    grad = tensors["grad_output"]
    chosen = [(name, tensors[name]) for name, want in zip(names, wanted, strict=True) if want]
    targets = [(name, tensor) for name, tensor in chosen if tensor is not None]
    if grad is None or len(targets) < len(chosen):
        raise ValueError(f"{operation}: got gradients wanted to {chosen}, expected tensors only")
    if not sizes["batch"]:
        return [torch.zeros_like(tensor, memory_format=torch.contiguous_format) for _, tensor in targets]
    made = {f"grad_{name}": tensor.new_empty(tensor.shape, dtype=_scalar(grad)) for name, tensor in targets}
    _run(operation, tensors, made, sizes)
    return [made[f"grad_{name}"].to(tensor.dtype) for name, tensor in targets]


def _dense(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.dtype is dtype and tensor.is_contiguous():
        return tensor
    return tensor.to(dtype).contiguous()


def _run(operation: str, tensors: Tensors, made: Tensors, sizes: Mapping[str, float]) -> None:
    """Call the library, whose tensors are dense and of one dtype; it writes all of `made`."""
    if not sizes["batch"]:
        return
    output = next(tensor for tensor in made.values() if tensor is not None)
    dtype = output.dtype
    # `dense` keeps the copies alive until the call returns.
    dense = {name: _dense(tensor, dtype) for name, tensor in tensors.items() if tensor is not None}
    pointers = {name: tensor.data_ptr() for name, tensor in {**dense, **made}.items() if tensor is not None}
    guide, alpha, exponent = dense.get("guide"), dense.get("inv_alpha"), dense.get("inv_lambda")
    call = library.PacCall(
        **sizes,
        **pointers,
        guide_channels=0 if guide is None else guide.shape[1],
        alpha_count=1 if alpha is None else alpha.numel(),
        lambda_count=1 if exponent is None else exponent.numel(),
        threads=torch.get_num_threads(),
    )
    library.current().run(operation, dtype, call)
