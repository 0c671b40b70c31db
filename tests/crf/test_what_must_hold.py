"""What must hold for every CRF, whatever its messages are: no pairwise weight, permuted classes, a uniform image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pacbench.crf import BCLCRF, ConvCRF, FullCRF, FullCRFPydensecrf2
from pacbench.crf.lattice import lattice_unavailable_reasons
from pacbench.models import CRFOnUnary
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

CLASSES = 4
SIZE = (9, 11)
ORDER = torch.tensor([2, 0, 3, 1])


@dataclass(frozen=True)
class Kind:
    """A CRF of the table.

    Attributes:
        build: from the weight of its messages and what colours are divided by, to a model of image and unary.
        returned: what it makes of the unary where nothing is said by neighbours.
        tolerance: of results that rounding may part.
        mean_tolerance: of the mean difference between uniform images, which lie at several places of a lattice.
        unavailable: why it cannot run here.
    """

    build: Callable[[float, float], CRFOnUnary]
    returned: Callable[[Tensor], Tensor] = lambda unary: unary
    tolerance: float = 1e-10
    mean_tolerance: float = 1e-10
    unavailable: Callable[[], list[str]] = list


def _lattice(kind: Callable[..., nn.Module], **options: Any) -> Kind:
    def build(weight: float, colour: float) -> CRFOnUnary:
        weights = {"position_compat": 0.7 * weight, "bilateral_compat": 1.3 * weight}
        crf = kind(CLASSES, 3, **weights, bilateral_sxy=4.0, bilateral_srgb=colour, final_output="log_Q", **options)
        return CRFOnUnary(crf, 1.0)

    return Kind(build, tolerance=1e-6, mean_tolerance=0.06, unavailable=lattice_unavailable_reasons)


def _pac(kind: type[PacCRF | PacCRFLoose], *kernels: dict[str, Any]) -> Kind:
    def build(weight: float, colour: float) -> CRFOnUnary:
        weighted = [{**kernel, "pairwise_weight": 0.4 * weight} for kernel in kernels]
        return CRFOnUnary(kind(CLASSES, 3, pairwise_kernels=weighted, backend="unfold"), colour)

    return Kind(build)


def _conv(blur: int) -> Kind:
    def build(weight: float, colour: float) -> CRFOnUnary:
        crf = ConvCRF(CLASSES, 5, blur, 3, weight=0.1 * weight, colour_schan=colour, trainable=True, backend="unfold")
        return CRFOnUnary(crf, 1.0)

    return Kind(build, returned=lambda unary: unary.log_softmax(dim=1))  # which Conv-CRF begins with


def _pydensecrf2(weight: float, colour: float) -> CRFOnUnary:
    crf = FullCRFPydensecrf2(
        CLASSES, 3, position_compat=0.7 * weight, bilateral_compat=1.3 * weight, bilateral_sxy=4.0,
        bilateral_srgb=colour,
    )  # fmt: skip
    return CRFOnUnary(crf, 1.0)


KINDS = {
    "full_potts": _lattice(FullCRF),
    "full_learned": _lattice(FullCRF, compatibility="learned", trainable=True),
    "full_pydensecrf2": Kind(
        _pydensecrf2, lambda unary: unary.softmax(dim=1), 1e-5, 0.01, FullCRFPydensecrf2.unavailable_reasons
    ),
    "bcl_tied": _lattice(BCLCRF),
    "bcl_loose": _lattice(BCLCRF, loose=True),
    "conv": _conv(1),
    "conv_blur2": _conv(2),
    "pac_4d": _pac(PacCRF, {"dilation": 2}),
    "pac_4d_two": _pac(PacCRF, {"dilation": 1}, {"kernel_size": 5, "dilation": 2}),
    "pac_4d_loose": _pac(PacCRFLoose, {"dilation": 1}, {"dilation": 3}),
    "pac_4d_blur2": _pac(PacCRF, {"blur": 2}),
    "pac_2d": _pac(PacCRF, {"compat_type": "2d"}),
    "pac_2d_loose": _pac(PacCRFLoose, {"compat_type": "2d"}),
    "pac_potts": _pac(PacCRF, {"compat_type": "potts"}),
    "pac_potts_pool": _pac(PacCRF, {"compat_type": "potts", "spatial_filter": False}),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found = KINDS[request.param]
    reasons = found.unavailable()
    if reasons:
        pytest.skip("; ".join(reasons))
    return found


def _image() -> Tensor:
    return 255 * torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _unary() -> Tensor:
    return torch.randn(1, CLASSES, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _perturbed(model: CRFOnUnary) -> CRFOnUnary:
    """In float64, with parameters that differ from class to class."""
    generator = torch.Generator().manual_seed(2)
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return model


def _permuted(tensor: Tensor) -> Tensor:
    """Every axis that counts classes in the other order; no kernel has as many taps on a side."""
    for axis, size in enumerate(tensor.shape):
        if size == CLASSES:
            tensor = tensor.index_select(axis, ORDER)
    return tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_without_pairwise_weight_the_unary_is_returned_exactly(kind: Kind, dtype: torch.dtype) -> None:
    model, image, unary = kind.build(0.0, 60.0).to(dtype), _image().to(dtype), _unary().to(dtype)
    with torch.no_grad():
        result = model(image, unary)
    if kind is KINDS["full_pydensecrf2"]:  # which takes energies and gives probabilities, in float32
        torch.testing.assert_close(result, kind.returned(unary), rtol=0, atol=1e-6)
    else:
        assert torch.equal(result, kind.returned(unary))


def test_permuting_classes_with_all_that_is_learned_of_them_permutes_the_result(kind: Kind) -> None:
    model, other = _perturbed(kind.build(1.0, 60.0)), kind.build(1.0, 60.0).double()
    state = model.state_dict()
    permuted = {name: _permuted(tensor) for name, tensor in state.items()}
    other.load_state_dict(permuted)
    with torch.no_grad():
        plain = model(_image(), _unary())
        expected = plain[:, ORDER]
        torch.testing.assert_close(other(_image(), _unary()[:, ORDER]), expected, rtol=0, atol=kind.tolerance)
        assert (plain - kind.returned(_unary())).abs().max() > 1e-2, "the messages must matter"
        if any(not torch.equal(tensor, state[name]) for name, tensor in permuted.items()):
            unpermuted = model(_image(), _unary()[:, ORDER])
            assert (unpermuted - expected).abs().max() > 1e-4, "parameters left in their order must be seen"


def test_a_uniform_image_gives_the_position_only_result(kind: Kind) -> None:
    """Position only: what the same CRF gives for any image when colours are divided by so much that none is left."""
    model, blind = kind.build(1.0, 20.0).double(), kind.build(1.0, 1e9).double()
    blind.load_state_dict({
        name: value if "schan" not in name else blind.state_dict()[name] for name, value in model.state_dict().items()
    })  # fmt: skip
    uniform = torch.zeros_like(_image())
    with torch.no_grad():
        expected = blind(_image(), _unary())
        for colour in (0.0, 30.0, 255.0):
            assert (model(uniform + colour, _unary()) - expected).abs().mean() <= kind.mean_tolerance
        assert (model(_image(), _unary()) - expected).abs().max() > 1e-3, (
            "the image must matter where it is not uniform"
        )
