"""The mean-field update: what a backend gets for nothing, what it may override, and which dtypes reach it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbench import Backend, Capabilities, NotSupportedError, functional
from pacbench.backends.unfold import UnfoldBackend
from pacbench.calls import Call
from pacbench.geometry import Window


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def arguments(dtype: torch.dtype = torch.float64, kernel_dtype: torch.dtype | None = None) -> list[Tensor]:
    """Base, beliefs, kernel and weight."""
    made = [normal(2, 3, 5, 6, seed=0), normal(2, 3, 5, 6, seed=1), normal(2, 1, 3, 3, 5, 6, seed=2).abs()]
    base, beliefs, kernel, weight = (tensor.to(dtype) for tensor in (*made, normal(3, 3, 3, 3, seed=3)))
    return [base, beliefs, kernel if kernel_dtype is None else kernel.to(kernel_dtype), weight]


def formula(base: Tensor, beliefs: Tensor, kernel: Tensor, weight: Tensor, message_weight: float) -> Tensor:
    probabilities = beliefs.softmax(dim=1)
    return base + message_weight * functional.pacconv2d(probabilities, kernel, weight, None, 1, 1, backend="unfold")


class ConvolutionOnly(Backend):
    """A stranger's backend from before the mean-field update: it has its own operators, and names them."""

    name = "convolution_only"
    summary = "for the tests"
    capabilities = Capabilities(
        devices=("cpu",),
        dtypes=("float64", "float32"),
        operators=("pacconv2d",),
        options=("padding",),
        gradients=("input", "weight"),
    )

    def pacconv2d(self, input, kernel, weight, bias, *, window, shared_filters):
        return UnfoldBackend().pacconv2d(input, kernel, weight, bias, window=window, shared_filters=shared_filters)


class Fused(ConvolutionOnly):
    """Overrides the update, and says what it was given."""

    name = "fused"

    def mean_field_update(self, base, beliefs, kernel, weight, *, window, shared_filters, message_weight):
        self.given = (window, shared_filters, message_weight)
        return base + 1


def test_a_backend_that_convolves_has_it_for_nothing():
    assert ConvolutionOnly.capabilities.operators == ("pacconv2d", "mean_field_update")
    output = functional.mean_field_update(*arguments(), 1, message_weight=0.7, backend=ConvolutionOnly())
    torch.testing.assert_close(output, formula(*arguments(), 0.7), rtol=1e-12, atol=1e-12)


def test_a_backend_without_a_convolution_has_not(make_backend):
    pools = make_backend("pools", dtypes=("float64",), operators=("packernel2d", "pacpool2d"))()
    with pytest.raises(
        NotSupportedError, match="pools: operator mean_field_update is not among packernel2d, pacpool2d"
    ):
        functional.mean_field_update(*arguments(), 1, backend=pools)


def test_options_and_gradients_are_those_of_the_convolution():
    base, beliefs, kernel, weight = arguments()
    for tensor in (base, beliefs, weight):
        tensor.requires_grad_()
    functional.mean_field_update(base, beliefs, kernel, weight, 1, backend=ConvolutionOnly()).sum().backward()
    assert beliefs.grad is not None
    with pytest.raises(NotSupportedError, match="convolution_only: gradient to kernel is not supported"):
        functional.mean_field_update(base, beliefs, kernel.requires_grad_(), weight, 1, backend=ConvolutionOnly())
    with pytest.raises(NotSupportedError, match="option shared_filters is not supported"):
        functional.mean_field_update(
            base, beliefs, kernel, weight[:1, :1], 1, shared_filters=True, backend=ConvolutionOnly()
        )


def test_no_gradient_to_base_and_beliefs_without_one_to_the_input():
    forward_only = Capabilities(devices=("cpu",), dtypes=("float64",), gradients=("weight",))
    base, beliefs, kernel, weight = arguments()
    tensors = {"base": base.requires_grad_(), "beliefs": beliefs.requires_grad_(), "kernel": kernel, "weight": weight}
    call = Call("mean_field_update", tensors, Window((3, 3), padding=(1, 1)), None, False, -1.0)
    reasons = ["gradient to base is not supported", "gradient to beliefs is not supported"]
    assert forward_only.not_supported_reasons(call) == reasons


def test_what_a_fused_backend_is_given():
    fused = Fused()
    base, *others = arguments()
    output = functional.mean_field_update(base, *others[:2], others[2], (1, 1), backend=fused)
    assert torch.equal(output, base + 1)
    assert fused.given == (Window((3, 3), padding=(1, 1)), False, -1.0)


@pytest.mark.parametrize("number", [2, 0.25, np.float64(0.25)], ids=["int", "float", "numpy"])
def test_message_weight_reaches_the_backend_as_a_float(number):
    fused = Fused()
    functional.mean_field_update(*arguments(), 1, message_weight=number, backend=fused)
    assert type(fused.given[2]) is float
    assert fused.given[2] == number


@pytest.mark.parametrize("number", [True, "1", None, torch.tensor(1.0)], ids=["bool", "text", "none", "tensor"])
def test_message_weight_that_is_no_number(number):
    with pytest.raises(TypeError, match=r"mean_field_update: got message_weight of type \w+, expected float"):
        functional.mean_field_update(*arguments(), 1, message_weight=number)


def test_another_device():
    base, beliefs, kernel, weight = arguments()
    with pytest.raises(ValueError, match="mean_field_update: got beliefs on meta, expected cpu as base"):
        functional.mean_field_update(base, beliefs.to("meta"), kernel, weight, 1)
    with pytest.raises(ValueError, match="mean_field_update: got kernel on meta, expected cpu as base"):
        functional.mean_field_update(base, beliefs, kernel.to("meta"), weight, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kernel_dtype", [None, torch.float32], ids=["kernel_of_16_bits", "kernel_float32"])
def test_unfold_rounds_16_bits_once(dtype, kernel_dtype):
    given = arguments(dtype, kernel_dtype)
    output = functional.mean_field_update(*given, 1, backend="unfold")
    wanted = functional.mean_field_update(*(tensor.float() for tensor in given), 1, backend="unfold")
    assert output.dtype == dtype
    assert torch.equal(output, wanted.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_autocast_widens_16_bits(dtype):
    given = [tensor.requires_grad_() for tensor in arguments(dtype)]
    with torch.autocast("cpu", torch.bfloat16):
        output = functional.mean_field_update(*given, 1, backend="unfold")
    assert output.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    wide = [tensor.float() if dtype == torch.bfloat16 else tensor for tensor in given]
    assert torch.equal(output, functional.mean_field_update(*wide, 1, backend="unfold"))
    gradients = torch.autograd.grad(output.sum(), given)
    assert [gradient.dtype for gradient in gradients] == [dtype] * 4


def test_autocast_takes_beliefs_and_filter_of_different_width():
    base, beliefs, kernel, weight = arguments(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output = functional.mean_field_update(base, beliefs.bfloat16(), kernel, weight, 1, backend="unfold")
    assert output.dtype == torch.float32


def test_it_compiles_into_one_graph():
    def steps(base, kernel, weight, message_weight):
        beliefs = base
        for _ in range(2):
            beliefs = functional.mean_field_update(
                base, beliefs, kernel, weight, 1, message_weight=message_weight, backend="unfold"
            )
        return beliefs

    base, _, kernel, weight = arguments(torch.float32)
    compiled = torch.compile(steps, fullgraph=True, backend="eager")
    for message_weight in (-1.0, 0.5, 0.25):
        wanted = steps(base, kernel, weight, message_weight)
        torch.testing.assert_close(compiled(base, kernel, weight, message_weight), wanted)
