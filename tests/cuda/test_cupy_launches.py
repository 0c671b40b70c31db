"""The launch code of the backend `cupy`, with a stand-in for CuPy that runs kernels on the shim."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbench.backends.cuda import call, instances
from pacbench.backends.cuda.computing import Computing
from pacbench.backends.cuda.library import CompiledLibrary
from pacbench.backends.cupy import modules
from pacbench.backends.cupy.modules import Modules
from pacbench.capabilities import Capabilities
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps
from pacbench.suites.gradients.cases import BY_ID, PLAIN, Case
from pacbench.suites.gradients.comparing import assert_agrees, require_gradients
from pacbench.suites.gradients.samples import call as make_call
from pacbench.suites.gradients.samples import tensors

STREAM = 7
"""What torch's current stream is said to be."""


_OPS = CompiledOps("cupy_on_stand_in", "pacbench_cupy_on_stand_in", ("CPU",), Computing(Modules(lambda device: STREAM)))


class CupyOnStandIn(CompiledBackend):
    name = "cupy_on_stand_in"
    summary = "the backend cupy with a stand-in for CuPy, on a CPU"
    capabilities = Capabilities(devices=("cpu",), dtypes=("float64", "float32", "float16", "bfloat16"))

    @property
    def ops(self) -> CompiledOps:
        return _OPS


@pytest.fixture(autouse=True)
def _stand_in(emulated_library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from cuda_emulated import raw_module

    library = CompiledLibrary(emulated_library, lambda device: 0)
    monkeypatch.setitem(sys.modules, "cupy", raw_module.stand_in(library))
    raw_module.launches.clear()
    yield
    assert raw_module.entered == [], "the current device or stream was not left as it was"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "case",
    [*PLAIN, BY_ID["guided_pacconv2d-mask_normalized"], BY_ID["guided_pacpool2d-channel_wise-inv"]],
    ids=lambda case: case.id,
)
def test_operator(case: Case, dtype: torch.dtype) -> None:
    from cuda_emulated import raw_module

    backend = CupyOnStandIn()
    given = tensors(case, dtype)
    names = require_gradients(given, backend)
    exact = {name: tensor.detach().double() for name, tensor in given.items()}
    for name in names:
        exact[name].requires_grad_()
    output, want = make_call(case, given, backend)[0], make_call(case, exact, "unfold")[0]
    dtype_name = str(dtype).removeprefix("torch.")
    assert_agrees(output, want, backend.capabilities.tolerance(dtype_name, "forward"), case.id)
    weights = torch.linspace(-1, 1, want.numel(), dtype=dtype).view(want.shape)
    gradients = torch.autograd.grad(output, [given[name] for name in names], weights)
    wanted = torch.autograd.grad(want, [exact[name] for name in names], weights.double())
    for name, gradient, right in zip(names, gradients, wanted, strict=True):
        assert_agrees(gradient, right, backend.capabilities.tolerance(dtype_name, "backward"), f"{case.id} {name}")
    assert {stream for _, stream, _ in raw_module.launches} == {STREAM}


def test_a_struct_of_another_size_is_refused() -> None:
    import cupy

    module = cupy.RawModule(
        code=modules.sources.inlined(),
        options=modules.OPTIONS,
        name_expressions=instances.of_part("float32"),
        backend="nvrtc",
    )
    function = module.get_function("pacbench::pack_filter<float>")
    with (
        cupy.cuda.Device(0),
        modules.stream_of(cupy, STREAM, 0),
        pytest.raises(TypeError, match=f"argument 0 has 4 bytes, expected {call.CALL_DTYPE.itemsize}"),
    ):
        function((1, 1, 1), (32, 4, 1), (np.zeros(1, np.int32),))


def test_an_unknown_name_expression_is_refused() -> None:
    import cupy

    with pytest.raises(KeyError, match="no such kernels"):
        cupy.RawModule(
            code=modules.sources.inlined(),
            options=modules.OPTIONS,
            name_expressions=["pacbench::contract<float, 5>"],
            backend="nvrtc",
        )


def test_each_instance_belongs_to_one_part() -> None:
    for part in instances.PARTS:
        assert {modules.part_of(name) for name in instances.of_part(part)} == {part}
