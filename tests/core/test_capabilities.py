"""What a backend declares is checked, and every reason against a call is given."""

from __future__ import annotations

import pytest
import torch

from pacbench import Capabilities, Reason, get_backend
from pacbench.adapting_kernel import AdaptingKernel
from pacbench.calls import OPERATORS, OPTIONS, Call
from pacbench.capabilities import DIFFERENTIABLE, TOLERANCE_CEILING, TOLERANCES
from pacbench.geometry import Window


def guided_call(**changes: object) -> Call:
    """A guided convolution with as many options as fit into one call."""
    tensors = {
        "input": torch.ones(1, 2, 8, 9),
        "guide": torch.ones(1, 3, 8, 9, requires_grad=True),
        "weight": torch.ones(1, 1, 3, 5, requires_grad=True),
        "bias": None,
        "mask": torch.ones(1, 1, 8, 9, requires_grad=True),
    }
    adapting = AdaptingKernel(
        "inv",
        asymmetric=True,
        normalize=True,
        smooth_kernel=torch.ones(1, 1, 3, 3, requires_grad=True),
        inv_alpha=torch.ones(1),
        inv_lambda=torch.ones(1),
    )
    window = Window((3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 2))
    return Call("guided_pacconv2d", tensors, window, adapting, shared_filters=True)


def test_all_reasons_are_given():
    declared = Capabilities(
        devices=("cuda",), dtypes=("float16", "bfloat16"), operators=("pacpool2d",), options=(), gradients=("input",)
    )
    assert declared.not_supported_reasons(guided_call()) == [
        "operator guided_pacconv2d is not among pacpool2d",
        "device cpu is not among cuda",
        "dtype float32 is not among float16, bfloat16",
        "option stride is not supported",
        "option padding is not supported",
        "option dilation is not supported",
        "option rectangular_window is not supported",
        "option mask is not supported",
        "option normalize_kernel is not supported",
        "option shared_filters is not supported",
        "option inv_kernel is not supported",
        "option asymmetric_kernel is not supported",
        "option smooth_kernel is not supported",
        "gradient to guide is not supported",
        "gradient to weight is not supported",
        "gradient to smooth_kernel is not supported",
    ]


def test_no_reason_where_everything_is_declared():
    assert Capabilities(devices=("cpu",), dtypes=("float32",)).not_supported_reasons(guided_call()) == []


def test_a_call_tells_its_options():
    kernel = torch.ones(1, 2, 3, 3, 4, 4)
    pooling = Call("pacpool2d", {"input": torch.ones(1, 2, 6, 6), "kernel": kernel}, Window((3, 3)))
    assert pooling.options() == ["channel_wise"]
    upsampling = Window((3, 3), (2, 2), (1, 1), (1, 1), transposed=True)
    kernel_call = Call("packernel2d", {"guide": torch.ones(1, 2, 8, 8), "mask": None}, upsampling, AdaptingKernel())
    assert kernel_call.options() == ["stride", "padding", "output_padding", "transposed_kernel"]
    assert set(guided_call().options()) <= set(OPTIONS)


def test_a_call_needs_its_first_tensor():
    with pytest.raises(ValueError, match="pacpool2d: got None as first argument"):
        Call("pacpool2d", {"input": None}, Window((3, 3))).dtype  # noqa: B018 - the property raises


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operators": ("pacconv3d",)}, "got operators pacconv3d, expected a subset of packernel2d, "),
        ({"options": ("strides", "mask", "masks")}, "got options strides, masks, expected a subset of stride, "),
        ({"gradients": ("mask",)}, "got gradients mask, expected a subset of input, "),
        ({"tolerances": {("float8", "forward"): 0.1}}, "got tolerances float8, expected a subset of float64, "),
        ({"tolerances": {("float32", "forward"): 1e-3}}, "got tolerance 0.001 for float32 forward, expected at most"),
        ({"tolerances": {("float64", "backward"): -1e-12}}, "got tolerance -1e-12 for float64 backward"),
    ],
)
def test_a_wrong_declaration(wrong, message):
    with pytest.raises(ValueError, match=f"Capabilities: {message}"):
        Capabilities(devices=("cpu",), dtypes=("float32",), **wrong)


def test_tolerances():
    declared = Capabilities(devices=("cpu",), dtypes=("float32",), tolerances={("float32", "backward"): 3e-5})
    assert declared.tolerance("float32", "backward") == 3e-5
    assert declared.tolerance("float32", "forward") == TOLERANCES["float32", "forward"]
    for (dtype, _), tolerance in TOLERANCES.items():
        assert tolerance <= TOLERANCE_CEILING[dtype]


def test_a_reason_tells_its_mend():
    assert str(Reason("no compiler", "install g++")) == "no compiler; to mend it: install g++"


def test_unfold_declares_everything():
    declared = get_backend("unfold").capabilities
    assert (declared.operators, declared.options, declared.gradients) == (OPERATORS, OPTIONS, DIFFERENTIABLE)
    assert declared.derivative_order is None


def test_without_autograd_no_gradient_is_asked_for():
    declared = Capabilities(devices=("cpu",), dtypes=("float32",), gradients=())
    call = Call("packernel2d", {"guide": torch.ones(1, 1, 3, 3, requires_grad=True)}, Window((3, 3)))
    assert declared.not_supported_reasons(call) == ["gradient to guide is not supported"]
    with torch.no_grad():
        assert declared.not_supported_reasons(call) == []
