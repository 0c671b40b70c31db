"""Calls of the library with torch tensors: dense tensors of one dtype in, new tensors out.

16-bit tensors are computed in float32 and rounded once, at the end. The functions are those that
`pacbench.compiled.ops.FusedComputing` describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pacbench.compiled.encoding import AdaptingCode
from pacbench.compiled.operands import ConvolutionOperands, KernelOperands, MessageOperands, tensors_of
from pacbench.compiled.storage import dense, empty_mask, wide_dtype

from . import library

Tensors = Mapping[str, Tensor | None]

_IN_LIBRARY = {"beliefs": "input"}
"""Names of a message's tensors that the library, to which it is a convolution, calls otherwise."""


def convolution(operands: ConvolutionOperands) -> tuple[Tensor, Tensor]:
    """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""
    input, mask, shape = operands.input, operands.mask, operands.output_shape()
    output, output_mask = _output(input, shape), empty_mask(input, mask, shape)
    made = {"output": output, "output_mask": None if mask is None else output_mask}
    _run("forward", tensors_of(operands), made, _sizes(operands, shape))
    return output.to(input.dtype), output_mask


def convolution_backward(
    grad: Tensor, operands: ConvolutionOperands, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients to the tensors that are wanted."""
    return _gradients("backward", grad, tensors_of(operands), wanted, _sizes(operands, grad.shape))


def mean_field_update(base: Tensor, operands: MessageOperands) -> Tensor:
    """The base + message_weight · the convolution of softmax(beliefs, 1), (N, C, H, W)."""
    output = _output(base, base.shape)
    tensors = {**_message_tensors(operands), "base": base}
    _run("forward", tensors, {"output": output}, _message_sizes(operands, base.shape))
    return output.to(base.dtype)


def mean_field_update_backward(
    grad: Tensor, operands: MessageOperands, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Gradients to beliefs, kernel and weight that are wanted."""
    in_library = {_IN_LIBRARY.get(name, name): tensor for name, tensor in wanted.items()}
    sizes = _message_sizes(operands, grad.shape)
    found = _gradients("backward", grad, _message_tensors(operands), in_library, sizes)
    return {name: found[_IN_LIBRARY.get(name, name)] for name in wanted}


def adapting_kernel(operands: KernelOperands) -> tuple[Tensor, Tensor]:
    """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""
    guide, mask, shape = operands.guide, operands.mask, operands.output_shape()
    output, output_mask = _output(guide, shape), empty_mask(guide, mask, shape)
    made = {"output": output, "output_mask": None if mask is None else output_mask}
    _run("kernel_forward", tensors_of(operands), made, _kernel_sizes(operands, shape))
    return output.to(guide.dtype), output_mask


def adapting_kernel_backward(grad: Tensor, operands: KernelOperands, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients to guide, centres, alpha and lambda that are wanted."""
    return _gradients("kernel_backward", grad, tensors_of(operands), wanted, _kernel_sizes(operands, grad.shape))


def _message_tensors(operands: MessageOperands) -> dict[str, Tensor]:
    return {"input": operands.beliefs, "kernel": operands.kernel, "weight": operands.weight}


def _sizes(operands: ConvolutionOperands, output_shape: Sequence[int]) -> dict[str, float]:
    return {
        **_image_sizes(operands.input, output_shape),
        "shared_filters": int(not operands.mixes_channels),
        "kernel_channels": operands.kernel_channels,
        **operands.window_code.fields(),
        **operands.adapting_code.fields(),
    }


def _message_sizes(operands: MessageOperands, output_shape: Sequence[int]) -> dict[str, float]:
    return {
        **_image_sizes(operands.beliefs, output_shape),
        "kernel_channels": operands.kernel.shape[1],
        **operands.window_code.fields(),
        **AdaptingCode().fields(),
        "softmax": 1,
        "message_weight": operands.message_weight,
    }


def _image_sizes(input: Tensor, output_shape: Sequence[int]) -> dict[str, float]:
    batch, channels, height, width = input.shape
    return {
        "batch": batch,
        "in_channels": channels,
        "out_channels": output_shape[1],
        "height": height,
        "width": width,
        "out_height": output_shape[2],
        "out_width": output_shape[3],
        "message_weight": 1.0,
    }


def _kernel_sizes(operands: KernelOperands, output_shape: Sequence[int]) -> dict[str, float]:
    window, guide = operands.window_code, operands.guide
    height, width = window.mask_size(guide.shape[2], guide.shape[3])
    return {
        "batch": guide.shape[0],
        "height": height,
        "width": width,
        "out_height": output_shape[4],
        "out_width": output_shape[5],
        "kernel_channels": output_shape[1],
        "message_weight": 1.0,
        **window.fields(),
        **operands.adapting_code.fields(),
    }


def _output(leading: Tensor, shape: Sequence[int]) -> Tensor:
    return leading.new_empty(shape, dtype=wide_dtype(leading.dtype))


def _gradients(
    operation: str, grad: Tensor, tensors: Tensors, wanted: Mapping[str, Tensor], sizes: Mapping[str, float]
) -> dict[str, Tensor]:
    """New gradients to the tensors that are wanted; zero where the batch is empty."""
    if not sizes["batch"]:
        return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
    found = {name: tensor.new_empty(tensor.shape, dtype=wide_dtype(grad.dtype)) for name, tensor in wanted.items()}
    made = {f"grad_{name}": gradient for name, gradient in found.items()}
    _run(operation, {**tensors, "grad_output": grad}, made, sizes)
    return found


def _run(operation: str, tensors: Tensors, made: Tensors, sizes: Mapping[str, float]) -> None:
    """Call the library, whose tensors are dense and of one dtype; it writes all of `made`."""
    if not sizes["batch"]:
        return
    dtype = next(tensor for tensor in made.values() if tensor is not None).dtype
    # `given` keeps the copies alive until the call returns.
    given = {name: dense(tensor, dtype) for name, tensor in tensors.items() if tensor is not None}
    pointers = {name: tensor.data_ptr() for name, tensor in {**given, **made}.items() if tensor is not None}
    guide, alpha, exponent = given.get("guide"), given.get("inv_alpha"), given.get("inv_lambda")
    call = library.PacCall(
        **sizes,
        **pointers,
        guide_channels=0 if guide is None else guide.shape[1],
        alpha_count=1 if alpha is None else alpha.numel(),
        lambda_count=1 if exponent is None else exponent.numel(),
        threads=library.threads(),
    )
    library.current().run(operation, dtype, call)
