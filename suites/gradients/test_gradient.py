"""Derivatives: numerical ones in float64, and those of `unfold` in float64 for every other dtype."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.forward_ad import dual_level, make_dual

from pacbench.backend import Backend
from pacbench.errors import NotSupportedError
from pacbench.running.device import device_of

from .cases import CASES, PLAIN, Case
from .comparing import DTYPES, assert_agrees, dtype_or_skip, poisoned_allocations, require_gradients
from .numerical import assert_derivative_along_a_direction
from .samples import Tensors, call, tensors

DIFFERENTIATED = tuple(case for case in CASES if case.batch)
BACKWARD_SMOKE = {"guided_pacconv2d-3x3-float32"}


def _arguments(case: Case) -> list[str]:
    return [name for name in tensors(case) if name != "mask"]


def _function(case: Case, given: Tensors, names: list[str], backend: Backend):  # type: ignore[no-untyped-def]
    """The first output as a function of the named arguments."""

    def function(*values: torch.Tensor) -> torch.Tensor:
        return call(case, given | dict(zip(names, values, strict=True)), backend)[0]

    return function


def _differentiable(backend: Backend, case: Case) -> tuple[Tensors, list[str]]:
    """The case's tensors in float64, and the arguments that the backend differentiates with respect to; else a skip."""
    given = tensors(case, dtype_or_skip(backend, "float64"), device_of(backend))
    names = [name for name in _arguments(case) if backend.capabilities.differentiates(name)]
    if not names:
        pytest.skip(f"{backend.name} declares no gradient to any argument of {case.operator}")
    return given, names


def _checked(backend: Backend, case: Case, names: list[str]) -> None:
    given = tensors(case, dtype_or_skip(backend, "float64"), device_of(backend))
    values = [given[name].requires_grad_() for name in names]
    function = _function(case, given, names, backend)
    with poisoned_allocations():
        if backend.directional_derivatives:
            # Each call is slow; `test_backward` compares every element in float64 too.
            assert_derivative_along_a_direction(function, values, f"{backend.name} {case.id} to {', '.join(names)}")
            return
        assert gradcheck(function, values, atol=1e-6, rtol=1e-4, nondet_tol=1e-10)


@pytest.mark.smoke
@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_gradients(backend: Backend, case: Case) -> None:
    """Of one everyday call of each operator, with respect to all its arguments at once.

    In float64; for a backend without it, output and gradients in its first dtype are compared with `unfold`.
    """
    if "float64" not in backend.capabilities.dtypes:
        _compared_with_unfold(backend, case, backend.capabilities.dtypes[0])
        return
    declared = [name for name in _arguments(case) if backend.capabilities.differentiates(name)]
    if not declared:
        pytest.skip(f"{backend.name} declares no gradient to any argument of {case.operator}")
    _checked(backend, case, declared)


@pytest.mark.parametrize(
    ("case", "argument"),
    [
        pytest.param(case, argument, id=f"{case.id}-{argument}-float64")
        for case in DIFFERENTIATED
        for argument in _arguments(case)
    ],
)
def test_gradient(backend: Backend, case: Case, argument: str) -> None:
    """Of every call, with respect to each argument by itself."""
    _checked(backend, case, [argument])


@pytest.mark.parametrize(
    ("case", "dtype_name"),
    [
        pytest.param(
            case,
            dtype,
            id=f"{case.id}-{dtype}",
            marks=[pytest.mark.smoke] if f"{case.id}-{dtype}" in BACKWARD_SMOKE else [],
        )
        for case in CASES
        for dtype in DTYPES
    ],
)
def test_backward(backend: Backend, case: Case, dtype_name: str) -> None:
    """Gradients in each dtype agree with those of `unfold` in float64, which `test_gradient` judges.

    So does the output, which a backend may compute otherwise where autograd records.
    """
    _compared_with_unfold(backend, case, dtype_name)


def _compared_with_unfold(backend: Backend, case: Case, dtype_name: str) -> None:
    dtype = dtype_or_skip(backend, dtype_name)
    given = tensors(case, dtype, device_of(backend))
    names = require_gradients(given, backend)
    exact = {name: tensor.detach().double() for name, tensor in given.items()}
    for name in names:
        exact[name].requires_grad_()
    with poisoned_allocations():
        output = call(case, given, backend)[0]
    assert output.dtype == dtype, f"output: got {output.dtype}, expected {dtype}"
    want = call(case, exact, "unfold")[0]
    tolerance = backend.capabilities.tolerance(dtype_name, "forward")
    assert_agrees(output, want, tolerance, f"{backend.name} {case.id} output")
    if not names:
        return
    weights = torch.randn(want.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(output)
    with poisoned_allocations():
        gradients = torch.autograd.grad(output, [given[name] for name in names], weights)
    wanted = torch.autograd.grad(want, [exact[name] for name in names], weights.double())
    tolerance = backend.capabilities.tolerance(dtype_name, "backward")
    for name, gradient, want in zip(names, gradients, wanted, strict=True):
        assert gradient.dtype == dtype, f"gradient to {name}: got {gradient.dtype}, expected {dtype}"
        assert_agrees(gradient, want, tolerance, f"{backend.name} {case.id} gradient to {name}")


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: f"{case.id}-float64")
def test_second_derivative(backend: Backend, case: Case) -> None:
    """A second derivative is right, or a clear error; it is right where the backend declares it."""
    given, names = _differentiable(backend, case)
    function = _function(case, given, names, backend)
    values = [given[name].requires_grad_() for name in names]
    order = backend.capabilities.derivative_order
    if order is not None and order < 2:
        refusal = _refusal_of_second_derivative(function, values)
        if refusal is not None:
            assert refusal, "got an error without a message, expected one that says why"
            return
    assert gradgradcheck(function, values, atol=1e-6, rtol=1e-4, fast_mode=True, nondet_tol=1e-10)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, in forward mode
@pytest.mark.parametrize("case", PLAIN, ids=lambda case: f"{case.id}-float64")
def test_forward_mode(backend: Backend, case: Case) -> None:
    """A derivative in forward mode is right where the backend declares any order, else refused; never dropped."""
    given, names = _differentiable(backend, case)
    function = _function(case, given, names, backend)
    if backend.capabilities.derivative_order is None:
        values = [given[name].requires_grad_() for name in names]
        assert gradcheck(
            function, values, atol=1e-6, rtol=1e-4, nondet_tol=1e-10, check_forward_ad=True, check_backward_ad=False
        )
        return
    with dual_level(), pytest.raises(NotSupportedError, match="forward-mode derivatives are not supported"):
        function(*(make_dual(given[name], torch.ones_like(given[name])) for name in names))  # type: ignore[no-untyped-call]


def _refusal_of_second_derivative(function: Callable[..., Tensor], values: list[Tensor]) -> str | None:
    """The message of the error that a second derivative raises; None if it raises none."""
    try:
        first = torch.autograd.grad(function(*values).square().sum(), values, create_graph=True)
        torch.autograd.grad(torch.stack([gradient.square().sum() for gradient in first]).sum(), values)
    except RuntimeError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "case",
    [case for case in DIFFERENTIATED if case.kernel_type != "gaussian" or case.smooth_kernel_type != "none"],
    ids=lambda case: f"{case.id}-float64",
)
def test_second_derivative_of_kernel_form(backend: Backend, case: Case) -> None:
    """Of every form of the adapting kernel, where the backend declares second derivatives."""
    order = backend.capabilities.derivative_order
    if order is not None and order < 2:
        pytest.skip(f"{backend.name} declares derivatives up to order {order}")
    given = tensors(case, dtype_or_skip(backend, "float64"), device_of(backend))
    names = require_gradients(given, backend)
    if not names:
        pytest.skip(f"{backend.name} declares no gradient to any argument of {case.operator}")
    function = _function(case, given, names, backend)
    values = [given[name] for name in names]
    assert gradgradcheck(function, values, atol=1e-5, rtol=1e-3, fast_mode=True, nondet_tol=1e-10)
