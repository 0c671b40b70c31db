"""The operators and their derivatives as launches of the kernels, on torch tensors.

Arguments are those of the ops in `pacbench.compiled.ops`. Input, weight, bias and output are stored in their own dtype;
guide, centres, mask, alpha and lambda are given to the kernels in the dtype that is computed in (float64, else
float32); a kernel that is given, and its gradient, are stored in either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pacbench.compiled.encoding import AdaptingCode, WindowCode, out_channels

from . import contractions
from .guide_gradients import MADE_OF, GuideGradients, everything
from .launching import Launcher, Launches, tiles, wide_dtype

_DIFFERENTIATED = ("input", "guide", "centres", "kernel", "weight", "bias", "inv_alpha", "inv_lambda")


@dataclass(frozen=True)
class Computing:
    """The functions behind the ops of one backend."""

    launcher: Launcher

    def convolution(
        self,
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
        channels = out_channels(input, weight, code, shared_filters)
        output = input.new_empty((input.shape[0], channels, *code.output_size(input.shape[2], input.shape[3])))
        launches = self._of_operator(
            output, input, guide, centres, mask, kernel, weight, bias, inv_alpha, inv_lambda, code,
            AdaptingCode(*adapting), shared_filters,
        )  # fmt: skip
        launches, output_mask = _with_norms(launches)
        contractions.contract(launches, output, backward=False)
        return output, output_mask

    def convolution_backward(
        self,
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
        """Gradients to input, guide, centres, kernel, weight, bias, alpha and lambda that are wanted, in that order."""
        launches = self._of_operator(
            grad, input, guide, centres, mask, kernel, weight, bias, inv_alpha, inv_lambda, WindowCode(*window),
            AdaptingCode(*adapting), shared_filters,
        )  # fmt: skip
        launches = everything(launches.but({"grad_output": _dense(grad, input.dtype)}))
        tensors = (input, guide, centres, kernel, weight, bias, inv_alpha, inv_lambda)
        asked = _asked(_DIFFERENTIATED, tensors, wanted)
        if asked.keys() - {"bias"}:
            launches, _ = _with_norms(launches)
        # In the dtype that the kernels see: a 16-bit kernel beside a float32 input was widened.
        made = {
            name: tensor.new_empty(tensor.shape, dtype=launches.given(name).dtype)
            for name, tensor in asked.items()
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
        if asked.keys() & set(MADE_OF):
            gradients = GuideGradients(launches, asked)
            for band in gradients.bands:
                contractions.kernel_gradient(launches.but(None, **band._asdict()), gradients.buffer, narrow=False)
                gradients.add(band, gradients.buffer, narrow=False, whole=False)
            made |= gradients.finished()
        return [made[name].to(tensor.dtype) for name, tensor in asked.items()]

    def mean_field_update(
        self,
        base: Tensor,
        beliefs: Tensor,
        kernel: Tensor,
        weight: Tensor,
        window: Sequence[int],
        message_weight: float,
    ) -> Tensor:
        """The base + message_weight * the convolution of softmax(beliefs, 1), (N, C, H, W): no message is stored."""
        probabilities = beliefs.to(wide_dtype(beliefs.dtype)).softmax(1)
        output = probabilities.new_empty(base.shape)
        # In the filter, and not as a field of the call, the number has the precision of what is computed in.
        scaled = weight.to(probabilities.dtype) * message_weight
        launches = self._of_operator(
            output, probabilities, None, None, None, kernel, scaled, None, None, None, WindowCode(*window),
            AdaptingCode(), False,
        )  # fmt: skip
        launches = launches.but({"base": _dense(base, output.dtype)})
        contractions.contract(launches, output, backward=False)
        return output.to(base.dtype)

    def mean_field_update_backward(
        self,
        grad: Tensor,
        beliefs: Tensor,
        kernel: Tensor,
        weight: Tensor,
        window: Sequence[int],
        message_weight: float,
        wanted: Sequence[bool],
    ) -> list[Tensor]:
        """Gradients to beliefs, kernel and weight that are wanted, in that order; that to the base is `grad`."""
        probabilities = beliefs.to(wide_dtype(beliefs.dtype)).softmax(1)
        of_beliefs, of_kernel, of_weight = wanted
        found = self.convolution_backward(
            grad.to(probabilities.dtype) * message_weight, probabilities, None, None, None, kernel,
            weight.to(probabilities.dtype), None, None, None, window, (), False,
            (of_beliefs, False, False, of_kernel, of_weight, False, False, False),
        )  # fmt: skip
        if of_beliefs:
            weighted = found[0] * probabilities
            found[0] = weighted - probabilities * weighted.sum(1, keepdim=True)
        asked = [tensor for tensor, want in zip((beliefs, kernel, weight), wanted, strict=True) if want]
        return [gradient.to(tensor.dtype) for gradient, tensor in zip(found, asked, strict=True)]

    def adapting_kernel(
        self,
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
        channels = guide.shape[1] if form.channel_wise else 1
        size = code.kernel_output_size(guide.shape[2], guide.shape[3])
        kernel = guide.new_empty((guide.shape[0], channels, code.kernel_height, code.kernel_width, *size))
        launches = self._of_kernel(kernel, guide, centres, mask, inv_alpha, inv_lambda, code, form)
        launches, output_mask = _with_norms(launches)
        launches.run("adapting_kernel", tiles(size) * channels * guide.shape[0], kernel)
        return kernel, output_mask

    def adapting_kernel_backward(
        self,
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
        """Gradients to guide, centres, alpha and lambda that are wanted, in that order."""
        code, form = WindowCode(*window), AdaptingCode(*adapting)
        launches = self._of_kernel(grad, guide, centres, mask, inv_alpha, inv_lambda, code, form)
        launches, _ = _with_norms(everything(launches))
        asked = _asked(MADE_OF, (guide, centres, inv_alpha, inv_lambda), wanted)
        gradients = GuideGradients(launches, asked)
        dense = _dense(grad, launches.stored)
        for band in gradients.bands:
            gradients.add(band, dense, narrow=True, whole=True)
        made = gradients.finished()
        return [made[name].to(tensor.dtype) for name, tensor in asked.items()]

    def _of_operator(
        self,
        output: Tensor,
        input: Tensor,
        guide: Tensor | None,
        centres: Tensor | None,
        mask: Tensor | None,
        kernel: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        inv_alpha: Tensor | None,
        inv_lambda: Tensor | None,
        window: WindowCode,
        adapting: AdaptingCode,
        shared_filters: bool,
    ) -> Launches:
        """Launches of an operator whose output has the shape of `output`."""
        stored, wide = input.dtype, wide_dtype(input.dtype)
        narrow = kernel is not None and kernel.dtype is stored
        tensors = {
            **_adapting_tensors(wide, guide, centres, mask, inv_alpha, inv_lambda),
            "input": _dense(input, stored),
            "kernel": _optional(kernel, stored if narrow else wide),
            "weight": _optional(weight, stored),
            "bias": _optional(bias, stored),
        }
        kernel_channels = (input.shape[1] if adapting.channel_wise else 1) if kernel is None else kernel.shape[1]
        sizes = {
            **_sizes(output.shape, (input.shape[2], input.shape[3]), window, adapting),
            **_adapting_sizes(guide, inv_alpha, inv_lambda),
            "in_channels": input.shape[1],
            "out_channels": output.shape[1],
            "kernel_channels": kernel_channels,
            "narrow_kernel": int(narrow),
            "shared_filters": int(shared_filters),
        }
        return Launches(self.launcher, stored, tensors, sizes)

    def _of_kernel(
        self,
        output: Tensor,
        guide: Tensor,
        centres: Tensor | None,
        mask: Tensor | None,
        inv_alpha: Tensor | None,
        inv_lambda: Tensor | None,
        window: WindowCode,
        adapting: AdaptingCode,
    ) -> Launches:
        """Launches of `packernel2d`, whose kernel has the shape of `output`."""
        tensors = {
            **_adapting_tensors(wide_dtype(guide.dtype), guide, centres, mask, inv_alpha, inv_lambda),
            "kernel": None,
        }
        input_size = window.mask_size(guide.shape[2], guide.shape[3])
        sizes = {
            **_sizes(output.shape, input_size, window, adapting),
            **_adapting_sizes(guide, inv_alpha, inv_lambda),
            "kernel_channels": output.shape[1],
        }
        return Launches(self.launcher, guide.dtype, tensors, sizes)


def _adapting_tensors(
    wide: torch.dtype,
    guide: Tensor | None,
    centres: Tensor | None,
    mask: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
) -> dict[str, Tensor | None]:
    """What an adapting kernel is made of, in the dtype that is computed in."""
    tensors = {"guide": guide, "centres": centres, "mask": mask, "inv_alpha": inv_alpha, "inv_lambda": inv_lambda}
    return {name: _optional(tensor, wide) for name, tensor in tensors.items()}


def _adapting_sizes(guide: Tensor | None, inv_alpha: Tensor | None, inv_lambda: Tensor | None) -> dict[str, int]:
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


def _asked(names: Sequence[str], tensors: Sequence[Tensor | None], wanted: Sequence[bool]) -> Mapping[str, Tensor]:
    """The tensors whose gradients are wanted, by name."""
    return {
        name: tensor for name, tensor, want in zip(names, tensors, wanted, strict=True) if want and tensor is not None
    }


def _dense(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.dtype is dtype and tensor.is_contiguous():
        return tensor
    return tensor.to(dtype).contiguous()


def _optional(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else _dense(tensor, dtype)
