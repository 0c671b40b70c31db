"""Random calls of every operator, `unfold` against the definitions: options that no hand-written case combines.

CI tries a few; `tox -e deep` tries thousands, in chunks that are written down as they end, so that it resumes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from pacbench.calls import OPERATORS
from pacbench.measuring.package_hash import package_hash
from pacbench.suites.gradients.cases import CONVOLUTIONS, TRANSPOSED, Case
from pacbench.suites.gradients.comparing import assert_agrees
from pacbench.suites.gradients.direct_oracle import expected
from pacbench.suites.gradients.samples import call, tensors, window_of

RESULTS = Path(__file__).parents[2] / "reports" / "reference" / "deep" / "random_calls.jsonl"
CHUNKS, CALLS_A_CHUNK = 20, 250

PAIRS = {
    "kernel_size": st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])),
    "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    "padding": st.tuples(st.integers(0, 5), st.integers(0, 5)),
    "dilation": st.tuples(st.integers(1, 3), st.integers(1, 3)),
}
KERNEL_TYPES = ("gaussian", "gaussian_asym", "inv_0.3_0.8", "inv_0.2_1.3_asym", "inv_0.1_0.6_fixed")
SMOOTH_KERNEL_TYPES = ("none", "none", "gaussian", "average_3", "average_5", "full_3")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A call of any operator with any options that fit together."""
    operator = draw(st.sampled_from(OPERATORS))
    options = {name: draw(pair) for name, pair in PAIRS.items()}
    transposed = operator in TRANSPOSED or (operator == "packernel2d" and draw(st.booleans()))
    guided = operator not in {"pacconv2d", "pacconv_transpose2d", "pacpool2d"}
    if transposed:
        options["output_padding"] = tuple(
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(options["stride"], options["dilation"], strict=True)
        )
    if guided:
        options["kernel_type"] = draw(st.sampled_from(KERNEL_TYPES))
        options["smooth_kernel_type"] = draw(st.sampled_from(SMOOTH_KERNEL_TYPES))
        options["normalize_kernel"] = draw(st.booleans())
        options["mask"] = draw(st.sampled_from(["none", "random", "weights", "corner", "nothing"]))
    channels = draw(st.integers(1, 4))
    guide_channels = draw(st.integers(1, 3))
    if operator in {"packernel2d", "pacpool2d", "guided_pacpool2d"}:
        options["channel_wise"] = draw(st.booleans())
        if options["channel_wise"] and operator == "guided_pacpool2d":
            guide_channels = channels
    if operator in CONVOLUTIONS:
        options["shared_filters"] = draw(st.booleans())
        options["bias"] = draw(st.booleans())
    size = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    return Case(
        operator,
        f"random-{draw(st.integers(0, 10**6))}",
        size=size,
        batch=draw(st.integers(0, 2)),
        channels=channels,
        outputs=draw(st.integers(1, 4)),
        guide_channels=guide_channels,
        transposed=transposed and operator == "packernel2d",
        **options,
    )


def _agree(case: Case) -> None:
    assume(min(window_of(case).output_size(case.size)) >= 1)
    arguments = tensors(case)
    outputs, wanted = call(case, arguments, "unfold"), expected(case, arguments)
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        assert_agrees(output, want, 1e-12, f"{case}")


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(cases())
def test_random_calls(case: Case) -> None:
    _agree(case)


@pytest.mark.deep
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_many_random_calls(chunk: int) -> None:
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    key = {"package_hash": package_hash(), "torch": torch.__version__, "chunk": chunk, "calls": CALLS_A_CHUNK}
    if any(key.items() <= entry.items() for entry in done):
        pytest.skip(f"done before: see {RESULTS.name}")
    tried = 0

    @seed(chunk)
    @settings(max_examples=CALLS_A_CHUNK, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def agree(case: Case) -> None:
        nonlocal tried
        _agree(case)
        tried += 1

    agree()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps({**key, "agreed": tried, "at": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n")
