"""Where faults are planted: around the arguments and outputs of `unfold`'s operators, and in their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pacbench.backends.unfold import UnfoldBackend

Given = dict[str, Any]
Change = Callable[[Tensor], Tensor]


class Faulty(UnfoldBackend):
    """`unfold`, its four unfused operators (which serve the guided ones too) open to changes."""

    summary = "a planted fault"

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.name = cls.__name__

    def arguments(self, operator: str, given: Given) -> Given:
        """What `unfold` is given instead of the operator's arguments."""
        return given

    def output(self, operator: str, output: Tensor, given: Given) -> Tensor:
        """What is returned instead of `unfold`'s kernel or output; `given` is what `unfold` was given."""
        return output

    def packernel2d(self, guide, mask, *, window, adapting):
        given = {"guide": guide, "mask": mask, "window": window, "adapting": adapting}
        given = self.arguments("packernel2d", given)
        kernel, output_mask = super().packernel2d(**given)
        return self.output("packernel2d", kernel, given), output_mask

    def pacconv2d(self, input, kernel, weight, bias, *, window, shared_filters):
        given = {"input": input, "kernel": kernel, "weight": weight, "bias": bias}
        given = self.arguments("pacconv2d", given | {"window": window, "shared_filters": shared_filters})
        return self.output("pacconv2d", super().pacconv2d(**given), given)

    def pacconv_transpose2d(self, input, kernel, weight, bias, *, window, shared_filters):
        given = {"input": input, "kernel": kernel, "weight": weight, "bias": bias}
        given = self.arguments("pacconv_transpose2d", given | {"window": window, "shared_filters": shared_filters})
        return self.output("pacconv_transpose2d", super().pacconv_transpose2d(**given), given)

    def pacpool2d(self, input, kernel, *, window):
        given = self.arguments("pacpool2d", {"input": input, "kernel": kernel, "window": window})
        return self.output("pacpool2d", super().pacpool2d(**given), given)


def tensors_of(given: Given) -> dict[str, Tensor]:
    """The tensors among a call's arguments."""
    return {name: value for name, value in given.items() if isinstance(value, Tensor)}


def with_each_tensor(given: Given, change: Change) -> Given:
    """The arguments, each tensor changed."""
    return given | {name: change(tensor) for name, tensor in tensors_of(given).items()}


def leading(given: Given) -> Tensor:
    """The input, or the guide of `packernel2d`."""
    return next(iter(tensors_of(given).values()))


class _ChangedGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor, change):
        ctx.change = change
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.change(gradient), None


def with_gradient(tensor: Tensor | None, change: Change) -> Tensor | None:
    """The tensor, the gradient that flows back through it changed."""
    return None if tensor is None else _ChangedGradient.apply(tensor, change)
