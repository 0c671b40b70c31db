"""Autocast, and 16-bit inputs beside a float32 guide."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench import NotSupportedError, functional, get_backend, nn

SIXTEEN_BIT = [torch.bfloat16, torch.float16]
UP = {"stride": 2, "padding": 1, "output_padding": 1}


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


INPUT, GUIDE, LARGE_GUIDE = normal(2, 4, 6, 7), normal(2, 3, 6, 7, scale=0.5), normal(2, 3, 12, 14, scale=0.5)
WEIGHT, UP_WEIGHT, BIAS = normal(5, 4, 3, 3, seed=1), normal(4, 5, 3, 3, seed=2), normal(5, seed=3)
KERNEL, UP_KERNEL = normal(2, 1, 3, 3, 6, 7, seed=4).abs(), normal(2, 1, 3, 3, 12, 14, seed=5).abs()
CONVOLUTIONS: dict[str, tuple[tuple[Tensor, ...], dict[str, Any]]] = {
    "pacconv2d": ((INPUT, KERNEL, WEIGHT, BIAS), {"padding": 1}),
    "pacconv_transpose2d": ((INPUT, UP_KERNEL, UP_WEIGHT, BIAS), UP),
    "guided_pacconv2d": ((INPUT, GUIDE, WEIGHT, BIAS), {"padding": 1}),
    "guided_pacconv_transpose2d": ((INPUT, LARGE_GUIDE, UP_WEIGHT, BIAS), UP),
}
POOLINGS = {"pacpool2d": (INPUT, KERNEL), "guided_pacpool2d": (INPUT, GUIDE)}

each_convolution = pytest.mark.parametrize("operator", list(CONVOLUTIONS))


def assert_near(actual: Tensor, expected: Tensor, relative: float) -> None:
    error = (actual.double() - expected.double()).abs().max() / expected.double().abs().max()
    assert error <= relative, f"got an error of {error:.1e} of the largest value"


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.dtype]]:
    """The dtypes of the tensors that reach the backend, call by call."""
    from pacbench import dispatch

    seen: list[dict[str, torch.dtype]] = []
    run = dispatch.run

    def spying(call, backend=None):
        assert not torch.is_autocast_enabled("cpu")
        seen.append({name: tensor.dtype for name, tensor in call.given_tensors().items()})
        return run(call, backend)

    monkeypatch.setattr(dispatch, "run", spying)
    return seen


@each_convolution
def test_values_near_the_float32_result(operator):
    tensors, window = CONVOLUTIONS[operator]
    wanted = getattr(functional, operator)(*tensors, **window, backend="unfold")
    with torch.autocast("cpu", torch.bfloat16):
        output = getattr(functional, operator)(*tensors, **window, backend="unfold")
    assert output.dtype == torch.bfloat16
    assert_near(output, wanted, 0.02)


@each_convolution
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtypes_follow_conv2d(operator, dtype, spied):
    (input, guiding, weight, bias), window = CONVOLUTIONS[operator]
    input, weight, bias = (tensor.to(dtype) for tensor in (input, weight, bias))
    guiding = guiding if dtype != torch.float64 else guiding.double()
    plain_weight = weight if weight.shape[1] == input.shape[1] else weight.transpose(0, 1)
    with torch.autocast("cpu", torch.bfloat16):
        wanted = F.conv2d(input, plain_weight, bias)
        output = getattr(functional, operator)(input, guiding, weight, bias, **window, backend="unfold")
    assert output.dtype == wanted.dtype
    (seen,) = spied
    name = "guide" if "guide" in seen else "kernel"
    assert seen == {"input": wanted.dtype, name: guiding.dtype, "weight": wanted.dtype, "bias": wanted.dtype}


@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN_BIT])
def test_guide_and_kernel_are_float32(dtype, spied):
    with torch.autocast("cpu", torch.bfloat16):
        kernel, _ = functional.packernel2d(GUIDE.to(dtype), kernel_size=3, padding=1, backend="unfold")
        functional.guided_pacconv2d(INPUT, GUIDE.to(dtype), WEIGHT, padding=1, backend="unfold")
    assert kernel.dtype == torch.float32
    assert [seen["guide"] for seen in spied] == [torch.float32, torch.float32]
    wanted, _ = functional.packernel2d(GUIDE.to(dtype).float(), kernel_size=3, padding=1, backend="unfold")
    assert torch.equal(kernel, wanted)


@pytest.mark.parametrize("operator", list(POOLINGS))
def test_pooling_keeps_its_dtype_as_avg_pool2d_does(operator):
    with torch.autocast("cpu", torch.bfloat16):
        output = getattr(functional, operator)(*POOLINGS[operator], 3, padding=1, backend="unfold")
        assert output.dtype == F.avg_pool2d(INPUT, 3).dtype == torch.float32


def test_gradients_have_their_leaves_dtypes():
    leaves = [tensor.clone().requires_grad_() for tensor in (INPUT, GUIDE, WEIGHT, BIAS)]
    with torch.autocast("cpu", torch.bfloat16):
        output = functional.guided_pacconv2d(*leaves, padding=1, backend="unfold")
    gradients = torch.autograd.grad(output.float().sum(), leaves)
    wanted = torch.autograd.grad(functional.guided_pacconv2d(*leaves, padding=1, backend="unfold").sum(), leaves)
    for got, want in zip(gradients, wanted, strict=True):
        assert got.dtype == torch.float32
        assert_near(got, want, 0.03)


def test_autocast_is_on_again_after_a_call():
    with torch.autocast("cpu", torch.bfloat16):
        functional.guided_pacconv2d(INPUT, GUIDE, WEIGHT, padding=1, backend="unfold")
        assert torch.is_autocast_enabled("cpu")
    functional.guided_pacconv2d(INPUT, GUIDE, WEIGHT, padding=1, backend="unfold")
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("smooth_kernel_type", ["gaussian", "full_3"])
def test_layers(smooth_kernel_type):
    layer = nn.PacConv2d(
        4, 5, 3, padding=1, kernel_type="inv_0.3_0.8", smooth_kernel_type=smooth_kernel_type, backend="unfold"
    )
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(INPUT, GUIDE)
        given = layer(INPUT, None, layer.compute_kernel(GUIDE)[0])
    assert output.dtype == given.dtype == torch.bfloat16
    assert_near(output, layer(INPUT, GUIDE), 0.02)
    assert_near(given, layer(INPUT, GUIDE), 0.02)


@pytest.mark.parametrize("dtype", SIXTEEN_BIT)
@pytest.mark.parametrize("operator", [*CONVOLUTIONS, *POOLINGS])
def test_sixteen_bit_input_beside_float32_guide(operator, dtype):
    """What the float32 guide or kernel says is not rounded: the result is the float32 one, rounded once."""
    if operator in POOLINGS:
        tensors, window = POOLINGS[operator], {"kernel_size": 3, "padding": 1}
    else:
        tensors, window = CONVOLUTIONS[operator]
    input, guiding, *parameters = tensors
    narrow = [tensor.to(dtype) for tensor in (input, *parameters)]
    output = getattr(functional, operator)(narrow[0], guiding, *narrow[1:], **window, backend="unfold")
    wide = [tensor.float() for tensor in narrow]
    wanted = getattr(functional, operator)(wide[0], guiding, *wide[1:], **window, backend="unfold")
    assert output.dtype == dtype
    assert torch.equal(output, wanted.to(dtype))


def test_capabilities_name_what_autocast_makes():
    assert {"float32", "bfloat16", "float16"} <= set(get_backend("unfold").capabilities.dtypes)


def test_a_device_without_autocast_gets_a_clear_error() -> None:
    guide = torch.ones(1, 2, 5, 5, device="meta")
    with pytest.raises(NotSupportedError, match="device meta is not among"):
        functional.packernel2d(guide, kernel_size=3)
