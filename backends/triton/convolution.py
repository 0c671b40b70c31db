"""Convolutions of all kinds as launches: the output, and the gradients to input, kernel and filter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from pacbench.compiled.operands import ConvolutionOperands
from pacbench.compiled.storage import dense, wide_dtype

from . import walks
from .adapting_kernel import Adapting
from .launching import Launch


class Convolution:
    """A convolution, a transposed one, one with shared filters or, without a weight, a pooling."""

    def __init__(self, operands: ConvolutionOperands) -> None:
        self.window = operands.window_code
        self.input = operands.input.contiguous()
        self.accumulator = wide_dtype(self.input.dtype)
        self.summed = not operands.mixes_channels
        self.output_shape = operands.output_shape()
        self.weight, self.bias = operands.weight, dense(operands.bias)
        self.adapting = Adapting(operands, self.accumulator)

    def output(self, base: Tensor | None = None, message_weight: float = 1.0) -> Tensor:
        """The operator's output, (N, O, H', W'); added to a base where there is one."""
        output = self.input.new_empty(self.output_shape) if base is None else torch.empty_like(base)
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
        shape = (self.input.shape[0], channels, *self.window[:2], *self.output_shape[2:])
        transposed = bool(self.window.transposed)
        # Taps that meet an inserted zero have no gradient, and no near pixel that would write it.
        output = self.input.new_zeros(shape, dtype=dtype) if transposed else self.input.new_empty(shape, dtype=dtype)
        if self.summed:
            self._sum_gradient(grad, output, None, None)
            return output
        walk, (near, far) = self._near_and_far(grad)
        Launch("kernel_gradient", near, self.accumulator).over(
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
        launch = Launch("weight_gradient", self.input, self.accumulator).over_splits(
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

    def gradients(self, grad: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Gradients to the operands that are named."""
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
        Launch("gather_contraction", source, self.accumulator).over(
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
        Launch("gathered_sum", output, self.accumulator).over(
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
        launch = Launch("sum_gradient", near, self.accumulator).over(near.shape[2:], images, inner=channels)
        partial = None
        if filtered is not None:
            partial = near.new_empty((launch.tiles * images, walk.taps), dtype=self.accumulator)
        launch.run(
            near=near, far=far, weight=None if self.weight is None else self.weight.contiguous(), kernel=kernel,
            grad_kernel=grad_kernel, partial=partial, channel_count=channels, ROWS=tuple(walk.rows),
            COLUMNS=tuple(walk.columns), OUTPUT_IS_NEAR=not self.window.transposed, **_sizes(near, far),
        )  # fmt: skip
        return near if partial is None else partial.sum(0)


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
