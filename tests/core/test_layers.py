"""Layers: parameters, buffers and state_dict keys as users know them; copies, casts and text."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from pacbench import functional, get_backend
from pacbench.compat import pac
from pacbench.geometry import Window
from pacbench.nn import PacConv2d, PacConvTranspose2d, PacPool2d

Keys = dict[str, tuple[tuple[int, ...], type[torch.Tensor]]]
P, B = nn.Parameter, torch.Tensor

STATES: dict[str, tuple[nn.Module, Keys]] = {
    "conv": (PacConv2d(4, 5, (3, 5)), {"weight": ((5, 4, 3, 5), P), "bias": ((5,), P)}),
    "conv-no_bias": (PacConv2d(4, 5, 3, bias=False), {"weight": ((5, 4, 3, 3), P)}),
    "conv-shared": (PacConv2d(4, 4, 3, shared_filters=True), {"weight": ((1, 1, 3, 3), P), "bias": ((4,), P)}),
    "transposed": (PacConvTranspose2d(4, 5, 3), {"weight": ((4, 5, 3, 3), P), "bias": ((5,), P)}),
    "transposed-shared": (
        PacConvTranspose2d(4, 4, 3, shared_filters=True, bias=False),
        {"weight": ((1, 1, 3, 3), P)},
    ),
    "pool": (PacPool2d(3), {}),
    "pool-inv": (PacPool2d(3, kernel_type="inv_0.5_2"), {"inv_alpha": ((), P), "inv_lambda": ((), P)}),
    "pool-inv-channels": (
        PacPool2d(3, kernel_type="inv_0.5_2_asym", channel_wise=True, out_channels=6),
        {"inv_alpha": ((6,), P), "inv_lambda": ((6,), P)},
    ),
    "pool-inv-fixed": (
        PacPool2d(3, kernel_type="inv_0.5_2_fixed", channel_wise=True),
        {"inv_alpha": ((), B), "inv_lambda": ((), B)},
    ),
    "smooth-gaussian": (PacPool2d(3, smooth_kernel_type="gaussian"), {"smooth_kernel": ((1, 1, 3, 3), B)}),
    "smooth-average": (PacPool2d(3, smooth_kernel_type="average_5"), {"smooth_kernel": ((1, 1, 5, 5), B)}),
    "smooth-full": (PacPool2d(3, smooth_kernel_type="full_7"), {"smooth_kernel": ((1, 1, 7, 7), P)}),
    "filler-pool": (PacConv2d(2, 2, 3, shared_filters=True, bias=False, filler="pool"), {"weight": ((1, 1, 3, 3), B)}),
    "filler-crf_pool": (
        PacConv2d(2, 2, 3, shared_filters=True, filler="crf_pool"),
        {"weight": ((1, 1, 3, 3), B), "bias": ((2,), P)},
    ),
    "everything": (
        PacConv2d(3, 3, 5, 2, 2, 1, True, "inv_1_0.5", "full_3", True, True, "crf"),
        {
            "weight": ((1, 1, 5, 5), P),
            "bias": ((3,), P),
            "inv_alpha": ((), P),
            "inv_lambda": ((), P),
            "smooth_kernel": ((1, 1, 3, 3), P),
        },
    ),
}


def _call(layer: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The layer's output for numbers that are the same at every call."""
    generator = torch.Generator().manual_seed(1)
    channels = getattr(layer, "in_channels", 6)
    x = torch.randn(2, channels, 7, 8, generator=generator)
    height, width = Window(
        layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.transposed
    ).output_size((7, 8))
    if not layer.transposed:
        height, width = 7, 8
    guide = torch.randn(2, channels, height, width, generator=generator)
    output: torch.Tensor = layer(x.to(dtype), guide.to(dtype))
    return output


@pytest.mark.parametrize("name", STATES)
def test_state(name: str) -> None:
    layer, expected = STATES[name]
    assert {key: tuple(tensor.shape) for key, tensor in layer.state_dict().items()} == {
        key: shape for key, (shape, _) in expected.items()
    }
    assert {key for key, _ in layer.named_parameters()} == {key for key, (_, kind) in expected.items() if kind is P}
    assert {key for key, _ in layer.named_buffers()} == {key for key, (_, kind) in expected.items() if kind is B}


@pytest.mark.parametrize("name", STATES)
def test_copies_compute_the_same(name: str) -> None:
    layer, _ = STATES[name]
    expected = _call(layer)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded = copy.deepcopy(layer)
    for parameter in loaded.parameters():
        nn.init.constant_(parameter, 0.1)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), loaded):  # noqa: S301 - its own pickle
        assert torch.equal(_call(other), expected)


@pytest.mark.parametrize("name", STATES)
def test_double_and_back(name: str) -> None:
    layer = copy.deepcopy(STATES[name][0])
    output = _call(layer.double(), torch.float64)
    assert output.dtype == torch.float64
    assert torch.allclose(_call(layer.float()).double(), output, rtol=1e-4, atol=1e-4)
    assert {tensor.device.type for tensor in layer.to("meta").state_dict().values()} <= {"meta"}


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (PacConv2d(4, 5, 3), "PacConv2d(4, 5, kernel_size=(3, 3), kernel_type=gaussian)"),
        (
            PacConv2d(4, 4, 3, 2, 1, 2, False, "inv_1_2_asym", "full_3", True, True, backend="unfold"),
            "PacConv2d(4, 4, kernel_size=(3, 3), kernel_type=inv_1_2_asym, stride=(2, 2), padding=(1, 1), "
            "dilation=(2, 2), smooth_kernel_type=full_3, normalize_kernel=True, backend=unfold, shared_filters=True, "
            "bias=False)",
        ),
        (
            PacConvTranspose2d(1, 2, 3, 2, 1, 1),
            "PacConvTranspose2d(1, 2, kernel_size=(3, 3), kernel_type=gaussian, stride=(2, 2), padding=(1, 1), "
            "output_padding=(1, 1))",
        ),
        (
            PacPool2d(3, channel_wise=True, backend=get_backend("unfold")),
            "PacPool2d(kernel_size=(3, 3), kernel_type=gaussian, channel_wise=True, backend=unfold)",
        ),
    ],
    ids=["plain", "everything", "transposed", "pool"],
)
def test_text(layer: nn.Module, text: str) -> None:
    assert repr(layer) == text


@pytest.mark.parametrize("options", [{}, {"kernel_type": "inv_0.5_1"}, {"smooth_kernel_type": "full_3"}], ids=str)
def test_a_layer_is_its_function(options: dict[str, Any]) -> None:
    x, guide, mask = torch.randn(2, 3, 6, 7), torch.randn(2, 2, 6, 7), torch.rand(2, 1, 6, 7) < 0.5
    layer = PacConv2d(3, 4, 3, padding=1, normalize_kernel=True, **options)
    parameters = {name: getattr(layer, name) for name in ("inv_alpha", "inv_lambda", "smooth_kernel")}
    expected, expected_mask = functional.guided_pacconv2d(
        x, guide, layer.weight, layer.bias, padding=1, mask=mask, normalize_kernel=True, **parameters, **options
    )
    output, output_mask = layer(x, guide, mask=mask)
    assert torch.equal(output, expected)
    assert torch.equal(output_mask, expected_mask)
    kernel, kernel_mask = layer.compute_kernel(guide, mask)
    assert torch.equal(kernel_mask, expected_mask)
    assert torch.allclose(layer(x, None, kernel), expected, atol=1e-6)


def test_reset_brings_the_initial_adapting_kernel_back() -> None:
    layer = PacConv2d(3, 4, 3, kernel_type="inv_0.5_2", smooth_kernel_type="full_5")
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 7)
    layer.reset_parameters()
    assert layer.inv_alpha is not None
    assert layer.inv_lambda is not None
    assert layer.smooth_kernel is not None
    assert (layer.inv_alpha.item(), layer.inv_lambda.item()) == (0.5, 2)
    assert torch.allclose(layer.smooth_kernel, torch.full((1, 1, 5, 5), 1 / 25))
    assert layer.weight.abs().max() < 7


def test_a_pool_with_channels_checks_them() -> None:
    layer = PacPool2d(3, out_channels=2)
    with pytest.raises(ValueError, match=r"PacPool2d: got input \(1, 3, 5, 5\), expected 2 channels \(out_channels\)"):
        layer(torch.ones(1, 3, 5, 5), torch.ones(1, 1, 5, 5))


@pytest.mark.parametrize("layer", [pac.PacConv2d(1, 1, 3), pac.PacPool2d(3)], ids=["conv", "pool"])
def test_layers_of_the_compat_module_are_layers(layer: nn.Module) -> None:
    assert isinstance(layer, PacConv2d | PacPool2d)
    assert layer.native_impl is False
