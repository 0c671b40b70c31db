"""Which backend serves a call, and what is said where none does."""

from __future__ import annotations

import contextlib

import pytest
import torch

from pacbench import NotSupportedError, Reason, UnavailableError, UnknownNameError, functional, use_backend
from pacbench.backends.unfold import UnfoldBackend
from pacbench.calls import Call
from pacbench.dispatch import ENVIRONMENT_VARIABLE, select
from pacbench.geometry import Window
from pacbench.registry import unavailable_reasons


def pooling_call(dtype: torch.dtype = torch.float32, stride: int = 1) -> Call:
    input, kernel = torch.ones(1, 2, 5, 5, dtype=dtype), torch.ones(1, 1, 3, 3, 3, 3, dtype=dtype)
    return Call("pacpool2d", {"input": input, "kernel": kernel}, Window((3, 3), stride=(stride, stride)))


def test_argument_then_use_backend_then_environment_then_priority(register, make_backend, monkeypatch):
    register(make_backend("low", priority=1), make_backend("high", priority=9), make_backend("a"), make_backend("b"))
    call = pooling_call()
    assert select(call).name == "high"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "low")
    assert select(call).name == "low"
    with use_backend("a"):
        assert select(call).name == "a"
        assert select(call, "b").name == "b"
    assert select(call).name == "low"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
    assert select(call).name == "high"


def test_module_and_class_by_argument_and_environment(register, make_backend, monkeypatch):
    register(make_backend("ant"))
    assert select(pooling_call(), "made_up_backends:Ant").name == "ant"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "made_up_backends:Ant")
    assert select(pooling_call()).name == "ant"


def test_unknown_name_in_the_environment(register, make_backend, monkeypatch):
    register(make_backend("ant", priority=0))
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "aunt")
    with pytest.raises(UnknownNameError, match="did you mean 'ant'"):
        select(pooling_call())


def test_by_priority_the_next_serves_what_the_best_does_not(register, make_backend):
    register(
        make_backend("fast", priority=9, options=()),
        make_backend("absent", priority=8, unavailable=(Reason("no GPU", "buy one"),)),
        make_backend("plain", priority=1),
        make_backend("on_request"),
        broken="no_such_module_anywhere:X",
    )
    assert select(pooling_call()).name == "fast"
    assert select(pooling_call(stride=2)).name == "plain"


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, in forward mode
def test_forward_mode_is_served_by_a_backend_that_has_it():
    input, guide = torch.rand(1, 1, 5, 5, dtype=torch.float64), torch.rand(1, 2, 5, 5, dtype=torch.float64)

    def pooled(values: torch.Tensor, backend: str | None = None) -> torch.Tensor:
        return functional.guided_pacpool2d(values, guide, kernel_size=3, backend=backend)

    _, derivative = torch.func.jvp(pooled, (input,), (torch.ones_like(input),))
    torch.testing.assert_close(derivative, pooled(torch.ones_like(input)))  # pooling is linear
    with pytest.raises(NotSupportedError, match="inductor: forward-mode derivatives are not supported"):
        torch.func.jvp(lambda values: pooled(values, "inductor"), (input,), (torch.ones_like(input),))


def test_transforms_of_torch_func_are_served_by_a_backend_that_has_them():
    inputs, guide = torch.rand(2, 1, 1, 5, 5, dtype=torch.float64), torch.rand(1, 2, 5, 5, dtype=torch.float64)

    def energy(values: torch.Tensor, backend: str | None = None) -> torch.Tensor:
        return functional.guided_pacpool2d(values, guide, kernel_size=3, backend=backend).square().sum()

    values = inputs[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(energy(values), [values])
    torch.testing.assert_close(torch.func.grad(energy)(inputs[0]), expected)
    torch.testing.assert_close(torch.func.vmap(energy)(inputs), torch.stack([energy(each) for each in inputs]))
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(energy))(inputs)[0], expected)
    with pytest.raises(NotSupportedError, match=r"inductor: .* nor other transforms of torch\.func"):
        torch.func.grad(lambda each: energy(each, "inductor"))(inputs[0])


@pytest.mark.parametrize("how", ["argument", "use_backend", "environment"])
def test_an_explicit_request_never_falls_back(register, make_backend, monkeypatch, how):
    lacking = (Reason("no GPU", "buy one"), Reason("no nvcc", "get it"))
    register(
        make_backend("fast", priority=9, options=(), dtypes=("float64",), operators=("pacconv2d",)),
        make_backend("plain", priority=1),
        make_backend("half", dtypes=("float16",), unavailable=lacking),
        broken="no_such_module_anywhere:X",
    )
    call = pooling_call(stride=2)
    if how == "environment":
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, "fast")
    around = use_backend("fast") if how == "use_backend" else contextlib.nullcontext()
    with around, pytest.raises(NotSupportedError) as raised:
        select(call, "fast" if how == "argument" else None)
    first, *lines = str(raised.value).splitlines()
    assert first == (
        "pacpool2d(input=(1, 2, 5, 5) float32 cpu, kernel=(1, 1, 3, 3, 3, 3) float32 cpu; stride) "
        "is not supported by backend fast:"
    )
    said = {name.strip(): reasons for name, _, reasons in (line.partition(": ") for line in lines)}
    assert list(said) == ["fast", "broken", "half", "plain"]
    assert said["fast"] == (
        "operator pacpool2d is not among pacconv2d, mean_field_update; dtype float32 is not among float64; "
        "option stride is not supported"
    )
    assert said["broken"].startswith("ModuleNotFoundError while loading it")
    assert said["half"] == (
        "no GPU; to mend it: buy one; no nvcc; to mend it: get it; dtype float32 is not among float16"
    )
    assert said["plain"] == "supports this call; ask for it by name"


def test_an_unavailable_backend_asked_for_by_name(register, make_backend):
    reasons = (Reason("no GPU", "buy one"), Reason("no nvcc", "install the toolkit"))
    register(make_backend("absent", priority=9, unavailable=reasons), make_backend("plain", priority=1))
    with pytest.raises(UnavailableError, match=r"backend absent was asked for but cannot run here: no GPU; to mend it"):
        select(pooling_call(), "absent")
    assert select(pooling_call()).name == "plain"


def test_a_broken_entry_point_asked_for_by_name(register):
    register(broken="no_such_module_anywhere:X")
    with pytest.raises(UnavailableError, match="broken was asked for but cannot run here: ModuleNotFoundError"):
        select(pooling_call(), "broken")


def test_where_no_candidate_is_left_all_are_listed(register, make_backend):
    register(make_backend("fast", priority=9), make_backend("on_request", dtypes=("float64",)))
    with pytest.raises(NotSupportedError) as raised:
        select(pooling_call(torch.float64))
    assert str(raised.value).splitlines()[1:] == [
        "  fast: dtype float64 is not among float32",
        "  on_request: supports this call; ask for it by name",
    ]


def test_functions_are_served_by_the_backend_selected(register, make_backend):
    class Constant(make_backend("constant")):
        def pacpool2d(self, input, kernel, *, window):
            return torch.full((1, 2, 3, 3), 7.0)

    register(Constant, make_backend("other", priority=1))
    input, kernel = torch.ones(1, 2, 5, 5), torch.ones(1, 1, 3, 3, 3, 3)
    assert functional.pacpool2d(input, kernel, 3, backend="constant").unique().item() == 7
    assert functional.pacpool2d(input, kernel, 3, backend=Constant()).unique().item() == 7
    with use_backend("constant"):
        assert functional.pacpool2d(input, kernel, 3).unique().item() == 7
    with pytest.raises(NotImplementedError, match="other declares no pacpool2d"):
        functional.pacpool2d(input, kernel, 3)


def test_a_backend_that_raises_when_asked_for_its_availability_takes_no_other_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: object) -> list[Reason]:
        raise OSError("driver gone")

    monkeypatch.setattr(UnfoldBackend, "unavailable_reasons", broken)
    backend = UnfoldBackend()
    assert "OSError in its unavailable_reasons: driver gone" in str(unavailable_reasons(backend)[0])
    with pytest.raises(UnavailableError, match="driver gone"):
        functional.packernel2d(torch.ones(1, 1, 3, 3), kernel_size=3, backend=backend)
