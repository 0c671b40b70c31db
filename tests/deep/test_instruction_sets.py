"""The whole gate of the native backend with each instruction set, on one thread and on several."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pacbench.backends.native import library

pytestmark = pytest.mark.deep


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", library.ISAS)
def test_gate(isa: str, threads: int, run_native_gate: Callable[..., None]) -> None:
    run_native_gate("plain", isa, threads)
