"""CuPy's view of torch's stream, with the CuPy that is installed, and with what an older one had."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pacbench.backends.cupy.modules import stream_of

HANDLE = 12345


@pytest.mark.parametrize("handle", [0, HANDLE], ids=["default stream", "another"])
def test_a_stream_of_the_installed_cupy(handle: int) -> None:
    """A warning that it is deprecated would be an error here."""
    cupy = pytest.importorskip("cupy")
    assert stream_of(cupy, handle, 0).ptr == handle


def test_a_stream_before_cupy_14() -> None:
    def external_stream(handle: int, device: int) -> tuple[int, int]:
        return handle, device

    cupy: Any = SimpleNamespace(cuda=SimpleNamespace(Stream=object, ExternalStream=external_stream))
    assert stream_of(cupy, HANDLE, 3) == (HANDLE, 3)
