"""A function compiled for images of any size, and its first derivative."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import torch
import torch._dynamo.config
import torch.fx.experimental._config
from torch import Tensor
from torch.autograd.function import FunctionCtx

from pacbench.errors import NotSupportedError
from pacbench.geometry import Window

Formulation = Callable[..., Tensor]
"""(output, image, further tensors) → result; `output` (0, H', W') carries the output's size into the graph."""


def size_of_output(image: Tensor, window: Window) -> Tensor:
    """An empty tensor (0, H', W') that has the output's size, for an image (N, C, H, W)."""
    return image.new_empty(0, *window.output_size((image.shape[2], image.shape[3])))


class CompiledFunction:
    """A formulation and its derivative, compiled; the derivative computes anew what it needs of the way there.

    Two graphs, rather than the pair that torch would split for autograd, so that a call without gradients compiles
    half as much, nothing but the inputs is kept for the derivative, and graphs may be retained.
    """

    def __init__(self, formulation: Formulation, window: Window) -> None:
        _import_inductor()

        def derivative(wanted: tuple[bool, ...], output: Tensor, grad: Tensor, *tensors: Tensor | None) -> Any:
            def of_wanted(*chosen: Tensor) -> Tensor:
                rest = iter(chosen)
                return formulation(output, *(next(rest) if w else t for w, t in zip(wanted, tensors, strict=True)))

            vjp: Any = torch.func.vjp(of_wanted, *(t for w, t in zip(wanted, tensors, strict=True) if w))[1]
            return vjp(grad)

        self._window = window
        self._formulation = formulation
        self._forward = _compiled(formulation)
        self._derivative = _compiled(derivative)

    def __call__(self, image: Tensor, *tensors: Tensor | None) -> Tensor:
        """The formulation of an image (N, C, H, W) and further tensors."""
        output = size_of_output(image, self._window)
        if image.shape[0] == 0:
            return self._formulation(output, image, *tensors)
        # Dense inputs: a variant for each memory layout would be compiled otherwise.
        dense = [None if tensor is None else tensor.contiguous() for tensor in (image, *tensors)]
        result: Tensor = _Forward.apply(self, output, *dense)  # type: ignore[no-untyped-call]
        return result

    def forward(self, output: Tensor, *tensors: Tensor | None) -> Tensor:
        """The compiled formulation, without gradients."""
        with _settings():
            result: Tensor = self._forward(output, *_detached(tensors))
        return result

    def derivative(
        self, wanted: tuple[bool, ...], output: Tensor, grad: Tensor, *tensors: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Gradient to each tensor that is wanted, None to the others."""
        with _settings():
            gradients = iter(self._derivative(wanted, output, grad.detach().contiguous(), *_detached(tensors)))
        return tuple(next(gradients) if want else None for want in wanted)


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: CompiledFunction, output: Tensor, *tensors: Tensor | None) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(output, *tensors)
        return function.forward(output, *tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        output, *tensors = ctx.saved_tensors
        wanted = tuple(ctx.needs_input_grad[2:])
        gradients = _Derivative.apply(ctx.function, wanted, output, grad, *tensors)  # type: ignore[no-untyped-call]
        return None, None, *gradients


class _Derivative(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,  # noqa: ARG004 - torch's signature
        function: CompiledFunction,
        wanted: tuple[bool, ...],
        output: Tensor,
        grad: Tensor,
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        return function.derivative(wanted, output, grad, *tensors)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> None:  # noqa: ARG004 - torch's signature
        raise NotSupportedError(
            "backend inductor: got a second derivative, expected first derivatives only; backend unfold computes it"
        )


def _detached(tensors: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """The tensors as leaves without gradient: one variant serves them all."""
    return [None if tensor is None else tensor.detach() for tensor in tensors]


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # A code object of its own: torch keeps compiled variants, and counts them, by code object.
    own = FunctionType(function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__)
    return torch.compile(own, dynamic=True, fullgraph=True)


@contextmanager
def _settings() -> Iterator[None]:
    """Settings of torch while a function is compiled or looked up.

    Sizes of 1, wanted gradients and dtypes each ask for a variant, and past torch's limit of 8 it would refuse to
    compile. The window's ints are constants: with symbols in their place inductor cannot order strides. Sizes that
    are equal once are not taken to be equal always.
    """
    shapes: Any = torch.fx.experimental._config
    with torch._dynamo.config.patch(recompile_limit=64, specialize_int=True), shapes.patch(use_duck_shape=False):
        yield


@cache
def _import_inductor() -> None:
    """Import torch's compiler, whose modules warn about torch's own deprecations: no concern of the caller."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("torch._inductor.compile_fx")
