"""The operators and their derivatives as launches of the kernels, on torch tensors.

The functions are those that `pacbench.compiled.ops.Computing` describes. Input, weight, bias and output are stored in
their own dtype; guide, centres, mask, alpha and lambda are given to the kernels in the dtype that is computed in
(float64, else float32); a kernel that is given, and its gradient, are stored in either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pacbench.compiled.encoding import AdaptingCode, WindowCode
from pacbench.compiled.operands import ConvolutionOperands, KernelOperands, MessageOperands
from pacbench.compiled.storage import dense, wide_dtype

from . import contractions
from .guide_gradients import MADE_OF, GuideGradients, everything
from .launching import Launcher, Launches, tiles


@dataclass(frozen=True)
class Computing:
    """The functions behind the ops of one backend."""

    launcher: Launcher

    def convolution(self, operands: ConvolutionOperands) -> tuple[Tensor, Tensor]:
        """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""
        output = operands.input.new_empty(operands.output_shape())
        launches, output_mask = _with_norms(self._of_operator(output, operands))
        contractions.contract(launches, output, backward=False)
        return output, output_mask

    def convolution_backward(
        self, grad: Tensor, operands: ConvolutionOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients to the tensors that are wanted, in the dtypes that the kernels see."""
        launches = self._of_operator(grad, operands)
        launches = everything(launches.but({"grad_output": dense(grad, operands.input.dtype)}))
        if wanted.keys() - {"bias"}:
            launches, _ = _with_norms(launches)
        # A 16-bit kernel beside a float32 input was widened.
        made = {
            name: tensor.new_empty(tensor.shape, dtype=launches.given(name).dtype)
            for name, tensor in wanted.items()
            if name not in MADE_OF
        }
        if "input" in made:
            contractions.contract(launches, made["input"], backward=True)
        if "kernel" in made:
            contractions.kernel_gradient(launches, made["kernel"], narrow=made["kernel"].dtype is launches.stored)
        if "weight" in made:
            contractions.filter_gradient(launches, made["weight"])
        if "bias" in made:
            contractions.bias_gradient(launches, made["bias"])
        if wanted.keys() & set(MADE_OF):
            gradients = GuideGradients(launches, wanted)
            for band in gradients.bands:
                contractions.kernel_gradient(launches.but(None, **band._asdict()), gradients.buffer, narrow=False)
                gradients.add(band, gradients.buffer, narrow=False, whole=False)
            made |= gradients.finished()
        return made

    def mean_field_update(self, base: Tensor, operands: MessageOperands) -> Tensor:
        """The base + message_weight * the convolution of softmax(beliefs, 1), (N, C, H, W): no message is stored."""
        message = _of_probabilities(operands)
        output = message.input.new_empty(base.shape)
        # In the filter, and not as a field of the call, the number has the precision of what is computed in.
        scaled = message._replace(weight=operands.weight.to(output.dtype) * operands.message_weight)
        launches = self._of_operator(output, scaled).but({"base": dense(base, output.dtype)})
        contractions.contract(launches, output, backward=False)
        return output.to(base.dtype)

    def mean_field_update_backward(
        self, grad: Tensor, operands: MessageOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients to beliefs, kernel and weight that are wanted; that to the base is `grad`."""
        message = _of_probabilities(operands)
        probabilities = message.input
        scaled = grad.to(probabilities.dtype) * operands.message_weight
        asked = {"input" if name == "beliefs" else name: tensor for name, tensor in wanted.items()}
        found = dict(self.convolution_backward(scaled, message, asked))
        if "input" in found:
            weighted = found.pop("input") * probabilities
            found["beliefs"] = weighted - probabilities * weighted.sum(1, keepdim=True)
        return found

    def adapting_kernel(self, operands: KernelOperands) -> tuple[Tensor, Tensor]:
        """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""
        batch, channels, *_, height, width = operands.output_shape()
        kernel = operands.guide.new_empty(operands.output_shape())
        launches, output_mask = _with_norms(self._of_kernel(kernel, operands))
        launches.run("adapting_kernel", tiles((height, width)) * channels * batch, kernel)
        return kernel, output_mask

    def adapting_kernel_backward(
        self, grad: Tensor, operands: KernelOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients to guide, centres, alpha and lambda that are wanted."""
        launches, _ = _with_norms(everything(self._of_kernel(grad, operands)))
        gradients = GuideGradients(launches, wanted)
        gradient = dense(grad, launches.stored)
        for band in gradients.bands:
            gradients.add(band, gradient, narrow=True, whole=True)
        return gradients.finished()

    def _of_operator(self, output: Tensor, operands: ConvolutionOperands) -> Launches:
        """Launches of an operator whose output has the shape of `output`."""
        input, kernel = operands.input, operands.kernel
        stored, wide = input.dtype, wide_dtype(input.dtype)
        narrow = kernel is not None and kernel.dtype is stored
        tensors = {
            **_adapting_tensors(wide, operands),
            "input": dense(input, stored),
            "kernel": dense(kernel, stored if narrow else wide),
            "weight": dense(operands.weight, stored),
            "bias": dense(operands.bias, stored),
        }
        sizes = {
            **_sizes(output.shape, (input.shape[2], input.shape[3]), operands.window_code, operands.adapting_code),
            **_adapting_sizes(operands),
            "in_channels": input.shape[1],
            "out_channels": output.shape[1],
            "kernel_channels": operands.kernel_channels,
            "narrow_kernel": int(narrow),
            "shared_filters": int(operands.shared_filters),
        }
        return Launches(self.launcher, stored, tensors, sizes)

    def _of_kernel(self, output: Tensor, operands: KernelOperands) -> Launches:
        """Launches of `packernel2d`, whose kernel has the shape of `output`."""
        guide, window = operands.guide, operands.window_code
        tensors = {**_adapting_tensors(wide_dtype(guide.dtype), operands), "kernel": None}
        input_size = window.mask_size(guide.shape[2], guide.shape[3])
        sizes = {
            **_sizes(output.shape, input_size, window, operands.adapting_code),
            **_adapting_sizes(operands),
            "kernel_channels": output.shape[1],
        }
        return Launches(self.launcher, guide.dtype, tensors, sizes)


def _of_probabilities(operands: MessageOperands) -> ConvolutionOperands:
    """The message's convolution; 16-bit beliefs give float32 probabilities, so that none is rounded on the way."""
    probabilities = operands.beliefs.to(wide_dtype(operands.beliefs.dtype)).softmax(1)
    weight = operands.weight.to(probabilities.dtype)
    return ConvolutionOperands(
        probabilities, None, None, None, operands.kernel, weight, None, None, None, operands.window, (), False
    )


def _adapting_tensors(wide: torch.dtype, operands: ConvolutionOperands | KernelOperands) -> dict[str, Tensor | None]:
    """What an adapting kernel is made of, in the dtype that is computed in."""
    return {name: dense(getattr(operands, name), wide) for name in (*MADE_OF, "mask")}


def _adapting_sizes(operands: ConvolutionOperands | KernelOperands) -> dict[str, int]:
    guide, inv_alpha, inv_lambda = operands.guide, operands.inv_alpha, operands.inv_lambda
    sizes = {
        "alpha_count": 1 if inv_alpha is None else inv_alpha.numel(),
        "lambda_count": 1 if inv_lambda is None else inv_lambda.numel(),
    }
    if guide is not None:
        sizes |= {"guide_channels": guide.shape[1], "guide_height": guide.shape[2], "guide_width": guide.shape[3]}
    return sizes


def _sizes(
    output_shape: Sequence[int], input_size: tuple[int, int], window: WindowCode, adapting: AdaptingCode
) -> dict[str, int]:
    """Sizes of images and of the window; where the first tap lies, in the input and in the guide."""
    (reach_h, reach_w), transposed = window.reach(), bool(window.transposed)
    padding = (window.padding_height, window.padding_width)
    stride = (window.stride_height, window.stride_width)
    offset = (padding[0] - reach_h, padding[1] - reach_w) if transposed else (-padding[0], -padding[1])
    guide_padding = (reach_h // 2, reach_w // 2) if transposed else padding
    guide_stride = (1, 1) if transposed else stride
    return {
        "batch": output_shape[0],
        "height": input_size[0],
        "width": input_size[1],
        "out_height": output_shape[-2],
        "out_width": output_shape[-1],
        "kernel_height": window.kernel_height,
        "kernel_width": window.kernel_width,
        "dilation_height": window.dilation_height,
        "dilation_width": window.dilation_width,
        "stride_height": stride[0],
        "stride_width": stride[1],
        "transposed": int(transposed),
        "offset_height": offset[0],
        "offset_width": offset[1],
        "guide_stride_height": guide_stride[0],
        "guide_stride_width": guide_stride[1],
        "guide_padding_height": guide_padding[0],
        "guide_padding_width": guide_padding[1],
        **adapting.fields(),
    }


def _with_norms(launches: Launches) -> tuple[Launches, Tensor]:
    """The launches with what a masked or normalised K is divided by, and the output mask (empty without a mask)."""
    sizes, guide, mask = launches.sizes, launches.tensors["guide"], launches.tensors["mask"]
    if guide is None or (mask is None and not sizes["normalize"]):
        leading = launches.tensors["guide"] if guide is not None else launches.given("input")
        return launches, leading.new_empty((0,), dtype=torch.bool)  # type: ignore[union-attr]
    size = (sizes["out_height"], sizes["out_width"])
    norms = guide.new_empty((sizes["batch"], sizes["kernel_channels"], *size))
    output_mask = guide.new_empty((0,) if mask is None else (sizes["batch"], 1, *size), dtype=torch.bool)
    step = (sizes["stride_height"], sizes["stride_width"]) if sizes["transposed"] else (1, 1)
    making = launches.but({"output_mask": None if mask is None else output_mask})
    making.run("kernel_norms", tiles(size, step) * norms.shape[1] * norms.shape[0], norms, of_wide=True)
    return launches.but({"norms": norms}), output_mask
