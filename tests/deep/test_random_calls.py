"""Random calls of every operator: options, sizes and layouts that no hand-written case combines.

`unfold` is compared with the definitions; `native`, outputs and gradients in any dtype and memory layout, with `unfold`
in float64. CI tries a few; `tox -e deep` tries thousands, in chunks that are written down as they end, so that it
resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor

import pacbench
from pacbench import compiled, get_backend
from pacbench.backends import native, unfold
from pacbench.backends.native import library
from pacbench.calls import OPERATORS
from pacbench.suites import gradients
from pacbench.suites.gradients.cases import CONVOLUTIONS, MEAN_FIELD, TRANSPOSED, Case
from pacbench.suites.gradients.comparing import DTYPES, assert_agrees, poisoned_allocations, require_gradients
from pacbench.suites.gradients.direct_oracle import expected
from pacbench.suites.gradients.layouts import LAYOUTS
from pacbench.suites.gradients.samples import call, tensors, window_of

SOURCES = [
    *sorted(Path(pacbench.__path__[0]).glob("*.py")),
    *(Path(package.__path__[0]) for package in (compiled, native, unfold, gradients)),
]
"""What the results depend on: the operators with their arguments, both backends, and what they are compared by."""

CALLS_A_CHUNK = 250
CHUNKS = {"unfold": 20, "native": 40}
CALLS_IN_CI = {"unfold": 150, "native": 300}

SMALL = {"kernel_size": (1, 3, 5), "stride": (1, 2, 3), "padding": range(6), "dilation": (1, 2, 3)}
"""Values along each axis of a window that the loops of the definitions compute in time."""

WIDE = {"kernel_size": (1, 3, 5, 7), "stride": (1, 2, 3, 7), "padding": range(8), "dilation": (1, 2, 3, 13)}
WIDTHS = (*range(1, 7), 16, 33, 49, 70)
"""Below, at and above a vector and a tile of every instruction set."""
CHANNELS = (1, 2, 3, 4, 7, 8, 9, 17)
"""Likewise for blocks of channels."""

KERNEL_TYPES = ("gaussian", "gaussian_asym", "inv_0.3_0.8", "inv_0.2_1.3_asym", "inv_0.1_0.6_fixed")
SMOOTH_KERNEL_TYPES = ("none", "none", "gaussian", "average_3", "average_5", "full_3")


@st.composite
def cases(draw: st.DrawFn, wide: bool = False) -> Case:
    """A call of any operator with any options that fit together; `wide`: of sizes that blocked kernels cut up."""
    operator = draw(st.sampled_from(OPERATORS))
    values = {name: st.sampled_from(each) for name, each in (WIDE if wide else SMALL).items()}
    options = {name: draw(st.tuples(value, value)) for name, value in values.items()}
    some_channels = st.sampled_from(CHANNELS) if wide else st.integers(1, 4)
    transposed = operator in TRANSPOSED or (operator == "packernel2d" and draw(st.booleans()))
    guided = operator not in {"pacconv2d", "pacconv_transpose2d", "pacpool2d", MEAN_FIELD}
    if transposed:
        options["output_padding"] = tuple(
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(options["stride"], options["dilation"], strict=True)
        )
    if guided:
        options["kernel_type"] = draw(st.sampled_from(KERNEL_TYPES))
        options["smooth_kernel_type"] = draw(st.sampled_from(SMOOTH_KERNEL_TYPES))
        options["normalize_kernel"] = draw(st.booleans())
        options["mask"] = draw(st.sampled_from(["none", "random", "weights", "corner", "nothing"]))
    channels = draw(some_channels)
    guide_channels = draw(st.integers(1, 3))
    if operator in {"packernel2d", "pacpool2d", "guided_pacpool2d"}:
        options["channel_wise"] = draw(st.booleans())
        if options["channel_wise"] and operator == "guided_pacpool2d":
            guide_channels = channels
    if operator in CONVOLUTIONS:
        options["shared_filters"] = draw(st.booleans())
        options["bias"] = draw(st.booleans())
    if operator == MEAN_FIELD:
        pairs = zip(options["kernel_size"], options["dilation"], strict=True)
        options |= {"stride": 1, "padding": tuple(size // 2 * dilation for size, dilation in pairs)}
        options["shared_filters"] = draw(st.booleans())
        options["message_weight"] = draw(st.floats(-2, 2))
    size = (draw(st.integers(1, 6)), draw(st.sampled_from(WIDTHS) if wide else st.integers(1, 6)))
    return Case(
        operator,
        f"random-{draw(st.integers(0, 10**6))}",
        size=size,
        batch=draw(st.integers(0, 2)),
        channels=channels,
        outputs=draw(some_channels),
        guide_channels=guide_channels,
        transposed=transposed and operator == "packernel2d",
        **options,
    )


@st.composite
def isas(draw: st.DrawFn) -> str:
    """An instruction set that this processor has."""
    return draw(st.sampled_from(library.ISAS[: library.ISAS.index(library.load().isa) + 1]))


def _unfold_agrees(case: Case) -> None:
    arguments = tensors(case)
    outputs, wanted = call(case, arguments, "unfold"), expected(case, arguments)
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        assert_agrees(output, want, 1e-12, f"{case}")


@contextmanager
def _on(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _native_agrees(case: Case, isa: str, threads: int, dtype_name: str, layout: str) -> None:
    backend = get_backend("native")
    dtype = getattr(torch, dtype_name)
    # a constant of the call, such as a mean over 5 pixels, is rounded to 16 bits before a backend sees it
    exact_dtype = torch.float64 if dtype in {torch.float64, torch.float32} else dtype
    given = tensors(case, dtype)
    names = require_gradients(given, backend)
    exact = {name: tensor.detach().to(exact_dtype).requires_grad_(name in names) for name, tensor in given.items()}
    laid_out = {name: LAYOUTS[layout](tensor) if layout in LAYOUTS else tensor for name, tensor in given.items()}
    with library.use_isa(isa), _on(threads), poisoned_allocations():
        outputs = call(case, laid_out, backend)
    wanted = call(case, exact, "unfold")
    assert len(outputs) == len(wanted)
    what = f"{isa} {threads} threads {dtype_name} {layout} {case}"
    for output, want in zip(outputs, wanted, strict=True):
        _assert_agrees(output, want, backend.capabilities.tolerance(dtype_name, "forward"), what)
    cotangent = torch.randn(wanted[0].shape, generator=torch.Generator().manual_seed(1)).to(outputs[0])
    with library.use_isa(isa), _on(threads), poisoned_allocations():
        gradients = torch.autograd.grad(outputs[0], [given[name] for name in names], cotangent)
    right = torch.autograd.grad(wanted[0], [exact[name] for name in names], cotangent.to(exact_dtype))
    for index, (name, gradient, want) in enumerate(zip(names, gradients, right, strict=True)):
        tolerance = backend.capabilities.tolerance(dtype_name, "backward")
        try:
            _assert_agrees(gradient, want, tolerance, f"gradient to {name}: {what}")
        except AssertionError:
            if dtype is not torch.float32:
                raise
            # A smoothed guide is rounded before it is compared, and the slope of an inverse kernel is steep near d = 0:
            # where float32 itself is farther off, `unfold` in float32 is as far.
            plain = {key: tensor.detach().requires_grad_(key in names) for key, tensor in given.items()}
            outputs = call(case, plain, "unfold")
            rounded = torch.autograd.grad(outputs[0], [plain[key] for key in names], cotangent)[index]
            _assert_agrees(gradient, rounded, tolerance, f"gradient to {name}, beside unfold in float32: {what}")


def _assert_agrees(actual: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """Relative to the largest value, or to 1 where all are smaller: what is 0 by mathematics is noise in `unfold`."""
    assert actual.shape == expected.shape, what
    one = torch.ones(1, dtype=torch.float64)
    assert_agrees(torch.cat([actual.flatten(), one]), torch.cat([expected.flatten(), one]), tolerance, what)


COMPARISONS: dict[str, tuple[st.SearchStrategy[Any], Callable[..., None]]] = {
    "unfold": (st.tuples(cases()), _unfold_agrees),
    "native": (
        st.tuples(
            st.one_of(cases(), cases(wide=True)),
            isas(),
            st.integers(1, 4),
            st.sampled_from(DTYPES),
            st.sampled_from(["dense", *LAYOUTS]),
        ),
        _native_agrees,
    ),
}
"""Whose calls: how they are drawn, and what is asserted of them."""


def _agrees(subject: str, drawn: tuple[Any, ...]) -> None:
    assume(min(window_of(drawn[0]).output_size(drawn[0].size)) >= 1)
    COMPARISONS[subject][1](*drawn)


def _skip_where_unavailable(subject: str) -> None:
    reasons = get_backend(subject).unavailable_reasons()
    if reasons:
        pytest.skip(f"{subject}: {'; '.join(map(str, reasons))}")


@pytest.mark.parametrize("subject", CHUNKS)
def test_random_calls(subject: str) -> None:
    _skip_where_unavailable(subject)

    @settings(max_examples=CALLS_IN_CI[subject], deadline=None, database=None, derandomize=True)
    @given(COMPARISONS[subject][0])
    def agree(drawn: tuple[Any, ...]) -> None:
        _agrees(subject, drawn)

    agree()


@pytest.mark.deep
@pytest.mark.parametrize(
    ("subject", "chunk"), [(subject, chunk) for subject, chunks in CHUNKS.items() for chunk in range(chunks)]
)
def test_many_random_calls(subject: str, chunk: int, green_once: Callable[..., Callable[..., None]]) -> None:
    _skip_where_unavailable(subject)
    write_down = green_once("random_calls", SOURCES, subject=subject, chunk=chunk, calls=CALLS_A_CHUNK)
    tried = 0

    @seed(chunk)
    @settings(max_examples=CALLS_A_CHUNK, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(COMPARISONS[subject][0])
    def agree(drawn: tuple[Any, ...]) -> None:
        nonlocal tried
        _agrees(subject, drawn)
        tried += 1

    agree()
    write_down(agreed=tried)
