"""`torch.library` ops of a compiled backend: schemas, fake kernels and derivatives.

Each operator is a pair of ops, the way there and its derivative, so that `torch.compile` and `torch.export` trace both.
`convolution` serves convolution, transposed convolution, shared filters and, without a weight, pooling. Their arguments
are described in `operands.py`; a window and an adapting kernel are lists of integers (`encoding.py`). Results that are
not there (the output mask without a mask) are empty tensors. A second derivative is refused when it is taken.

The derivative is registered by hand at the dispatch key Autograd, as `torch.library.register_autograd` does, in a third
of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from ..errors import NotSupportedError
from .operands import (
    ConvolutionOperands,
    KernelOperands,
    MessageOperands,
    Operands,
    differentiated,
    schema,
    tensor_count,
    wanted_tensors,
)
from .storage import dense, empty_mask


class Computing(Protocol):
    """What computes the ops. Tensors may have any strides; results are new.

    Gradients are those to the tensors of `wanted`, by name, in their shapes; the ops bring them into their dtypes.
    """

    def convolution(self, operands: ConvolutionOperands) -> tuple[Tensor, Tensor]:
        """Output (N, O, H', W') and output mask (bool, N, 1, H', W'; without a mask empty)."""

    def convolution_backward(
        self, grad: Tensor, operands: ConvolutionOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients by that to the output."""

    def adapting_kernel(self, operands: KernelOperands) -> tuple[Tensor, Tensor]:
        """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask, as of `convolution`."""

    def adapting_kernel_backward(
        self, grad: Tensor, operands: KernelOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients by that to the kernel."""


class FusedComputing(Computing, Protocol):
    """Computes the mean-field update too, without shared filters."""

    def mean_field_update(self, base: Tensor, operands: MessageOperands) -> Tensor:
        """Base + message_weight times the convolution of the beliefs' softmax, (N, C, H, W)."""

    def mean_field_update_backward(
        self, grad: Tensor, operands: MessageOperands, wanted: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Gradients by that to the output; that to the base is the same."""


class CompiledOps:
    """The ops of one backend, registered when this is made: once in a process for a namespace.

    Attributes:
        convolution: The op of that name, and likewise the others.
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

        def define(
            name: str, arguments: str, results: str, compute: Callable[..., Any], fake: Callable[..., Any]
        ) -> Any:
            library.define(f"{name}({arguments}) -> {results}")
            for key in dispatch_keys:
                library.impl(name, compute, key)
            torch.library.register_fake(f"{namespace}::{name}", fake, lib=library)
            op = getattr(getattr(torch.ops, namespace), name).default
            setattr(self, name, op)
            return op

        of: type[Operands]
        for name, of, first, results, fake, recorded in _OPS:
            if not hasattr(computing, name):
                continue
            arguments, backward = schema(of), f"{name}_backward"
            op = define(name, first + arguments, results, _forward(getattr(computing, name), of, bool(first)), fake)
            backward_op = define(
                backward, f"Tensor grad, {arguments}, bool[] wanted", "Tensor[]",
                _backward(getattr(computing, backward), of), _fake_backward(of),
            )  # fmt: skip
            self._differentiate(name, op, recorded(op, backward_op))
            self._differentiate(backward, backward_op, _once(backward_op, backend))

    def _differentiate(self, name: str, op: Any, recorded: Callable[..., Any]) -> None:
        self._library.impl(name, _differentiable(op, recorded), "Autograd")


# --- from an op's arguments to what computes it


def _forward(compute: Callable[..., Any], of: type[Operands], with_base: bool) -> Callable[..., Any]:
    if with_base:
        return lambda base, *arguments: compute(base, of(*arguments))
    return lambda *arguments: compute(of(*arguments))


def _backward(compute: Callable[..., Mapping[str, Tensor]], of: type[Operands]) -> Callable[..., list[Tensor]]:
    def gradients(grad: Tensor, *arguments: Any) -> list[Tensor]:
        *values, flags = arguments
        operands = of(*values)
        wanted = wanted_tensors(operands, flags)
        found = compute(grad, operands, wanted)
        return [dense(found[name], tensor.dtype) for name, tensor in wanted.items()]

    return gradients


# --- what the results look like, for tracing


def _fake_convolution(*arguments: Any) -> tuple[Tensor, Tensor]:
    operands = ConvolutionOperands(*arguments)
    shape = operands.output_shape()
    return operands.input.new_empty(shape), empty_mask(operands.input, operands.mask, shape)


def _fake_adapting_kernel(*arguments: Any) -> tuple[Tensor, Tensor]:
    operands = KernelOperands(*arguments)
    shape = operands.output_shape()
    return operands.guide.new_empty(shape), empty_mask(operands.guide, operands.mask, shape)


def _fake_mean_field_update(base: Tensor, *_: Any) -> Tensor:
    return base.new_empty(base.shape)


def _fake_backward(of: type[Operands]) -> Callable[..., list[Tensor]]:
    def gradients(_: Tensor, *arguments: Any) -> list[Tensor]:
        *values, flags = arguments
        return [tensor.new_empty(tensor.shape) for tensor in wanted_tensors(of(*values), flags).values()]

    return gradients


# --- derivatives


def _recorded(of: type[Operands]) -> Callable[..., Any]:
    """The derivative of an op with one output and a mask of it."""
    tensors, names = tensor_count(of), differentiated(of)
    places = [of._fields.index(name) for name in names]

    def recorded(op: Callable[..., Any], backward_op: Callable[..., Any]) -> Callable[..., Any]:
        class Recorded(Function):
            @staticmethod
            def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
                ctx.save_for_backward(*arguments[:tensors])
                ctx.rest = arguments[tensors:]
                ctx.set_materialize_grads(False)
                output, output_mask = _below_autograd(op, arguments)
                ctx.mark_non_differentiable(output_mask)
                return output, output_mask

            @staticmethod
            def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
                gradients: list[Tensor | None] = [None] * len(of._fields)
                if grad is not None:
                    wanted = [ctx.needs_input_grad[place] for place in places]
                    found = iter(backward_op(grad, *ctx.saved_tensors, *ctx.rest, wanted))
                    for place, want in zip(places, wanted, strict=True):
                        gradients[place] = next(found) if want else None
                return tuple(gradients)

        applied: Callable[..., Any] = Recorded.apply
        return applied

    return recorded


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


_OPS: tuple[tuple[str, type[Operands], str, str, Callable[..., Any], Callable[..., Any]], ...] = (
    ("convolution", ConvolutionOperands, "", "(Tensor, Tensor)", _fake_convolution, _recorded(ConvolutionOperands)),
    ("adapting_kernel", KernelOperands, "", "(Tensor, Tensor)", _fake_adapting_kernel, _recorded(KernelOperands)),
    (
        "mean_field_update", MessageOperands, "Tensor base, ", "Tensor", _fake_mean_field_update,
        _recorded_mean_field_update,
    ),
)  # fmt: skip
"""Each op: its name, its operands, what stands before them, its results, their fake, its derivative."""
