"""The names, signatures and shapes of the reference's module `pac`, for programs that change an import."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation

import pacbench.nn
from pacbench import functional
from pacbench.compat import pac

CONV = "in_channels out_channels kernel_size stride padding dilation bias kernel_type smooth_kernel_type "
SIGNATURES = {
    "nd2col": "input_nd kernel_size stride padding output_padding dilation transposed use_pyinn_if_possible",
    "packernel2d": "input mask kernel_size stride padding output_padding dilation kernel_type smooth_kernel_type "
    "smooth_kernel inv_alpha inv_lambda channel_wise normalize_kernel transposed native_impl",
    "pacconv2d": "input kernel weight bias stride padding dilation shared_filters native_impl",
    "pacconv_transpose2d": "input kernel weight bias stride padding output_padding dilation shared_filters native_impl",
    "pacpool2d": "input kernel kernel_size stride padding dilation native_impl",
    "PacConv2d": CONV + "normalize_kernel shared_filters filler native_impl",
    "PacConvTranspose2d": CONV.replace("dilation", "output_padding dilation")
    + "normalize_kernel shared_filters filler native_impl",
    "PacPool2d": "kernel_size stride padding dilation kernel_type smooth_kernel_type channel_wise normalize_kernel "
    "out_channels native_impl",
}

X, G = torch.randn(2, 4, 6, 7), torch.randn(2, 3, 6, 7)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    assert list(inspect.signature(getattr(pac, name)).parameters) == SIGNATURES[name].split()
    assert name in pac.__all__


@pytest.mark.parametrize("native_impl", [False, True])
def test_functions_by_position(native_impl: bool) -> None:
    kernel, mask = pac.packernel2d(
        G, None, 3, 1, 1, 0, 1, "gaussian", "none", None, None, None, False, False, False, native_impl
    )
    assert mask is None
    expected, _ = functional.packernel2d(G, kernel_size=3, padding=1)
    assert torch.equal(kernel, expected)
    weight, bias = torch.randn(5, 4, 3, 3), torch.randn(5)
    output = pac.pacconv2d(X, kernel, weight, bias, 1, 1, 1, False, native_impl)
    assert torch.equal(output, functional.pacconv2d(X, kernel, weight, bias, padding=1))
    turned = weight.transpose(0, 1).contiguous()
    output = pac.pacconv_transpose2d(X, kernel, turned, bias, 1, 1, 0, 1, False, native_impl)
    assert torch.equal(output, functional.pacconv_transpose2d(X, kernel, turned, bias, padding=1))
    output = pac.pacpool2d(X, kernel, 3, 1, 1, 1, native_impl)
    assert torch.equal(output, functional.pacpool2d(X, kernel, 3, padding=1))


LAYERS: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    "PacConv2d": ((4, 5, 3, 1, 1, 1, True, "gaussian", "none", False, False, "uniform", True), (2, 5, 6, 7)),
    "PacConvTranspose2d": (
        (4, 5, 3, 1, 1, 0, 1, True, "gaussian", "none", False, False, "uniform", True),
        (2, 5, 6, 7),
    ),
    "PacPool2d": ((3, 1, 1, 1, "gaussian", "none", False, False, -1, True), (2, 4, 6, 7)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_by_position(name: str) -> None:
    arguments, shape = LAYERS[name]
    layer = getattr(pac, name)(*arguments)
    assert layer.native_impl is True
    output = layer(X, G)
    assert output.shape == shape
    ours = getattr(pacbench.nn, name)(*arguments[:-1])
    ours.load_state_dict(layer.state_dict())
    assert torch.equal(ours(X, G), output)
    kernel, _ = layer.compute_kernel(G)
    assert torch.allclose(layer(input_2d=X, input_for_kernel=None, kernel=kernel), output, atol=1e-6)


@pytest.mark.parametrize("normalize_kernel", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_output_mask_has_the_reference_s_shape(name: str, normalize_kernel: bool) -> None:
    layer = getattr(pac, name)(*LAYERS[name][0])
    layer.normalize_kernel = normalize_kernel
    mask = torch.zeros(2, 1, 6, 7)
    mask[:, :, :3, :3] = 1
    output, output_mask = layer(X, G, None, mask)
    assert (output_mask.shape, output_mask.dtype) == ((2, 1, 1, 1, 6, 7), torch.uint8)
    expected = F.max_pool2d(mask, 3, 1, 1)
    assert torch.equal(output_mask[:, :, 0, 0].float(), expected)
    kernel, kernel_mask = layer.compute_kernel(G, mask)
    assert torch.equal(kernel_mask, output_mask)
    assert torch.allclose(layer(X, None, kernel), output, atol=1e-6)


def test_the_output_mask_has_a_channel_for_each_normalised_kernel() -> None:
    layer = pac.PacPool2d(3, 1, 1, 1, "gaussian", "none", True, True)
    mask = torch.ones(2, 1, 6, 7)
    output, output_mask = layer(X, X, None, mask)
    kernel, kernel_mask = pac.packernel2d(X, mask, 3, 1, 1, channel_wise=True, normalize_kernel=True)
    assert output_mask.shape == kernel_mask.shape == layer.compute_kernel(X, mask)[1].shape == (2, 4, 1, 1, 6, 7)
    assert torch.allclose(pac.pacpool2d(X, kernel, 3, 1, 1), output, atol=1e-6)


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), ((1, 2), (2, 0), (2, 1))])
def test_nd2col(stride: Any, padding: Any, dilation: Any) -> None:
    taps = pac.nd2col(X, (3, 5), stride, padding, 0, dilation)
    unfolded = F.unfold(X, (3, 5), dilation, padding, stride)
    assert taps.shape[:4] == (2, 4, 3, 5)
    assert torch.equal(taps.flatten(1, 3).flatten(2), unfolded)


def test_nd2col_transposed() -> None:
    taps = pac.nd2col(X, 3, 2, 1, 1, 1, True)
    assert taps.shape == (2, 4, 3, 3, 12, 14)
    assert torch.equal(taps[:, :, 1, 1, ::2, ::2], X)
    assert (taps[:, :, 1, 1, 1::2] == 0).all()
    assert pac.nd2col(X, 3, output_padding=1).shape == (2, 4, 3, 3, 4, 5), "output_padding counts when transposed only"


def test_one_kernel_or_mask_serves_a_batch() -> None:
    kernel, _ = pac.packernel2d(G[:1], kernel_size=3, padding=1)
    weight, flipped = torch.randn(5, 4, 3, 3), torch.randn(4, 5, 3, 3)
    whole = kernel.repeat(2, 1, 1, 1, 1, 1)
    assert torch.equal(pac.pacconv2d(X, kernel, weight, None, 1, 1), pac.pacconv2d(X, whole, weight, None, 1, 1))
    assert torch.equal(
        pac.pacconv_transpose2d(X, kernel, flipped, None, 1, 1), pac.pacconv_transpose2d(X, whole, flipped, None, 1, 1)
    )
    assert torch.equal(pac.pacpool2d(X, kernel, 3, 1, 1), pac.pacpool2d(X, whole, 3, 1, 1))
    layer = pac.PacConv2d(4, 5, 3, padding=1)
    assert torch.equal(layer(X, None, kernel), layer(X, None, whole))
    mask = (torch.rand(1, 1, 6, 7) > 0.5).float()
    assert torch.equal(layer(X, G, None, mask)[0], layer(X, G, None, mask.repeat(2, 1, 1, 1))[0])


def test_unused_arguments_are_ignored() -> None:
    plain, _ = pac.packernel2d(G, kernel_size=3)
    one = torch.ones(1)
    given, _ = pac.packernel2d(G, kernel_size=3, smooth_kernel=torch.ones(1, 1, 3, 3), inv_alpha=one, inv_lambda=one)
    assert torch.equal(plain, given)


def test_np_gaussian_2d() -> None:
    gaussian = pac.np_gaussian_2d(5)
    assert gaussian.shape == (5, 5)
    assert gaussian.dtype == "float32"
    assert gaussian.sum() == pytest.approx(1, abs=1e-6)
    assert gaussian[2, 3] / gaussian[2, 2] == pytest.approx(math.exp(-0.5 / 1.25**2), rel=1e-5)
    assert pac.np_gaussian_2d(3, 0.5)[1, 0] / pac.np_gaussian_2d(3, 0.5)[1, 1] == pytest.approx(math.exp(-2), rel=1e-5)
    with pytest.raises(ValueError, match="np_gaussian_2d: got width 4"):
        pac.np_gaussian_2d(4)
