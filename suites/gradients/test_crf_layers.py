"""CRF layers against a dense mean field in float64, and what holds for every CRF by mathematics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbench.backend import Backend
from pacbench.crf import ConvCRF
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

from .comparing import assert_agrees
from .dense_mean_field import (
    Array,
    DenseKernel,
    filtering_matrix,
    mean_field,
    pooling_matrix,
    softmax,
    upsampling_matrix,
)
from .numerical import assert_derivative_along_a_direction

pytestmark = pytest.mark.gate

CLASSES, HEIGHT, WIDTH = 3, 6, 7
STEPS = 3
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}


@dataclass(frozen=True)
class Case:
    """A CRF: its pairwise kernels, as `PacCRF.add_pairwise_kernel` takes them."""

    name: str
    kernels: Sequence[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("4d", [{"compat_type": "4d", "dilation": 2}]),
    Case("4d_fixed", [{"compat_type": "4d", "pairwise_weight": 0.3}], {"fixed_weighting": True, "unary_weight": 0.7}),
    Case("4d_5x5_blur2", [{"kernel_size": 5, "blur": 2}]),
    Case("2d", [{"compat_type": "2d"}]),
    Case("2d_pool", [{"compat_type": "2d", "spatial_filter": False, "dilation": 2}]),
    Case("potts", [{"compat_type": "potts", "pairwise_weight": 0.5}]),
    Case("potts_pool", [{"compat_type": "potts", "spatial_filter": False, "pairwise_weight": 0.5}]),
    Case("potts_pool_fixed", [{"compat_type": "potts", "spatial_filter": False}], {"fixed_weighting": True}),
    Case("na", [{"compat_type": "na", "dilation": 2}]),
    Case("na_blur3", [{"compat_type": "na", "blur": 3}]),
    Case(
        "several",
        [{"dilation": 1}, {"kernel_size": 5, "blur": 3, "compat_type": "potts"}, {"compat_type": "2d", "blur": 2},
         {"compat_type": "na"}],
        {"unary_weight": 1.3},
    ),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}


def _require(backend: Backend, dtype: torch.dtype = torch.float64) -> None:
    name = str(dtype).removeprefix("torch.")
    missing = [operator for operator in ("packernel2d", "pacconv2d", "pacpool2d")
               if operator not in backend.capabilities.operators]  # fmt: skip
    if missing:
        pytest.skip(f"{backend.name} has no {', '.join(missing)}")
    if name not in backend.capabilities.dtypes:
        pytest.skip(f"{backend.name} declares no {name}")


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _inputs(kernels: int) -> tuple[Tensor, list[Tensor]]:
    unary = _random(2, CLASSES, HEIGHT, WIDTH, seed=0)
    return unary, [_random(2, 2, HEIGHT, WIDTH, seed=1 + i) * 0.7 for i in range(kernels)]


def _build(kind: type[PacCRF] | type[PacCRFLoose], case: Case, backend: Backend, **options: Any) -> Any:
    """The CRF in float64 with random parameters, so that no term can hide behind a 0 or a 1."""
    crf = kind(CLASSES, STEPS, pairwise_kernels=case.kernels, backend=backend, **(case.options | options)).double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.add_(torch.randn(parameter.shape, dtype=torch.float64, generator=generator) * 0.2)
    return crf


def _number(value: Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else value


def _filter(layer: object) -> Array:
    weight = getattr(layer, "weight", None)
    assert isinstance(weight, Tensor)
    return np.asarray(weight.detach().numpy())


def _dense_kernels(crf: PacCRF, features: Sequence[Array]) -> list[DenseKernel]:
    """The same kernels for the oracle, read from the parameters alone."""
    dense = []
    for i, kernel in enumerate(crf.kernels):
        weight = _filter(crf.messengers[i])
        if kernel.compat_type in ("2d", "potts"):
            weight = np.eye(CLASSES)[:, :, None, None] * weight
        if kernel.compat_type == "2d":
            mix = _filter(crf.compat[i])[:, :, 0, 0]
            weight = np.einsum("ab,bckl->ackl", mix, weight)
        learned = kernel.compat_type == "potts" and not kernel.spatial_filter and not crf.fixed_weighting
        sign = -1.0 if kernel.compat_type == "potts" else 1.0
        scale = _number(crf.pairwise_weights[i]) if learned else sign * kernel.pairwise_weight
        adapts = kernel.compat_type != "na"
        dense.append(DenseKernel(weight, features[i] if adapts else None, kernel.dilation, kernel.blur, scale))
    return dense


def _expected(crf: PacCRF, unary: Tensor, features: Sequence[Tensor]) -> Tensor:
    results = []
    for n in range(unary.shape[0]):
        kernels = _dense_kernels(crf, [feature[n].numpy() for feature in features])
        weight = _number(crf.unary_weight)
        results.append(mean_field(unary[n].numpy(), kernels, steps=crf.num_steps, unary_weight=weight))
    return torch.from_numpy(np.stack(results))


def _expected_loose(crf: PacCRFLoose, unary: Tensor, features: Sequence[Tensor]) -> Tensor:
    results = []
    for n in range(unary.shape[0]):
        beliefs = unary[n].numpy()
        for step in crf.steps:
            assert isinstance(step, PacCRF)
            kernels = _dense_kernels(step, [feature[n].numpy() for feature in features])
            weight = _number(step.unary_weight)
            beliefs = mean_field(unary[n].numpy(), kernels, steps=1, unary_weight=weight, start=beliefs)
        results.append(beliefs)
    return torch.from_numpy(np.stack(results))


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dense_mean_field(case: Case, dtype: torch.dtype, backend: Backend) -> None:
    _require(backend, dtype)
    crf = _build(PacCRF, case, backend)
    unary, features = _inputs(len(case.kernels))
    expected = _expected(crf, unary, features)
    with torch.no_grad():
        result = crf.to(dtype)(unary.to(dtype), [feature.to(dtype) for feature in features])
    torch.testing.assert_close(result.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["4d", "several"])
def test_dense_mean_field_loose(name: str, backend: Backend) -> None:
    _require(backend)
    crf = _build(PacCRFLoose, BY_NAME[name], backend)
    unary, features = _inputs(len(BY_NAME[name].kernels))
    expected = _expected_loose(crf, unary, features)
    with torch.no_grad():
        result = crf(unary, features)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("blur", [1, 2])
def test_dense_mean_field_conv_crf(blur: int, backend: Backend) -> None:
    _require(backend)
    unary = _random(1, CLASSES, HEIGHT, WIDTH, seed=0)
    image = _random(1, 3, HEIGHT, WIDTH, seed=1).abs() * 20
    small = (-(-HEIGHT // blur), -(-WIDTH // blur))
    pool = pooling_matrix((HEIGHT, WIDTH), blur)
    position = np.stack(np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")).reshape(2, -1) / 3
    colour = image[0].numpy().reshape(3, -1) / 13
    ones = np.ones((1, 1, 5, 5))
    matrix = sum(compat * filtering_matrix(ones, (values @ pool.T).reshape(-1, *small), 1)
                 for compat, values in ((3.0, position), (10.0, colour)))  # fmt: skip
    matrix = upsampling_matrix((HEIGHT, WIDTH), blur) @ matrix @ pool
    log_unary = np.log(softmax(unary[0].numpy())).reshape(CLASSES, -1)
    logits = beliefs = log_unary
    for _ in range(STEPS):
        logits = 0.75 * log_unary + 0.25 * beliefs @ matrix.T
        beliefs = softmax(logits)
    expected = torch.from_numpy(logits.reshape(1, CLASSES, HEIGHT, WIDTH))
    with torch.no_grad():
        result = ConvCRF(CLASSES, 5, blur, STEPS, weight=0.25, backend=backend).double()(unary, image)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])
def test_steps_on_a_coarser_grid(dtype: torch.dtype, backend: Backend) -> None:
    """What Conv-CRF does at full resolution, on lines longer than any vector, for several images."""
    _require(backend, dtype)
    for factor, (height, width) in {1: (3, 5), 3: (7, 70), 4: (9, 149)}.items():
        cells = (-(-height // factor), -(-width // factor))
        base, message = _random(2, CLASSES, height, width, seed=0), _random(2, CLASSES, *cells, seed=1)
        pooled, upsampled = (matrix((height, width), factor) for matrix in (pooling_matrix, upsampling_matrix))
        logits = base + (message.flatten(2) @ torch.from_numpy(upsampled.T)).view_as(base)
        beliefs = (logits.softmax(dim=1).flatten(2) @ torch.from_numpy(pooled.T)).view_as(message)
        given = base.to(dtype), message.to(dtype), factor
        with torch.no_grad():
            assert_agrees(backend.add_blurred(*given), logits, TOLERANCE[dtype], f"{backend.name} sum by {factor}")
            assert_agrees(
                backend.blurred_beliefs(*given), beliefs, TOLERANCE[dtype], f"{backend.name} beliefs by {factor}"
            )


@pytest.mark.parametrize("name", ["4d", "2d_pool", "potts_pool", "several"])
@pytest.mark.parametrize("kind", [PacCRF, PacCRFLoose], ids=["tied", "loose"])
def test_gradient(kind: type[PacCRF] | type[PacCRFLoose], name: str, backend: Backend) -> None:
    _require(backend)
    if not backend.capabilities.gradients:
        pytest.skip(f"{backend.name} declares no gradients")
    case = BY_NAME[name]
    crf, by_unfold = (
        kind(2, 2, pairwise_kernels=case.kernels, backend=which, **case.options).double()
        for which in (backend, "unfold")
    )
    parameters = dict(crf.named_parameters())
    unary = _random(1, 2, 4, 5, seed=3).requires_grad_()
    features = [_random(1, 1, 4, 5, seed=4 + i).requires_grad_() for i in range(len(case.kernels))]
    values = [parameter.detach().clone().requires_grad_() for parameter in parameters.values()]
    inputs = (unary, *features, *values)

    def run(unary: Tensor, *others: Tensor, layer: PacCRF | PacCRFLoose = crf) -> Tensor:
        state = dict(zip(parameters, others[len(features) :], strict=True))
        beliefs: Tensor = torch.func.functional_call(layer, state, (unary, list(others[: len(features)])))
        return beliefs

    if not backend.directional_derivatives:
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
        return
    # Each call is slow: all arguments at once along a direction, and every element by `unfold`'s.
    what = f"{backend.name} {kind.__name__} {name}"
    assert_derivative_along_a_direction(run, inputs, what)
    gradients, wanted = (
        torch.autograd.grad(run(*inputs, layer=layer).square().sum(), inputs, materialize_grads=True)
        for layer in (crf, by_unfold)
    )
    named = ("unary", *(f"features {i}" for i in range(len(features))), *parameters)
    for which, gradient, want in zip(named, gradients, wanted, strict=True):
        assert_agrees(gradient, want, TOLERANCE[torch.float64], f"{what} gradient to {which}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_zero_pairwise_weight_returns_the_unary(case: Case, backend: Backend) -> None:
    _require(backend)
    kernels = [options | {"pairwise_weight": 0.0} for options in case.kernels]
    crf = PacCRF(CLASSES, STEPS, unary_weight=1.0, pairwise_kernels=kernels, backend=backend).double()
    unary, features = _inputs(len(kernels))
    assert torch.equal(crf(unary, features), unary)


@pytest.mark.parametrize("name", ["4d", "2d", "potts_pool", "several"])
def test_permuting_classes(name: str, backend: Backend) -> None:
    """Permuting the classes of the unary and of every filter permutes the result."""
    _require(backend)
    crf = _build(PacCRF, BY_NAME[name], backend)
    unary, features = _inputs(len(BY_NAME[name].kernels))
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        expected = crf(unary, features)[:, order]
        for i, kernel in enumerate(crf.kernels):
            if kernel.compat_type in ("4d", "na"):
                crf.messengers[i].weight.copy_(crf.messengers[i].weight[order][:, order].clone())
            elif kernel.compat_type == "2d":
                crf.compat[i].weight.copy_(crf.compat[i].weight[order][:, order].clone())
        result = crf(unary[:, order], features)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_uniform_image_gives_the_position_only_result(backend: Backend) -> None:
    """Where no colour differs the adapting kernel is 1 and the message is a plain convolution."""
    _require(backend)
    adapting = PacCRF(CLASSES, STEPS, pairwise_kernels={"kernel_size": 5, "dilation": 2}, backend=backend).double()
    plain = PacCRF(CLASSES, STEPS, pairwise_kernels={"kernel_size": 5, "dilation": 2, "compat_type": "na"}).double()
    plain.load_state_dict(adapting.state_dict())
    unary, _ = _inputs(0)
    image = torch.full((2, 3, HEIGHT, WIDTH), 0.8, dtype=torch.float64)
    torch.testing.assert_close(adapting(unary, image), plain(unary, None), rtol=1e-10, atol=1e-10)


def test_4d_start_equals_potts(backend: Backend) -> None:
    """Σ_l' (1 - δ) Q(l') = 1 - Q(l): unperturbed 4d filters and a Potts kernel give the same probabilities."""
    _require(backend)
    unary, features = _inputs(1)
    results = [
        PacCRF(CLASSES, STEPS, "softmax", perturbed_init=False, backend=backend,
               pairwise_kernels={"compat_type": compat_type, "pairwise_weight": 0.4}).double()(unary, features)
        for compat_type in ("4d", "potts")
    ]  # fmt: skip
    torch.testing.assert_close(results[0], results[1], rtol=1e-6, atol=1e-6)


def test_kernel_and_steps_apart(backend: Backend) -> None:
    _require(backend)
    crf = _build(PacCRF, BY_NAME["several"], backend)
    unary, features = _inputs(4)
    kernels = crf.compute_edge_kernels(features)
    assert [kernel is None for kernel in kernels] == [False, False, False, True]
    assert torch.equal(crf(unary, None, kernels), crf(unary, features))
