"""What a backend must leave alone, must not keep, and must pass on."""

from __future__ import annotations

import pytest
import torch

from pacbench.backend import Backend
from pacbench.columns import columns
from pacbench.running.device import device_of

from .cases import BY_ID, PLAIN, Case
from .comparing import assert_agrees, dtype_or_skip, require_gradients
from .samples import call, tensors, window_of

each_operator = pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)


def _smoke(*ids: str) -> pytest.MarkDecorator:
    """All operators, those named being part of the smoke subset."""
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, id=case.id, marks=[pytest.mark.smoke] if case.id in ids else []) for case in PLAIN],
    )


@_smoke("guided_pacconv2d-3x3", "pacpool2d-3x3")
def test_inputs_are_untouched(backend: Backend, case: Case) -> None:
    """Neither forward nor backward writes into an argument, nor bumps its version."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    before = {name: tensor.clone() for name, tensor in given.items()}
    names = require_gradients(given, backend)
    versions = {name: tensor._version for name, tensor in given.items()}
    output = call(case, given, backend)[0]
    if names:
        weights = torch.ones_like(output)
        torch.autograd.grad(output, [given[name] for name in names], weights)
        assert torch.equal(weights, torch.ones_like(output)), "the incoming gradient was modified"
    for name, tensor in given.items():
        assert torch.equal(tensor, before[name]), f"{case.operator}: {name} was modified"
        assert tensor._version == versions[name], f"{case.operator}: {name} was written in place"


@_smoke("pacconv2d-3x3", "guided_pacconv_transpose2d-3x3-stride2")
def test_results_are_fresh(backend: Backend, case: Case) -> None:
    """A call answers for the values it is given now, also after the same tensors were overwritten.

    They are overwritten behind autograd's back (by `.data`, which leaves address and version as they were): so
    looks memory that was freed and used again.
    """
    dtype_name = backend.capabilities.dtypes[0]
    dtype, device = dtype_or_skip(backend, dtype_name), device_of(backend)
    given, other = tensors(case, dtype, device), tensors(case, dtype, device, seed=1)
    first = call(case, given, backend)[0]
    kept = first.clone()
    call(case, other, backend)
    assert torch.equal(first, kept), f"{case.operator}: a later call overwrote an earlier result"
    for name, tensor in given.items():
        tensor.data.copy_(other[name])
    assert_agrees(
        call(case, given, backend)[0],
        call(case, {name: tensor.double() for name, tensor in other.items()}, "unfold")[0],
        backend.capabilities.tolerance(dtype_name, "forward"),
        f"{backend.name} {case.id} after its arguments were overwritten",
    )


@pytest.mark.parametrize(
    "case", [*PLAIN, *(case for case in BY_ID.values() if case.kernel_size == 1)], ids=lambda case: case.id
)
def test_results_are_new_memory(backend: Backend, case: Case) -> None:
    """No output shares memory with an argument, even where it equals one: writing into it must harm nobody."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    if "kernel" in given:
        given["kernel"].fill_(1)
    taken = {tensor.untyped_storage().data_ptr(): name for name, tensor in given.items()}
    for output in call(case, given, backend):
        shared = taken.get(output.untyped_storage().data_ptr())
        assert shared is None, f"{case.operator}: the output shares the memory of {shared}"


@_smoke("guided_pacconv2d-3x3")
def test_determinism(backend: Backend, case: Case) -> None:
    """The same call gives the same bits, forward and backward, where the backend declares so.

    In the first and the last dtype declared: code paths differ, and rounding to few bits hides differences.
    """
    if not backend.capabilities.deterministic:
        pytest.skip(f"{backend.name} declares that it is not deterministic")
    dtypes = backend.capabilities.dtypes
    for dtype_name in dict.fromkeys((dtypes[0], dtypes[-1])):
        _assert_deterministic(backend, case, dtype_name)


def _assert_deterministic(backend: Backend, case: Case, dtype_name: str) -> None:
    given = tensors(case, dtype_or_skip(backend, dtype_name), device_of(backend))
    names = require_gradients(given, backend)

    def results() -> list[torch.Tensor]:
        output = call(case, given, backend)[0]
        if not names:
            return [output]
        return [output, *torch.autograd.grad(output.square().sum(), [given[name] for name in names])]

    first = results()
    for _ in range(4):
        for name, once, again in zip(["output", *names], first, results(), strict=False):
            same = torch.equal(once, again)
            assert same, f"{case.operator}: {name} in {dtype_name} differs between two identical calls"


@each_operator
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=["nan", "inf", "-inf"])
def test_non_finite_values_reach_what_they_reach_in_unfold(backend: Backend, case: Case, value: float) -> None:
    """A NaN or Inf in input, guide, kernel, base or beliefs reaches exactly the outputs that it reaches in `unfold`.

    A kernel is spoilt at a tap that meets a pixel: where it meets padding or an inserted zero a backend may leave the
    tap out. A class whose belief is -inf has probability 0: it reaches none.
    """
    dtype_name = backend.capabilities.dtypes[0]
    for name in ("input", "guide", "kernel", "base", "beliefs"):
        given = tensors(case, dtype_or_skip(backend, dtype_name), device_of(backend))
        if name not in given:
            continue
        places = torch.arange(given[name].numel())
        if name == "kernel":
            meets = columns(given["kernel"].new_ones(case.batch, 1, *case.size), window_of(case))
            places = meets.expand_as(given["kernel"]).flatten().nonzero().flatten()
        given[name].flatten()[places[len(places) // 3]] = value
        tolerance = backend.capabilities.tolerance(dtype_name, "forward")
        output, want = call(case, given, backend)[0], call(case, given, "unfold")[0]
        reached = torch.isfinite(output) == torch.isfinite(want)
        assert bool(reached.all()), f"{case.operator}: {value} in {name} reached {int((~reached).sum())} other values"
        assert not bool(torch.isfinite(want).all()) or name != "input", "the sample reaches nothing"
        finite = torch.isfinite(want)
        assert_agrees(output[finite], want[finite].double(), tolerance, f"{case.id} beside {value} in {name}")


def test_base_may_be_the_beliefs(backend: Backend) -> None:
    """As in the first step of a CRF: the result is that of two tensors, and the gradient the sum of theirs."""
    case = BY_ID["mean_field_update-3x3"]
    dtype_name = backend.capabilities.dtypes[0]
    given = tensors(case, dtype_or_skip(backend, dtype_name), device_of(backend))
    given["base"] = given["beliefs"].clone()
    names = require_gradients(given, backend)
    apart = call(case, given, backend)[0]
    together = call(case, given | {"base": given["beliefs"]}, backend)[0]
    tolerance = backend.capabilities.tolerance(dtype_name, "forward")
    assert_agrees(together, apart.double(), tolerance, "update of beliefs that are the base")
    if "beliefs" not in names:
        pytest.skip(f"{backend.name} declares no gradient to the beliefs")
    to_base, to_beliefs = torch.autograd.grad(apart.square().sum(), [given["base"], given["beliefs"]])
    (to_both,) = torch.autograd.grad(together.square().sum(), [given["beliefs"]])
    tolerance = backend.capabilities.tolerance(dtype_name, "backward")
    assert_agrees(to_both, (to_base + to_beliefs).double(), tolerance, "gradient to beliefs that are the base")


@each_operator
def test_batch_items_are_independent(backend: Backend, case: Case) -> None:
    """A batch gives what its items give one by one."""
    dtype_name = backend.capabilities.dtypes[0]
    given = tensors(case, dtype_or_skip(backend, dtype_name), device_of(backend))
    whole = call(case, given, backend)[0]
    shared = {"weight", "bias", "smooth_kernel", "inv_alpha", "inv_lambda"}
    for n in range(case.batch):
        item = {name: tensor if name in shared else tensor[n : n + 1] for name, tensor in given.items()}
        tolerance = backend.capabilities.tolerance(dtype_name, "forward")
        assert_agrees(call(case, item, backend)[0], whole[n : n + 1].double(), tolerance, f"{case.id} item {n}")


def test_second_backward_through_a_freed_graph_is_an_error(backend: Backend) -> None:
    """As for every torch operator: no stale gradient."""
    case = BY_ID["guided_pacconv2d-3x3"]
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    names = require_gradients(given, backend)
    if not names:
        pytest.skip(f"{backend.name} declares no gradients")
    total, values = call(case, given, backend)[0].sum(), [given[name] for name in names]
    torch.autograd.grad(total, values)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(total, values)
