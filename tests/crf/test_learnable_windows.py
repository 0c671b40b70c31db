"""PAC-CRF and Conv-CRF as they are trained: gradients to every parameter and feature scale, and what must hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pacbench.crf import EdgeFeatures
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

SIZE = (5, 6)
ONE = [{"kernel_size": 3, "dilation": 2, "compat_type": "4d"}]
TWO = [{"kernel_size": 3, "dilation": dilation, "compat_type": "4d"} for dilation in (1, 3)]


def _image(batch: int = 1) -> Tensor:
    return 40 * torch.rand(batch, 3, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _unary(classes: int = 3) -> Tensor:
    return torch.randn(1, classes, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Trained(nn.Module):
    """A PAC-CRF on features whose scales are learned."""

    def __init__(self, crf: nn.Module, features: EdgeFeatures) -> None:
        super().__init__()
        self.crf = crf
        self.features = features

    def forward(self, unary: Tensor, image: Tensor) -> Tensor:
        result: Tensor = self.crf(unary, self.features(image))
        return result


@pytest.mark.parametrize("backend", ["unfold", "native"])
@pytest.mark.parametrize("kernels", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("kind", [PacCRF, PacCRFLoose], ids=["tied", "loose"])
def test_gradients_of_pac_crf(kind: type[PacCRF | PacCRFLoose], kernels: object, backend: str) -> None:
    if backend == "native":
        from pacbench.registry import get_backend

        if reasons := get_backend("native").unavailable_reasons():
            pytest.skip("; ".join(map(str, reasons)))
    torch.manual_seed(0)
    crf = kind(2, 2, pairwise_kernels=kernels, backend=backend)  # type: ignore[arg-type]
    model = Trained(crf, EdgeFeatures(20.0, 3.0)).double()
    names = [name for name, _ in model.named_parameters()]
    assert {"features.log_rgb_scale", "features.log_yx_scale"} < set(names)
    steps = ["crf."] if kind is PacCRF else ["crf.steps.0.", "crf.steps.1."]
    assert {f"{step}unary_weight" for step in steps} < set(names)
    # of a 4d kernel the filter's own scale is what is learned; as in the reference, its weight is not used
    used = [(name, tensor) for name, tensor in model.named_parameters() if "pairwise_weights" not in name]

    def run(unary: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip((name for name, _ in used), values, strict=True))
        result: Tensor = torch.func.functional_call(model, given, (unary, _image()))
        return result

    unary = _unary(2).requires_grad_()
    tensors = [tensor.detach().requires_grad_() for _, tensor in used]
    assert torch.autograd.gradcheck(run, (unary, *tensors), fast_mode=True)
    gradients = torch.autograd.grad(run(unary, *tensors).square().sum(), (unary, *tensors))
    assert all(bool(gradient.abs().max() > 0) for gradient in gradients)


def test_a_uniform_image_gives_the_position_only_result() -> None:
    uniform = torch.full((1, 3, *SIZE), 7.0, dtype=torch.float64)
    torch.manual_seed(0)
    adapting = PacCRF(3, 3, pairwise_kernels=TWO).double()
    plain = PacCRF(3, 3, pairwise_kernels=[{**kernel, "compat_type": "na"} for kernel in TWO]).double()
    with torch.no_grad():
        for kernel in range(2):
            plain.messengers[kernel].weight.copy_(adapting.messengers[kernel].weight)  # type: ignore[operator, union-attr]
        torch.testing.assert_close(adapting(_unary(), uniform), plain(_unary(), None), rtol=0, atol=1e-12)
        assert (adapting(_unary(), _image() / 20) - plain(_unary(), None)).abs().max() > 1e-3


def test_scales_stay_positive_and_start_as_they_are_given() -> None:
    features = EdgeFeatures(13.0, 80.0).double()
    result = features(_image(2))
    torch.testing.assert_close(result[:, 2:], _image(2) / 13, rtol=1e-6, atol=0)
    torch.testing.assert_close(result[:, 0, 4, 5], torch.full((2,), 4 / 80).double(), rtol=1e-6, atol=0)
    assert EdgeFeatures(13.0)(_image()).shape == (1, 3, *SIZE)
    with pytest.raises(ValueError, match="EdgeFeatures: got yx_scale=0, expected a finite number above 0"):
        EdgeFeatures(13.0, 0)
