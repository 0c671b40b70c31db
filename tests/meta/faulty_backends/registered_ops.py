"""Backends that serve `pacconv2d` by an op of `torch.library`: a right one, and faults in its registration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench.columns import columns
from pacbench.geometry import Window

from .planting import Faulty

Fake = Callable[..., Tensor]


def _window(kernel: Tensor, stride: Any, padding: Any, dilation: Any) -> Window:
    return Window((kernel.shape[2], kernel.shape[3]), tuple(stride), tuple(padding), dilation=tuple(dilation))


def _output(input, kernel, weight, bias, stride, padding, dilation):
    taps = columns(input, _window(kernel, stride, padding, dilation)) * kernel
    output = torch.einsum("ncklhw,ockl->nohw", taps, weight)
    return (output if bias is None else output + bias.view(1, -1, 1, 1)).contiguous()


def _keep(ctx, inputs, output):
    input, kernel, weight, bias, *ctx.geometry = inputs
    ctx.save_for_backward(input, kernel, weight)
    ctx.biased = bias is not None


def _gradients(ctx, gradient):
    input, kernel, weight = ctx.saved_tensors
    window = _window(kernel, *ctx.geometry)
    taps = columns(input, window)
    of_scaled = torch.einsum("nohw,ockl->ncklhw", gradient, weight)
    of_taps = (of_scaled * kernel).flatten(4).flatten(1, 3)
    of_input = F.fold(of_taps, input.shape[2:], window.kernel_size, window.dilation, window.padding, window.stride)
    of_kernel = (of_scaled * taps).sum(1, keepdim=True)
    of_weight = torch.einsum("nohw,ncklhw->ockl", gradient, taps * kernel)
    of_bias = gradient.sum((0, 2, 3)) if ctx.biased else None
    return of_input, of_kernel, of_weight, of_bias, None, None, None


def _right_fake(input, kernel, weight, bias, stride, padding, dilation):
    return input.new_empty(input.shape[0], weight.shape[0], kernel.shape[4], kernel.shape[5])


def _fake_of_wrong_shape(input, kernel, weight, bias, stride, padding, dilation):
    return input.new_empty(input.shape[0], input.shape[1], kernel.shape[4], kernel.shape[5])


def _fake_of_wrong_dtype(input, kernel, weight, bias, stride, padding, dilation):
    return _right_fake(input, kernel, weight, bias, stride, padding, dilation).float()


def _define(name: str, fake: Fake, *, mutating: bool = False, differentiable: bool = True) -> Any:
    def implementation(
        input: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
    ) -> Tensor:
        output = _output(input, kernel, weight, bias, stride, padding, dilation)
        if mutating:
            input.add_(1)
        return output

    schema = (
        "(Tensor input, Tensor kernel, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation) -> "
        "Tensor"
    )
    op = torch.library.custom_op(f"faulty_backends::{name}", implementation, mutates_args=(), schema=schema)
    op.register_fake(fake)
    if differentiable:
        op.register_autograd(_gradients, setup_context=_keep)
    return op


class Registered(Faulty):
    """No fault: what the others are changed from."""

    summary = "a registered op without a fault"
    capabilities = replace(Faulty.capabilities, dtypes=("float64", "float32"), derivative_order=1)
    op: ClassVar[Any] = _define("pacconv2d", _right_fake)

    def pacconv2d(self, input, kernel, weight, bias, *, window, shared_filters):
        if shared_filters:
            return super().pacconv2d(input, kernel, weight, bias, window=window, shared_filters=True)
        return self.op(input, kernel, weight, bias, list(window.stride), list(window.padding), list(window.dilation))

    def registered_op(self, call):
        if call.operator != "pacconv2d" or call.shared_filters:
            return None
        geometry = (list(call.window.stride), list(call.window.padding), list(call.window.dilation))
        return self.op, (*call.tensors.values(), *geometry), {}


class FakeOfWrongShape(Registered):
    """The fake kernel gives the output the input's channels."""

    op = _define("fake_of_wrong_shape", _fake_of_wrong_shape)


class FakeOfWrongDtype(Registered):
    """The fake kernel says float32 whatever the input."""

    op = _define("fake_of_wrong_dtype", _fake_of_wrong_dtype)


class UndeclaredMutation(Registered):
    """The op writes into its input and its schema does not say so."""

    op = _define("undeclared_mutation", _right_fake, mutating=True)


class NoAutograd(Registered):
    """Declares gradients; the op has none."""

    op = _define("no_autograd", _right_fake, differentiable=False)
