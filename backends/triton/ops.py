"""The Triton backend's `torch.library` ops: schemas, fake kernels and derivatives.

Each operator is a pair of ops, the way there and its derivative, so that `torch.compile` and `torch.export` trace both.
`pacbench_triton::convolution` serves convolution, transposed convolution, shared filters and, without a weight,
pooling. A window and an adapting kernel are lists of integers (`encoding.py`). Results that are not there (the output
mask without a mask) are empty tensors. A second derivative is refused when it is taken.

The derivative is registered by hand at the dispatch key Autograd, as `torch.library.register_autograd` does, in a third
of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from pacbench.errors import NotSupportedError

from . import computing
from .encoding import AdaptingCode, WindowCode, out_channels

NAMESPACE = "pacbench_triton"

_CONVOLUTION = (
    "Tensor input, Tensor? guide, Tensor? centres, Tensor? mask, Tensor? kernel, Tensor? weight, Tensor? bias, "
    "Tensor? inv_alpha, Tensor? inv_lambda, int[] window, int[] adapting, bool shared_filters"
)
_KERNEL = (
    "Tensor guide, Tensor? centres, Tensor? mask, Tensor? inv_alpha, Tensor? inv_lambda, int[] window, int[] adapting"
)
_MEAN_FIELD = "Tensor beliefs, Tensor kernel, Tensor weight, int[] window, float message_weight"
_SCHEMAS = {
    "convolution": f"({_CONVOLUTION}) -> (Tensor, Tensor)",
    "convolution_backward": f"(Tensor grad, {_CONVOLUTION}, bool[] wanted) -> Tensor[]",
    "adapting_kernel": f"({_KERNEL}) -> (Tensor, Tensor)",
    "adapting_kernel_backward": f"(Tensor grad, {_KERNEL}, bool[] wanted) -> Tensor[]",
    "mean_field_update": f"(Tensor base, {_MEAN_FIELD}) -> Tensor",
    "mean_field_update_backward": f"(Tensor grad, {_MEAN_FIELD}, bool[] wanted) -> Tensor[]",
}

_library: Any = torch.library.Library(NAMESPACE, "DEF")  # type: ignore[no-untyped-call]
for _name, _schema in _SCHEMAS.items():
    _library.define(_name + _schema)
    for _device in ("CUDA", "CPU"):  # on the CPU by Triton's interpreter; dispatch refuses it otherwise
        _library.impl(_name, getattr(computing, _name), _device)

_ops = getattr(torch.ops, NAMESPACE)
convolution = _ops.convolution.default
convolution_backward = _ops.convolution_backward.default
adapting_kernel = _ops.adapting_kernel.default
adapting_kernel_backward = _ops.adapting_kernel_backward.default
mean_field_update = _ops.mean_field_update.default
mean_field_update_backward = _ops.mean_field_update_backward.default


# --- what the results look like, for tracing


def _fake_convolution(input: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    mask, weight, window, shared_filters = rest[2], rest[4], WindowCode(*rest[8]), rest[10]
    height, width = window.output_size(input.shape[2], input.shape[3])
    output = input.new_empty((input.shape[0], out_channels(input, weight, window, shared_filters), height, width))
    return output, _fake_mask(output, mask)


def _fake_adapting_kernel(guide: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    mask, window, adapting = rest[1], WindowCode(*rest[4]), AdaptingCode(*rest[5])
    channels = guide.shape[1] if adapting.channel_wise else 1
    size = window.kernel_output_size(guide.shape[2], guide.shape[3])
    output = guide.new_empty((guide.shape[0], channels, window.kernel_height, window.kernel_width, *size))
    return output, _fake_mask(output, mask)


def _fake_mean_field_update(base: Tensor, *_: Any) -> Tensor:
    return base.new_empty(base.shape)


def _fake_mask(output: Tensor, mask: Tensor | None) -> Tensor:
    shape = (0,) if mask is None else (output.shape[0], 1, *output.shape[-2:])
    return output.new_empty(shape, dtype=torch.bool)


def _fake_gradients(tensors: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor, want in zip(tensors, wanted, strict=True) if want]


def _fake_convolution_backward(_: Tensor, *rest: Any) -> list[Tensor]:
    return _fake_gradients(_differentiated(rest[:9]), rest[12])


def _fake_adapting_kernel_backward(_: Tensor, *rest: Any) -> list[Tensor]:
    return _fake_gradients(_without_mask(rest[:5], 2), rest[7])


def _fake_mean_field_update_backward(_: Tensor, *rest: Any) -> list[Tensor]:
    return _fake_gradients(rest[:3], rest[5])


def _differentiated(tensors: Sequence[Any]) -> list[Any]:
    """Those of DIFFERENTIATED among the first nine arguments of `convolution`: all but the mask."""
    return _without_mask(tensors, 3)


def _without_mask(values: Sequence[Any], index: int) -> list[Any]:
    return [*values[:index], *values[index + 1 :]]


for _name, _fake in {
    "convolution": _fake_convolution,
    "convolution_backward": _fake_convolution_backward,
    "adapting_kernel": _fake_adapting_kernel,
    "adapting_kernel_backward": _fake_adapting_kernel_backward,
    "mean_field_update": _fake_mean_field_update,
    "mean_field_update_backward": _fake_mean_field_update_backward,
}.items():
    torch.library.register_fake(f"{NAMESPACE}::{_name}", _fake, lib=_library)


# --- derivatives


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*arguments[:9])
        ctx.rest = arguments[9:]
        ctx.set_materialize_grads(False)
        output, output_mask = _below_autograd(convolution, arguments)
        ctx.mark_non_differentiable(output_mask)
        return output, output_mask

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 12
        wanted = _differentiated(ctx.needs_input_grad[:9])
        found = iter(convolution_backward(grad, *ctx.saved_tensors, *ctx.rest, wanted))
        gradients = [next(found) if want else None for want in wanted]
        return *gradients[:3], None, *gradients[3:], None, None, None


class _AdaptingKernel(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*arguments[:5])
        ctx.rest = arguments[5:]
        ctx.set_materialize_grads(False)
        output, output_mask = _below_autograd(adapting_kernel, arguments)
        ctx.mark_non_differentiable(output_mask)
        return output, output_mask

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 7
        wanted = _without_mask(ctx.needs_input_grad[:5], 2)
        found = iter(adapting_kernel_backward(grad, *ctx.saved_tensors, *ctx.rest, wanted))
        gradients = [next(found) if want else None for want in wanted]
        return *gradients[:2], None, *gradients[2:], None, None


class _MeanFieldUpdate(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        _, *kept, ctx.window, ctx.message_weight = arguments
        ctx.save_for_backward(*kept)
        output: Tensor = _below_autograd(mean_field_update, arguments)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        of_base, *of_others = ctx.needs_input_grad[:4]
        to_base = grad if of_base else None
        if not any(of_others):
            return to_base, *[None] * 5
        found = iter(mean_field_update_backward(grad, *ctx.saved_tensors, ctx.window, ctx.message_weight, of_others))
        return to_base, *(next(found) if want else None for want in of_others), None, None


class _Once(Function):
    """A derivative that has none itself, and says so when it is asked for."""

    @staticmethod
    def forward(ctx: Any, op: Callable[..., Any], *arguments: Any) -> tuple[Tensor, ...]:  # noqa: ARG004 - torch's
        return tuple(_below_autograd(op, arguments))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:  # noqa: ARG004 - torch's signature
        raise NotSupportedError(
            "backend triton: got a second derivative, expected first derivatives only; backend unfold computes it"
        )


def _below_autograd(op: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    with torch._C._AutoDispatchBelowAutograd():
        return op(*arguments)


def _differentiable(op: Callable[..., Any], recorded: Callable[..., Any]) -> Callable[..., Any]:
    """The op where autograd looks on: `recorded` where an argument asks for a gradient."""

    def at_autograd(*arguments: Any) -> Any:
        asked = any(isinstance(argument, Tensor) and argument.requires_grad for argument in arguments)
        if asked and torch.is_grad_enabled():
            return recorded(*arguments)
        return _below_autograd(op, arguments)

    return at_autograd


def _once(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: list(_Once.apply(op, *arguments))  # type: ignore[no-untyped-call]


for _op, _recorded in (
    (convolution, _Convolution.apply),
    (convolution_backward, _once(convolution_backward)),
    (adapting_kernel, _AdaptingKernel.apply),
    (adapting_kernel_backward, _once(adapting_kernel_backward)),
    (mean_field_update, _MeanFieldUpdate.apply),
    (mean_field_update_backward, _once(mean_field_update_backward)),
):
    _library.impl(_op._schema.name.split("::")[1], _differentiable(_op, _recorded), "Autograd")
