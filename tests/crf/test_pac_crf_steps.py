"""The steps of a PAC-CRF against the update written out from its layers, and which of them are one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from pacbench.backends.unfold import UnfoldBackend
from pacbench.blurring import pool_by, upsample_by
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

STEPS = 3
CONFIGURATIONS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "4d": ([{"dilation": 2}], {}),
    "4d_5x5_fixed": ([{"kernel_size": 5, "pairwise_weight": 0.3}], {"fixed_weighting": True, "unary_weight": 0.7}),
    "4d_twice": ([{"dilation": 1, "pairwise_weight": 0.4}, {"dilation": 3}], {"unary_weight": 1.3}),
    "4d_blur2": ([{"blur": 2}], {}),
    "potts": ([{"compat_type": "potts", "pairwise_weight": 0.5}], {}),
    "potts_blur2": ([{"compat_type": "potts", "blur": 2}], {}),
    "potts_pool": ([{"compat_type": "potts", "spatial_filter": False, "pairwise_weight": 0.5}], {}),
    "potts_pool_fixed": ([{"compat_type": "potts", "spatial_filter": False}], {"fixed_weighting": True}),
    "potts_pool_blur2": ([{"compat_type": "potts", "spatial_filter": False, "blur": 2}], {}),
    "2d": ([{"compat_type": "2d"}], {}),
    "2d_pool": ([{"compat_type": "2d", "spatial_filter": False, "pairwise_weight": 0.6}], {}),
    "na": ([{"compat_type": "na"}], {}),
    "all": (
        [
            {"compat_type": "2d", "blur": 2},
            {"dilation": 2},
            {"compat_type": "na"},
            {"compat_type": "potts", "spatial_filter": False, "pairwise_weight": 0.5},
            {"compat_type": "2d"},
        ],
        {"unary_weight": 0.8},
    ),
}
FUSED = {"4d": 1, "4d_5x5_fixed": 1, "4d_twice": 2, "potts": 1, "potts_pool": 1, "potts_pool_fixed": 1, "all": 2}
"""How many updates of a step are `mean_field_update`; none elsewhere."""

each_configuration = pytest.mark.parametrize("name", list(CONFIGURATIONS))
each_kind = pytest.mark.parametrize("kind", [PacCRF, PacCRFLoose], ids=["tied", "loose"])


class Counting(UnfoldBackend):
    """`unfold`, which counts the updates that it is asked for."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.updates = 0

    def mean_field_update(self, *tensors: Any, **keywords: Any) -> Tensor:
        self.updates += 1
        return super().mean_field_update(*tensors, **keywords)


def build(kind: type[PacCRF] | type[PacCRFLoose], name: str, dtype: torch.dtype = torch.float64) -> Any:
    """A CRF with random parameters, so that no term can hide behind a 0 or a 1."""
    kernels, options = CONFIGURATIONS[name]
    crf = kind(3, STEPS, pairwise_kernels=kernels, backend=Counting(), **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return crf.to(dtype)


def inputs(name: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    unary = torch.randn(2, 3, 6, 7, generator=generator, dtype=torch.float64)
    features = [torch.randn(2, 2, 6, 7, generator=generator, dtype=torch.float64) for _ in CONFIGURATIONS[name][0]]
    return unary.to(dtype), [feature.to(dtype) for feature in features]


def step_by_layers(crf: PacCRF, unary: Tensor, beliefs: Tensor, kernels: Sequence[Tensor | None]) -> Tensor:
    """logQ = unary · unary_weight - Σ_i weight_i · message_i(softmax(beliefs)), each layer called by itself."""
    updated = unary * crf.unary_weight
    for i, (kernel, adapting) in enumerate(zip(crf.kernels, kernels, strict=True)):
        source = pool_by(beliefs.softmax(dim=1), kernel.blur)
        messenger, compat = crf.messengers[i], crf.compat[i]
        message = messenger(source) if kernel.compat_type == "na" else messenger(source, None, adapting)
        message = message if kernel.compat_type != "2d" else compat(message)
        learnt = kernel.compat_type == "potts" and not kernel.spatial_filter and not crf.fixed_weighting
        sign = -1 if kernel.compat_type == "potts" else 1
        weight = crf.pairwise_weights[i] if learnt else sign * kernel.pairwise_weight
        updated = updated - weight * upsample_by(message, kernel.blur, (unary.shape[2], unary.shape[3]))
    return updated


def by_layers(crf: Any, unary: Tensor, features: Sequence[Tensor]) -> Tensor:
    kernels = crf.compute_edge_kernels(features)
    beliefs = unary
    for t in range(STEPS):
        beliefs = step_by_layers(crf.steps[t] if isinstance(crf, PacCRFLoose) else crf, unary, beliefs, kernels)
    return beliefs


def updates(crf: Any) -> int:
    steps = list(crf.steps) if isinstance(crf, PacCRFLoose) else [crf]
    backends = {id(messenger.backend): messenger.backend for step in steps for messenger in step.messengers
                if hasattr(messenger, "backend")}  # fmt: skip
    return sum(backend.updates for backend in backends.values())


@each_kind
@each_configuration
def test_outputs_and_gradients_are_those_of_the_layers(kind: Any, name: str) -> None:
    crf = build(kind, name)
    unary, features = inputs(name)
    leaves = [unary.requires_grad_(), *(feature.requires_grad_() for feature in features), *crf.parameters()]
    wanted = by_layers(crf, unary, features)
    assert updates(crf) == 0
    output = crf(unary, features)
    assert updates(crf) == FUSED.get(name, 0) * STEPS
    torch.testing.assert_close(output, wanted, rtol=1e-12, atol=1e-12)
    gradients, expected = (
        torch.autograd.grad(result.square().sum(), leaves, allow_unused=True) for result in (output, wanted)
    )
    for got, want in zip(gradients, expected, strict=True):
        assert (got is None) == (want is None)
        if got is not None:
            torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@each_configuration
def test_bfloat16(name: str) -> None:
    crf = build(PacCRF, name, torch.bfloat16)
    unary, features = inputs(name, torch.bfloat16)
    with torch.no_grad():
        output = crf(unary, features)
        wanted = crf.double()(unary.double(), [feature.double() for feature in features])
    assert output.dtype == torch.bfloat16
    assert float((output.double() - wanted).abs().max() / wanted.abs().max()) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@each_configuration
def test_autocast_keeps_the_beliefs_in_float32(name: str, dtype: torch.dtype) -> None:
    crf = build(PacCRF, name, torch.float32)
    unary, features = inputs(name, dtype)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = crf(unary, features)
    with torch.no_grad():
        wanted = crf(unary.float(), [feature.float() for feature in features])
    assert output.dtype == torch.float32
    assert float((output - wanted).abs().max() / wanted.abs().max()) < 0.02


def test_autocast_trains() -> None:
    crf = build(PacCRF, "all", torch.float32)
    unary, features = inputs("all", torch.bfloat16)
    unary.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        crf(unary, features).square().mean().backward()
    assert unary.grad is not None
    assert unary.grad.dtype == torch.bfloat16
    used = [parameter for name, parameter in crf.named_parameters() if name in ("unary_weight", "pairwise_weights.3")]
    assert all(parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in used)


def test_an_edge_kernel_given_once_does_not_reach_a_plain_convolution() -> None:
    crf = PacCRF(3, 2, pairwise_kernels=[{}, {"compat_type": "na"}], backend="unfold").double()
    unary, features = inputs("4d")
    (kernel, _) = crf.compute_edge_kernels(features[0])
    assert kernel is not None
    assert torch.equal(crf(unary, None, kernel), crf(unary, None, [kernel, None]))


@pytest.mark.parametrize("name", ["4d_twice", "potts_pool", "all"])
def test_it_compiles_into_one_graph(name: str) -> None:
    crf = build(PacCRF, name)
    unary, features = inputs(name)
    kernels = crf.compute_edge_kernels(features)
    for messenger in crf.messengers:
        messenger.backend = "unfold"
    compiled = torch.compile(crf, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(unary, None, kernels), crf(unary, None, kernels))
