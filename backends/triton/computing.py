"""The ops of `ops.py` by launches of the kernels: dense tensors in, new tensors out.

16-bit tensors are read and written as they are; sums are float32. Arguments are those of the ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pacbench.compiled.encoding import AdaptingCode, WindowCode, out_channels

from . import walks
from .launching import Launch

DIFFERENTIATED = ("input", "guide", "centres", "kernel", "weight", "bias", "inv_alpha", "inv_lambda")
"""Tensors of a convolution that have a gradient, in the order of the backward op's results."""

GIVEN = 2
"""The number of an adapting kernel that is given, beside those of `pacbench.compiled.encoding.FORMS`."""


class Adapting:
    """The adapting kernel of a call: its tensors and its form, as keyword arguments of kernels.

    Centres that are None are the guide itself.
    """

    def __init__(
        self,
        window: WindowCode,
        code: AdaptingCode,
        accumulator: torch.dtype,
        guide: Tensor | None,
        centres: Tensor | None,
        mask: Tensor | None,
        inv_alpha: Tensor | None,
        inv_lambda: Tensor | None,
        given: Tensor | None = None,
    ) -> None:
        self.window, self.code, self.accumulator = window, code, accumulator
        self.forward_walk = walks.forward(window.window)
        self.guide, self.mask, self.given = _dense(guide), _dense(mask), _dense(given)
        self.centres = self.guide if centres is None else _dense(centres)
        self.inv_alpha, self.inv_lambda = _dense(inv_alpha), _dense(inv_lambda)
        self.form = GIVEN if given is not None else code.form
        self.channel_wise = bool(code.channel_wise) if given is None else given.shape[1] > 1
        self.scaled = given is None and (bool(code.normalize) or mask is not None)
        self.scale: Tensor | None = None
        self.output_mask: Tensor | None = None
        if self.scaled:
            self._sum_over_windows()

    def _sum_over_windows(self) -> None:
        """What K is divided by, and which windows hold anything valid."""
        sizes = self.alone()
        plane = self._centres().shape[2:]
        images = self._images()
        self.scale = self._guide().new_empty((images, *plane), dtype=self.accumulator)
        batch = self._guide().shape[0]
        if self.mask is not None:
            self.output_mask = self._guide().new_empty((batch, 1, *plane), dtype=torch.bool)
        bytes_of_mask = None if self.output_mask is None else self.output_mask.view(torch.int8)
        Launch("window_sums", self.scale, self.accumulator).over(
            plane, images, guide_channels=sizes["guide_channels"]
        ).run(scale=self.scale, output_mask=bytes_of_mask, NORMALIZE=bool(self.code.normalize), **sizes)

    def _guide(self) -> Tensor:
        if self.guide is None:
            raise ValueError("triton: got no guide, expected one where no kernel is given")
        return self.guide

    def _centres(self) -> Tensor:
        return self._guide() if self.centres is None else self.centres

    def _images(self) -> int:
        batch, channels = self._guide().shape[:2]
        return batch * channels if self.channel_wise else batch

    def steps(self) -> tuple[int, int]:
        """How far apart the parameters of two channels are: 0 where all share one."""
        shared = (self.inv_alpha is None or self.inv_alpha.numel() == 1,
                  self.inv_lambda is None or self.inv_lambda.numel() == 1)  # fmt: skip
        return int(not shared[0]), int(not shared[1])

    def alone(self) -> dict[str, Any]:
        """Arguments of the kernels of `kernel_alone.py` and `guide_gradient.py`."""
        guide, centres = self._guide(), self._centres()
        channels = guide.shape[1]
        alpha_step, exponent_step = self.steps()
        height, width = self.window.mask_size(guide.shape[2], guide.shape[3])
        return {
            "guide": guide,
            "centres": centres,
            "mask": self.mask,
            "alpha": self.inv_alpha,
            "exponent": self.inv_lambda,
            "group": channels if self.channel_wise else 1,
            "guide_channels": 1 if self.channel_wise else channels,
            "alpha_step": alpha_step,
            "exponent_step": exponent_step,
            "guide_height": guide.shape[2],
            "guide_width": guide.shape[3],
            "height": centres.shape[2],
            "width": centres.shape[3],
            "input_height": height,
            "input_width": width,
            "ROWS": tuple(self.forward_walk.rows),
            "COLUMNS": tuple(self.forward_walk.columns),
            "FORM": self.code.form,
            "ASYMMETRIC": bool(self.code.asymmetric),
        }

    def along(self, walk: walks.Walk, *, forward: bool) -> dict[str, Any]:
        """Arguments of the kernels that compute K on the fly."""
        guide, centres = self.guide, self.centres
        fixed, moving = (centres, guide) if forward else (guide, centres)
        return {
            "given": self.given,
            "fixed": fixed,
            "moving": moving,
            "scale": self.scale,
            "mask": self.mask if self.given is None else None,
            "alpha": self.inv_alpha,
            "exponent": self.inv_lambda,
            "guide_channels": 1 if guide is None else guide.shape[1],
            "fixed_height": 1 if fixed is None else fixed.shape[2],
            "fixed_width": 1 if fixed is None else fixed.shape[3],
            "moving_height": 1 if moving is None else moving.shape[2],
            "moving_width": 1 if moving is None else moving.shape[3],
            "ROWS": tuple(walk.rows),
            "COLUMNS": tuple(walk.columns),
            "FORM": self.form,
            "ASYMMETRIC": bool(self.code.asymmetric),
            "FORWARD": forward,
            "FIXED_IS_TARGET": walk.fixed_is_target,
            "MOVING_IS_SOURCE": walk.moving_is_source,
        }

    def values(self, dtype: torch.dtype | None = None) -> Tensor:
        """K itself, (N, 1 or G, k_h, k_w, H', W')."""
        guide, plane = self._guide(), self._centres().shape[2:]
        shape = (guide.shape[0], guide.shape[1] if self.channel_wise else 1, *self.window[:2], *plane)
        output = guide.new_empty(shape, dtype=dtype or self.accumulator)
        arguments = self.alone()
        Launch("adapting_kernel", output, self.accumulator).over(
            plane, self._images(), guide_channels=arguments["guide_channels"]
        ).run(output=output, scale=self.scale, ONLY_INSIDE=self.scaled, **arguments)
        return output

    def gradients(self, grad: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Gradients to guide, centres, inv_alpha and inv_lambda by that to K, those that are named."""
        guide, centres, arguments = self._guide(), self._centres(), self.alone()
        plane, images = centres.shape[2:], self._images()
        normalize = bool(self.code.normalize)
        shares = grad.new_empty((images, *plane), dtype=self.accumulator) if normalize else None
        common = {**arguments, "grad": _dense(grad), "scale": self.scale, "shares": shares,
                  "NORMALIZE": normalize, "ONLY_INSIDE": self.scaled}  # fmt: skip
        channels = arguments["guide_channels"]
        to_centres = torch.empty_like(centres, dtype=self.accumulator)
        launch = Launch("centre_gradient", to_centres, self.accumulator).over(
            plane, images, guide_channels=channels, blocks_of_guide=True
        )
        inverse = self.code.form == 1
        sums = [grad.new_empty(launch.tiles * images, dtype=torch.float64) for _ in range(2 if inverse else 0)]
        to_alpha, to_exponent = sums or (None, None)
        launch.run(grad_centres=to_centres, grad_alpha=to_alpha, grad_exponent=to_exponent, **common)
        found: dict[str, Tensor] = {}
        if "guide" in names:
            to_guide = torch.empty_like(guide, dtype=self.accumulator)
            Launch("tap_gradient", to_guide, self.accumulator).over(
                guide.shape[2:], images, guide_channels=channels, blocks_of_guide=True
            ).run(grad_guide=to_guide, **common)
            found["guide"] = to_guide + to_centres if self.centres is self.guide else to_guide
        if "centres" in names:
            found["centres"] = to_centres
        for name, parts in (("inv_alpha", to_alpha), ("inv_lambda", to_exponent)):
            if name in names and parts is not None:
                parameter = getattr(self, name)
                by_group = parts.view(guide.shape[0], arguments["group"], -1)
                found[name] = by_group.sum((0, 2)) if parameter.numel() > 1 else by_group.sum().expand(1)
        return found


class Convolution:
    """A convolution, a transposed one, one with shared filters or, without a weight, a pooling."""

    def __init__(
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
    ) -> None:
        self.window, code = WindowCode(*window), AdaptingCode(*adapting)
        self.input = input.contiguous()
        self.accumulator = accumulator_of(input)
        self.summed = weight is None or shared_filters
        self.out_channels = out_channels(input, weight, self.window, shared_filters)
        self.out_size = self.window.output_size(input.shape[2], input.shape[3])
        self.weight, self.bias = weight, _dense(bias)
        self.adapting = Adapting(
            self.window, code, self.accumulator, guide, centres, mask, inv_alpha, inv_lambda, kernel
        )  # fmt: skip

    def output(self, base: Tensor | None = None, message_weight: float = 1.0) -> Tensor:
        """The operator's output, (N, O, H', W'); added to a base where there is one."""
        shape = (self.input.shape[0], self.out_channels, *self.out_size)
        output = self.input.new_empty(shape) if base is None else torch.empty_like(base)
        walk = walks.forward(self.adapting.window.window)
        if self.summed:
            self._sum(self.input, output, walk, forward=True, bias=self.bias)
            return output
        # A number would reach the kernel in float32; in the filter it has the filter's precision.
        packed = self._packed(forward=True)
        packed = packed if message_weight == 1.0 else packed * message_weight
        self._contract(self.input, packed, output, walk, forward=True, base=base, bias=self.bias)
        return output

    def grad_input(self, grad: Tensor) -> Tensor:
        """The gradient to the input."""
        output = self.input.new_empty(self.input.shape)
        walk = walks.backward(self.window.window)
        if self.summed:
            self._sum(grad, output, walk, forward=False, bias=None)
            return output
        packed = self._packed(forward=False)
        self._contract(grad, packed, output, walk, forward=False, base=None, bias=None)
        return output

    def grad_kernel(self, grad: Tensor, dtype: torch.dtype) -> Tensor:
        """The gradient to K, (N, 1 or C, k_h, k_w, H', W')."""
        channels = self.input.shape[1] if self.adapting.channel_wise else 1
        shape = (self.input.shape[0], channels, *self.window[:2], *self.out_size)
        transposed = bool(self.window.transposed)
        # Taps that meet an inserted zero have no gradient, and no near pixel that would write it.
        output = self.input.new_zeros(shape, dtype=dtype) if transposed else self.input.new_empty(shape, dtype=dtype)
        if self.summed:
            self._sum_gradient(grad, output, None, None)
            return output
        walk, (near, far) = self._near_and_far(grad)
        Launch("kernel_gradient", near, self.accumulator, wide=(output, far)).over(
            near.shape[2:], near.shape[0], inner=near.shape[1], outer=far.shape[1]
        ).run(
            near=near, far=far, weight=self._packed(forward=transposed), output=output, ROWS=tuple(walk.rows),
            COLUMNS=tuple(walk.columns), OUTPUT_IS_NEAR=not transposed, **_sizes(near, far, channels=True),
        )  # fmt: skip
        return output

    def grad_weight(self, grad: Tensor) -> Tensor:
        """The gradient to the filter, in the filter's shape."""
        weight = self.weight
        if weight is None:
            raise ValueError("triton: got a gradient wanted to the filter of a pooling, expected none")
        if self.summed:
            given = self.adapting.given if self.adapting.given is not None else self.adapting.values()
            return self._sum_gradient(grad, None, given, weight).view(weight.shape)
        walk, (near, far) = self._near_and_far(grad)
        transposed = bool(self.window.transposed)
        launch = Launch("weight_gradient", self.input, self.accumulator, wide=(near, far)).over_splits(
            near.shape[2:], near.shape[0], walk.taps, near=near.shape[1], far=far.shape[1],
            guide_channels=1 if self.adapting.guide is None else self.adapting.guide.shape[1],
        )  # fmt: skip
        shape = (launch.splits, *self.window[:2], far.shape[1], near.shape[1])
        partial = self.input.new_empty(shape, dtype=self.accumulator)
        arguments = self.adapting.along(walk, forward=not transposed)
        for name in ("moving_height", "moving_width", "MOVING_IS_SOURCE"):
            del arguments[name]
        arguments["OUTPUT_IS_NEAR"] = arguments.pop("FORWARD")
        arguments["FIXED_IS_NEAR"] = arguments.pop("FIXED_IS_TARGET")
        launch.run(near=near, far=far, partial=partial, **arguments, **_sizes(near, far, channels=True))
        return partial.sum(0).permute(3, 2, 0, 1)

    def gradients(self, grad: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Gradients to the tensors of DIFFERENTIATED that are named."""
        found: dict[str, Tensor] = {}
        if "input" in names:
            found["input"] = self.grad_input(grad)
        if "kernel" in names and self.adapting.given is not None:
            found["kernel"] = self.grad_kernel(grad, self.adapting.given.dtype)
        of_guide = [name for name in ("guide", "centres", "inv_alpha", "inv_lambda") if name in names]
        if of_guide:
            found |= self.adapting.gradients(self.grad_kernel(grad, self.accumulator), of_guide)
        if "weight" in names:
            found["weight"] = self.grad_weight(grad)
        if "bias" in names:
            found["bias"] = grad.sum((0, 2, 3), dtype=self.accumulator)
        return found

    def _packed(self, *, forward: bool) -> Tensor:
        """The filter as (taps, channels of the source, channels of the target), in the input's dtype."""
        if self.weight is None:
            raise ValueError("triton: got no filter, expected one")
        to_source_target = (2, 3, 1, 0) if forward != bool(self.window.transposed) else (2, 3, 0, 1)
        return self.weight.to(self.input.dtype).permute(to_source_target).contiguous()

    def _near_and_far(self, grad: Tensor) -> tuple[walks.Walk, tuple[Tensor, Tensor]]:
        pair = (self.input, grad) if self.window.transposed else (grad, self.input)
        return walks.near(self.window.window), pair

    def _contract(
        self, source: Tensor, packed: Tensor, output: Tensor, walk: walks.Walk, *, forward: bool, **rest: Any
    ) -> None:
        arguments = self.adapting.along(walk, forward=forward)
        Launch("gather_contraction", source, self.accumulator, wide=(output,)).over(
            output.shape[2:], output.shape[0], phases=walk.phases, inner=source.shape[1], outer=output.shape[1],
            guide_channels=arguments["guide_channels"],
        ).run(
            source=source, weight=packed, output=output, source_channels=source.shape[1],
            target_channels=output.shape[1], **_ends(source, output), **arguments, **rest,
        )  # fmt: skip

    def _sum(self, source: Tensor, output: Tensor, walk: walks.Walk, *, forward: bool, bias: Tensor | None) -> None:
        arguments = self.adapting.along(walk, forward=forward)
        alpha_step, exponent_step = self.adapting.steps()
        weight = None if self.weight is None else self.weight.contiguous()
        Launch("gathered_sum", output, self.accumulator, wide=(source,)).over(
            output.shape[2:], output.shape[0], phases=walk.phases, inner=source.shape[1],
            guide_channels=arguments["guide_channels"], blocks_of_channels=True,
        ).run(
            source=source, weight=weight, bias=bias, output=output, channel_count=source.shape[1],
            alpha_step=alpha_step, exponent_step=exponent_step, CHANNEL_WISE=self.adapting.channel_wise,
            **_ends(source, output), **arguments,
        )  # fmt: skip

    def _sum_gradient(
        self, grad: Tensor, grad_kernel: Tensor | None, kernel: Tensor | None, filtered: Tensor | None
    ) -> Tensor:
        """Write the gradient to K, or return that to the shared filter, (taps,)."""
        walk, (near, far) = self._near_and_far(grad)
        images, channels = near.shape[:2]
        if self.adapting.channel_wise:
            images, channels = images * channels, 1
        launch = Launch("sum_gradient", near, self.accumulator, wide=(near, far)).over(
            near.shape[2:], images, inner=channels
        )
        partial = None
        if filtered is not None:
            partial = near.new_empty((launch.tiles * images, walk.taps), dtype=self.accumulator)
        launch.run(
            near=near, far=far, weight=None if self.weight is None else self.weight.contiguous(), kernel=kernel,
            grad_kernel=grad_kernel, partial=partial, channel_count=channels, ROWS=tuple(walk.rows),
            COLUMNS=tuple(walk.columns), OUTPUT_IS_NEAR=not self.window.transposed, **_sizes(near, far),
        )  # fmt: skip
        return near if partial is None else partial.sum(0)


def convolution(*arguments: Any) -> tuple[Tensor, Tensor]:
    """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""
    problem = Convolution(*arguments)
    return problem.output(), _mask_or_empty(problem.adapting, problem.input)


def convolution_backward(grad: Tensor, *arguments: Any) -> list[Tensor]:
    """Gradients to the tensors of DIFFERENTIATED that are wanted, in that order."""
    *operands, wanted = arguments
    tensors = [*operands[:3], *operands[4:9]]
    names = [name for name, want in zip(DIFFERENTIATED, wanted, strict=True) if want]
    given = {name: tensor for name, tensor in zip(DIFFERENTIATED, tensors, strict=True) if name in names}
    return _in_order(Convolution(*operands).gradients(grad.contiguous(), names), given)


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
    problem = _alone(guide, centres, mask, inv_alpha, inv_lambda, window, adapting)
    return problem.values(guide.dtype), _mask_or_empty(problem, guide)


def adapting_kernel_backward(grad: Tensor, *arguments: Any) -> list[Tensor]:
    """Gradients to guide, centres, inv_alpha and inv_lambda that are wanted, in that order."""
    *operands, wanted = arguments
    names = ("guide", "centres", "inv_alpha", "inv_lambda")
    tensors = dict(zip(names, [*operands[:2], *operands[3:5]], strict=True))
    given = {name: tensors[name] for name, want in zip(names, wanted, strict=True) if want}
    return _in_order(_alone(*operands).gradients(grad, list(given)), given)


def mean_field_update(
    base: Tensor, beliefs: Tensor, kernel: Tensor, weight: Tensor, window: Sequence[int], message_weight: float
) -> Tensor:
    """The base + message_weight · the convolution of softmax(beliefs, 1), (N, C, H, W): no message is stored."""
    problem = _of_probabilities(beliefs, kernel, weight, window)
    return problem.output(base.contiguous(), message_weight)


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
    problem = _of_probabilities(beliefs, kernel, weight, window)
    names = [name for name, want in zip(("input", "kernel", "weight"), wanted, strict=True) if want]
    scaled = grad.to(problem.input.dtype).contiguous() * message_weight
    found = problem.gradients(scaled, names)
    if "input" in found:
        probabilities = problem.input
        weighted = found["input"] * probabilities
        found["input"] = weighted - probabilities * weighted.sum(1, keepdim=True)
    return _in_order(found, {"input": beliefs, "kernel": kernel, "weight": weight})


def accumulator_of(leading: Tensor) -> torch.dtype:
    """What is summed in, by the dtype of the tensor that leads a call."""
    return torch.float64 if leading.dtype is torch.float64 else torch.float32


def _of_probabilities(beliefs: Tensor, kernel: Tensor, weight: Tensor, window: Sequence[int]) -> Convolution:
    """The message's convolution; 16-bit beliefs give float32 probabilities, so that none is rounded on the way."""
    probabilities = beliefs.to(accumulator_of(beliefs)).softmax(1)
    return Convolution(probabilities, None, None, None, kernel, weight, None, None, None, window, [], False)


def _alone(
    guide: Tensor,
    centres: Tensor | None,
    mask: Tensor | None,
    inv_alpha: Tensor | None,
    inv_lambda: Tensor | None,
    window: Sequence[int],
    adapting: Sequence[int],
) -> Adapting:
    code = AdaptingCode(*adapting)
    return Adapting(WindowCode(*window), code, accumulator_of(guide), guide, centres, mask, inv_alpha, inv_lambda)


def _mask_or_empty(adapting: Adapting, like: Tensor) -> Tensor:
    return like.new_empty((0,), dtype=torch.bool) if adapting.output_mask is None else adapting.output_mask


def _in_order(found: dict[str, Tensor], given: dict[str, Tensor | None]) -> list[Tensor]:
    """The gradients in the order and with the dtypes of the tensors that they go to."""
    return [
        found[name].to(tensor.dtype).contiguous()
        for name, tensor in given.items()
        if name in found and tensor is not None
    ]


def _dense(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _ends(source: Tensor, target: Tensor) -> dict[str, int]:
    return {
        "source_height": source.shape[2],
        "source_width": source.shape[3],
        "target_height": target.shape[2],
        "target_width": target.shape[3],
    }


def _sizes(near: Tensor, far: Tensor, channels: bool = False) -> dict[str, int]:
    sizes = {
        "near_height": near.shape[2],
        "near_width": near.shape[3],
        "far_height": far.shape[2],
        "far_width": far.shape[3],
    }
    return sizes | ({"near_channels": near.shape[1], "far_channels": far.shape[1]} if channels else {})
