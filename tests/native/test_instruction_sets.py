"""Every instruction set that this processor has gives the same answers, forward and backward."""

from __future__ import annotations

import itertools

import pytest
import torch

from pacbench import functional, get_backend
from pacbench.backends.native import library
from pacbench.suites.gradients.cases import BY_ID, PLAIN, Case
from pacbench.suites.gradients.comparing import assert_agrees, require_gradients
from pacbench.suites.gradients.samples import call, tensors

pytestmark = pytest.mark.usefixtures("needs_library")

OTHERS = (
    "guided_pacconv2d-3x3-17_channels",
    "guided_pacconv2d-mask_normalized",
    "guided_pacconv2d-inv",
    "guided_pacconv2d-3x3-stride3",
    "guided_pacpool2d-channel_wise-inv",
    "guided_pacconv_transpose2d-5x5-stride4",
    "packernel2d-gaussian_asym",
)
CASES = (*PLAIN, *(BY_ID[name] for name in OTHERS))


@pytest.mark.usefixtures("needs_isa")
@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_agrees_with_unfold(case: Case, dtype: torch.dtype, isa: str) -> None:
    given = tensors(case, dtype)
    names = require_gradients(given, get_backend("native"))
    exact = {name: tensor.detach().double().requires_grad_(name in names) for name, tensor in given.items()}
    want = call(case, exact, "unfold")[0]
    cotangent = torch.randn(want.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    with library.use_isa(isa) as used:
        assert used.isa == isa
        output = call(case, given, "native")[0]
        gradients = torch.autograd.grad(output, [given[name] for name in names], cotangent)
    tolerance = 1e-12 if dtype is torch.float64 else 2e-6
    assert_agrees(output, want, tolerance, f"{isa} {case.id}")
    wanted = torch.autograd.grad(want, [exact[name] for name in names], cotangent.double())
    for name, gradient, right in zip(names, gradients, wanted, strict=True):
        assert_agrees(gradient, right, 2.5 * tolerance, f"{isa} {case.id} gradient to {name}")


@pytest.mark.usefixtures("needs_isa")
@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("operator", ["guided_pacconv2d", "shared filters", "guided_pacpool2d"])
def test_what_no_window_meets_reaches_no_gradient(operator: str, isa: str) -> None:
    """A stride leaves a pixel out that holds no number; lanes beyond the image's outputs lie on it."""
    generator = torch.Generator().manual_seed(0)
    input, guide = (torch.rand(1, 2, 5, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    input[..., 1, 4] = guide[..., 1, 4] = float("nan")
    filters = {"guided_pacconv2d": (2, 2, 3, 3), "shared filters": (1, 1, 3, 3)}.get(operator)
    given = [input, guide] + (
        [] if filters is None else [torch.rand(filters, generator=generator, dtype=torch.float64)]
    )
    for tensor in given:
        tensor.requires_grad_()

    def gradients(backend: str) -> tuple[torch.Tensor, ...]:
        if filters is None:
            output = functional.guided_pacpool2d(input, guide, kernel_size=3, stride=3, backend=backend)
        else:
            output = functional.guided_pacconv2d(
                *given, stride=3, shared_filters=operator == "shared filters", backend=backend
            )
        return torch.autograd.grad(output.sum(), given)

    expected = gradients("unfold")
    assert all(gradient.isfinite().all() for gradient in expected)
    with library.use_isa(isa):
        found = gradients("native")
    for gradient, want in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("needs_isa")
@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("name", ["guided_pacconv2d-3x3-17_channels", "guided_pacconv_transpose2d-5x5-stride4"])
def test_gradients_do_not_depend_on_which_others_are_wanted(name: str, isa: str) -> None:
    """As in a first layer, whose input needs none, or one with frozen filters."""
    given = tensors(BY_ID[name], torch.float32)
    names = require_gradients(given, get_backend("native"))
    with library.use_isa(isa):
        output = call(BY_ID[name], given, "native")[0]
        cotangent = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        gradients = torch.autograd.grad(output, [given[name] for name in names], cotangent)
        together = dict(zip(names, gradients, strict=True))
        for count in range(1, len(names)):
            for wanted in itertools.combinations(names, count):
                alone = {key: tensor.detach().requires_grad_(key in wanted) for key, tensor in given.items()}
                output = call(BY_ID[name], alone, "native")[0]
                gradients = torch.autograd.grad(output, [alone[key] for key in wanted], cotangent)
                for key, gradient in zip(wanted, gradients, strict=True):
                    assert torch.equal(gradient, together[key]), f"{key} where {', '.join(wanted)} are wanted"


def test_a_block_ends() -> None:
    before = library.current()
    with library.use_isa("portable"):
        assert library.current().isa == "portable"
    assert library.current() is before
    with pytest.raises(library.Unusable, match="got 'mmx', expected one of"), library.use_isa("mmx"):
        pass
    assert library.current() is before
