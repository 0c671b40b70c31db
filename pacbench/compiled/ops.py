"""`torch.library` ops of a compiled backend: schemas, fake kernels and derivatives.

Each operator is a pair of ops, the way there and its derivative, so that `torch.compile` and `torch.export` trace both.
`convolution` serves convolution, transposed convolution, shared filters and, without a weight, pooling. A window and an
adapting kernel are lists of integers (`encoding.py`). Results that are not there (the output mask without a mask) are
empty tensors. A second derivative is refused when it is taken.

The derivative is registered by hand at the dispatch key Autograd, as `torch.library.register_autograd` does, in a third
of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from ..errors import NotSupportedError
from .encoding import AdaptingCode, WindowCode, out_channels

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
}
_FUSED_SCHEMAS = {
    "mean_field_update": f"(Tensor base, {_MEAN_FIELD}) -> Tensor",
    "mean_field_update_backward": f"(Tensor grad, {_MEAN_FIELD}, bool[] wanted) -> Tensor[]",
}
"""Of the ops that a backend may leave out."""


class Computing(Protocol):
    """What computes the ops; tensors may have any strides, results are new and contiguous.

    Gradients are those to the tensors that have one and are wanted, in the order of the op's arguments.
    """

    def convolution(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""

    def convolution_backward(self, *arguments: Any) -> list[Tensor]:
        """Gradients to input, guide, centres, kernel, weight, bias, alpha and lambda."""

    def adapting_kernel(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""

    def adapting_kernel_backward(self, *arguments: Any) -> list[Tensor]:
        """Gradients to guide, centres, alpha and lambda."""


class FusedComputing(Computing, Protocol):
    """Computes the mean-field update too, without shared filters."""

    def mean_field_update(self, *arguments: Any) -> Tensor:
        """Base + message_weight times the convolution of the beliefs' softmax, (N, C, H, W)."""

    def mean_field_update_backward(self, *arguments: Any) -> list[Tensor]:
        """Gradients to beliefs, kernel and weight."""


class CompiledOps:
    """The ops of one backend, registered when this is made: once in a process for a namespace.

    Attributes:
        convolution: The op of that name, and likewise the others of _SCHEMAS.
        mean_field_update: The op of that name; None where a backend makes it of the others.
    """

    convolution: Any
    convolution_backward: Any
    adapting_kernel: Any
    adapting_kernel_backward: Any
    mean_field_update: Any = None
    mean_field_update_backward: Any = None

    def __init__(
        self, backend: str, namespace: str, dispatch_keys: Sequence[str], computing: Computing | FusedComputing
    ) -> None:
        """Register the ops.

        Args:
            backend: The backend's name, for messages.
            namespace: Of the ops, such as ``pacbench_cupy``.
            dispatch_keys: Devices that they compute on, of ``CPU`` and ``CUDA``.
            computing: What computes them; an object or a module. The mean-field update is an op where it has one.
        """
        # The registration lasts as long as this object.
        library: Any = torch.library.Library(namespace, "DEF")  # type: ignore[no-untyped-call]
        self._library = library
        fused = hasattr(computing, "mean_field_update")
        for name, schema in (_SCHEMAS | _FUSED_SCHEMAS if fused else _SCHEMAS).items():
            library.define(name + schema)
            for key in dispatch_keys:
                library.impl(name, getattr(computing, name), key)
            torch.library.register_fake(f"{namespace}::{name}", _FAKES[name], lib=library)
            setattr(self, name, getattr(getattr(torch.ops, namespace), name).default)
        self._differentiate(backend, self.convolution, self.convolution_backward, _recorded_convolution)
        self._differentiate(backend, self.adapting_kernel, self.adapting_kernel_backward, _recorded_kernel)
        if fused:
            self._differentiate(
                backend, self.mean_field_update, self.mean_field_update_backward, _recorded_mean_field_update
            )

    def _differentiate(self, backend: str, op: Any, backward_op: Any, recorded: Callable[..., Any]) -> None:
        for each, at_autograd in ((op, recorded(op, backward_op)), (backward_op, _once(backward_op, backend))):
            self._library.impl(each._schema.name.split("::")[1], _differentiable(each, at_autograd), "Autograd")


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
    return _fake_gradients(_without_mask(rest[:9], 3), rest[12])


def _fake_adapting_kernel_backward(_: Tensor, *rest: Any) -> list[Tensor]:
    return _fake_gradients(_without_mask(rest[:5], 2), rest[7])


def _fake_mean_field_update_backward(_: Tensor, *rest: Any) -> list[Tensor]:
    return _fake_gradients(rest[:3], rest[5])


_FAKES = {
    "convolution": _fake_convolution,
    "convolution_backward": _fake_convolution_backward,
    "adapting_kernel": _fake_adapting_kernel,
    "adapting_kernel_backward": _fake_adapting_kernel_backward,
    "mean_field_update": _fake_mean_field_update,
    "mean_field_update_backward": _fake_mean_field_update_backward,
}


def _without_mask(values: Sequence[Any], index: int) -> list[Any]:
    return [*values[:index], *values[index + 1 :]]


# --- derivatives


def _recorded_convolution(op: Callable[..., Any], backward_op: Callable[..., Any]) -> Callable[..., Any]:
    class Convolution(Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
            ctx.save_for_backward(*arguments[:9])
            ctx.rest = arguments[9:]
            ctx.set_materialize_grads(False)
            output, output_mask = _below_autograd(op, arguments)
            ctx.mark_non_differentiable(output_mask)
            return output, output_mask

        @staticmethod
        def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
            if grad is None:
                return (None,) * 12
            wanted = _without_mask(ctx.needs_input_grad[:9], 3)
            found = iter(backward_op(grad, *ctx.saved_tensors, *ctx.rest, wanted))
            gradients = [next(found) if want else None for want in wanted]
            return *gradients[:3], None, *gradients[3:], None, None, None

    applied: Callable[..., Any] = Convolution.apply
    return applied


def _recorded_kernel(op: Callable[..., Any], backward_op: Callable[..., Any]) -> Callable[..., Any]:
    class AdaptingKernel(Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
            ctx.save_for_backward(*arguments[:5])
            ctx.rest = arguments[5:]
            ctx.set_materialize_grads(False)
            output, output_mask = _below_autograd(op, arguments)
            ctx.mark_non_differentiable(output_mask)
            return output, output_mask

        @staticmethod
        def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
            if grad is None:
                return (None,) * 7
            wanted = _without_mask(ctx.needs_input_grad[:5], 2)
            found = iter(backward_op(grad, *ctx.saved_tensors, *ctx.rest, wanted))
            gradients = [next(found) if want else None for want in wanted]
            return *gradients[:2], None, *gradients[2:], None, None

    applied: Callable[..., Any] = AdaptingKernel.apply
    return applied


def _recorded_mean_field_update(op: Callable[..., Any], backward_op: Callable[..., Any]) -> Callable[..., Any]:
    class MeanFieldUpdate(Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Tensor:
            _, *kept, ctx.window, ctx.message_weight = arguments
            ctx.save_for_backward(*kept)
            output: Tensor = _below_autograd(op, arguments)
            return output

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            of_base, *of_others = ctx.needs_input_grad[:4]
            to_base = grad if of_base else None
            if not any(of_others):
                return to_base, *[None] * 5
            found = iter(backward_op(grad, *ctx.saved_tensors, ctx.window, ctx.message_weight, of_others))
            return to_base, *(next(found) if want else None for want in of_others), None, None

    applied: Callable[..., Any] = MeanFieldUpdate.apply
    return applied


def _once(op: Callable[..., Any], backend: str) -> Callable[..., Any]:
    """A derivative that has none itself, and says so when it is asked for."""

    class Once(Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:  # noqa: ARG004 - torch's signature
            return tuple(_below_autograd(op, arguments))

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> None:  # noqa: ARG004 - torch's signature
            raise NotSupportedError(
                f"backend {backend}: got a second derivative, expected first derivatives only; "
                "backend unfold computes it"
            )

    return lambda *arguments: list(Once.apply(*arguments))  # type: ignore[no-untyped-call]


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
