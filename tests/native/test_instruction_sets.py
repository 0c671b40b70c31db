"""Every instruction set that this processor has gives the same answers, forward and backward."""

from __future__ import annotations

import pytest
import torch

from pacbench import get_backend
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


@pytest.mark.parametrize("isa", library.ISAS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_agrees_with_unfold(case: Case, dtype: torch.dtype, isa: str) -> None:
    if library.ISAS.index(isa) > library.ISAS.index(library.load().isa):
        pytest.skip(f"this processor runs {library.load().isa} at best")
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


def test_a_block_ends() -> None:
    before = library.current()
    with library.use_isa("portable"):
        assert library.current().isa == "portable"
    assert library.current() is before
    with pytest.raises(library.Unusable, match="got 'mmx', expected one of"), library.use_isa("mmx"):
        pass
    assert library.current() is before
