"""Argument checks beyond the gate's: layers, compat, devices, numbers of every kind; nothing is computed before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pacbench import Backend, Capabilities, functional
from pacbench.compat import pac
from pacbench.nn import PacConv2d, PacConvTranspose2d, PacPool2d

X, G, W = torch.ones(2, 4, 6, 7), torch.ones(2, 3, 6, 7), torch.ones(5, 4, 3, 3)


class _Refusing(Backend):
    """Fails whatever reaches it: an argument that is wrong must not."""

    name = "refusing"
    summary = "fails when it is reached"
    capabilities = Capabilities(devices=("cpu",), dtypes=("float64", "float32", "float16", "bfloat16"))

    def __getattribute__(self, name: str) -> Any:
        if name in {"not_supported_reasons", "unavailable_reasons"}:
            raise AssertionError("a wrong call reached the backend")
        return super().__getattribute__(name)


REFUSING = _Refusing()

WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "mask_list": (
        lambda: functional.packernel2d(G, [1], kernel_size=3, backend=REFUSING),  # type: ignore[arg-type]
        TypeError,
        "packernel2d: got mask of type list, expected torch.Tensor",
    ),
    "mask_complex": (
        lambda: functional.packernel2d(G, torch.ones(2, 1, 6, 7) * 1j, kernel_size=3, backend=REFUSING),
        TypeError,
        "packernel2d: got mask of dtype torch.complex64, expected a real dtype or bool",
    ),
    "mask_scalar": (
        lambda: functional.packernel2d(G, torch.tensor(1.0), kernel_size=3, backend=REFUSING),
        ValueError,
        r"packernel2d: got mask \(\), expected \(2, 1, 6, 7\)",
    ),
    "mask_device": (
        lambda: functional.packernel2d(G, torch.ones(2, 1, 6, 7, device="meta"), kernel_size=3, backend=REFUSING),
        ValueError,
        "packernel2d: got mask on meta, expected cpu as guide",
    ),
    "weight_device": (
        lambda: functional.guided_pacconv2d(X, G, W.to("meta"), padding=1, backend=REFUSING),
        ValueError,
        "guided_pacconv2d: got weight on meta, expected cpu as input",
    ),
    "backend_class": (
        lambda: functional.packernel2d(G, kernel_size=3, backend=_Refusing),  # type: ignore[arg-type]
        TypeError,
        "backend: got <class .*_Refusing'>, expected a name or an instance of pacbench.Backend",
    ),
    "kernel_string": (
        lambda: functional.packernel2d(G, kernel_size="33", backend=REFUSING),  # type: ignore[arg-type]
        TypeError,
        "packernel2d: got kernel_size '33', expected an int or a pair of ints",
    ),
    "kernel_set": (
        lambda: functional.packernel2d(G, kernel_size={3}, backend=REFUSING),  # type: ignore[arg-type]
        TypeError,
        r"packernel2d: got kernel_size \{3\}, expected an int or a pair of ints",
    ),
    "numpy_float": (
        lambda: functional.packernel2d(G, kernel_size=np.float64(3), backend=REFUSING),  # type: ignore[arg-type]
        TypeError,
        "packernel2d: got kernel_size .*3.0.*, expected an int or a pair of ints",
    ),
    "weight_none": (
        lambda: functional.guided_pacconv2d(X, G, None, backend=REFUSING),  # type: ignore[arg-type]
        TypeError,
        "guided_pacconv2d: got weight of type NoneType, expected torch.Tensor",
    ),
    "kernel_type_none": (
        lambda: functional.packernel2d(G, kernel_size=3, kernel_type=None, backend=REFUSING),  # type: ignore[arg-type]
        ValueError,
        "packernel2d: got kernel_type None, expected 'gaussian' or",
    ),
    "alpha_dtype": (
        lambda: functional.packernel2d(
            G, kernel_size=3, kernel_type="inv_1_1", inv_alpha=torch.ones(1).double(), backend=REFUSING
        ),
        TypeError,
        "packernel2d: got inv_alpha of dtype torch.float64, expected torch.float32 as guide",
    ),
    "shared_channels": (
        lambda: PacConv2d(3, 4, 3, shared_filters=True),
        ValueError,
        "PacConv2d: got 3 input and 4 output channels with shared_filters, expected as many",
    ),
    "layer_even": (lambda: PacPool2d((3, 4)), ValueError, r"PacPool2d: got kernel_size \(3, 4\), expected odd sizes"),
    "layer_kernel_type": (
        lambda: PacConvTranspose2d(1, 1, 3, kernel_type="laplace"),
        ValueError,
        "PacConvTranspose2d: got kernel_type 'laplace', expected 'gaussian' or",
    ),
    "layer_smooth": (
        lambda: PacPool2d(3, smooth_kernel_type="full_2"),
        ValueError,
        "PacPool2d: got smooth_kernel_type 'full_2', expected an odd size",
    ),
    "layer_output_padding": (
        lambda: PacConvTranspose2d(1, 1, 3, stride=2, output_padding=2),
        ValueError,
        r"PacConvTranspose2d: got output_padding \(2, 2\), expected less than stride \(2, 2\)",
    ),
    "layer_channels": (
        lambda: PacPool2d(3, kernel_type="inv_1_1", channel_wise=True),
        ValueError,
        "PacPool2d: got channel_wise and kernel_type 'inv_1_1' without out_channels, expected the number of channels",
    ),
    "layer_filler": (
        lambda: PacConv2d(1, 1, 3, filler="zeros"),
        ValueError,
        "PacConv2d: got filler 'zeros', expected one of crf, crf_perturbed, crf_pool, linear, pool, uniform",
    ),
    "layer_filler_linear": (
        lambda: PacConvTranspose2d(2, 2, 3, stride=3, filler="linear"),
        ValueError,
        r"PacConvTranspose2d: got filler 'linear' with kernel_size \(3, 3\) .* kernel_size of at least \(5, 5\)",
    ),
    "layer_filler_pool": (
        lambda: PacConv2d(2, 2, 3, filler="pool"),
        ValueError,
        "PacConv2d: got filler 'pool' without shared_filters, expected shared_filters=True",
    ),
    "layer_nothing": (
        lambda: PacConv2d(4, 2, 3)(X, None),
        ValueError,
        "PacConv2d: got neither guide nor kernel, expected one of them",
    ),
    "layer_input": (
        lambda: PacConv2d(3, 2, 3, backend=REFUSING)(X, G),
        ValueError,
        r"guided_pacconv2d: got weight \(2, 3, 3, 3\) of 3 input channels, expected 4 \(input is \(2, 4, 6, 7\)\)",
    ),
    "nd2col_3d": (lambda: pac.nd2col(X[0], 3), ValueError, r"nd2col: got input_nd \(4, 6, 7\), expected 4 dimensions"),
    "compat_no_size": (
        lambda: pac.packernel2d(G),
        ValueError,
        "packernel2d: got kernel_size 0, expected at least 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_argument(name: str) -> None:
    call, error, message = WRONG[name]
    with pytest.raises(error, match=f"^{message}") as raised:
        call()
    assert type(raised.value) is error


@pytest.mark.parametrize("three", [3, (3, 3), [3, 3], np.int64(3), (np.int32(3), 3), torch.Size([3, 3])], ids=repr)
def test_every_pair_of_ints_is_one(three: Any) -> None:
    kernel, mask = functional.packernel2d(G, kernel_size=three)
    assert (kernel.shape, mask) == ((2, 1, 3, 3, 4, 5), None)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64])
def test_a_mask_of_any_real_dtype_says_the_same(dtype: torch.dtype) -> None:
    mask = torch.rand(2, 1, 6, 7) < 0.4
    expected, expected_mask = functional.packernel2d(G, mask.float(), kernel_size=3, backend="unfold")
    kernel, output_mask = functional.packernel2d(G, mask.to(dtype), kernel_size=3, backend="unfold")
    assert torch.equal(kernel, expected)
    assert expected_mask is not None
    assert output_mask is not None
    assert torch.equal(output_mask, expected_mask)
    assert (output_mask.dtype, output_mask.shape) == (torch.bool, (2, 1, 4, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_parameters_of_a_16_bit_layer_meet_a_float32_guide(dtype: torch.dtype) -> None:
    layer = PacConv2d(4, 5, 3, kernel_type="inv_0.5_1.5", smooth_kernel_type="full_3", backend="unfold").to(dtype)
    output = layer(torch.randn(2, 4, 6, 7).to(dtype), torch.randn(2, 3, 6, 7))
    assert output.dtype == dtype
    output.sum().backward()
    assert {parameter.grad.dtype for parameter in layer.parameters()} == {dtype}
