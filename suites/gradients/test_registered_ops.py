"""Operators that a backend registers with torch.library: torch's own `opcheck` of schema, fake kernel and autograd."""

from __future__ import annotations

import pytest
import torch

from pacbench.backend import Backend
from pacbench.calls import Call
from pacbench.running.device import device_of

from .cases import PLAIN, Case
from .comparing import dtype_or_skip, require_gradients
from .samples import call, tensors


class _CallTaken(Exception):  # noqa: N818 - not an error: it carries the call out of dispatch
    pass


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_opcheck(backend: Backend, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the op behind each operator."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    require_gradients(given, backend)
    taken: list[Call] = []

    def take(checked: Call, _: object) -> None:
        taken.append(checked)
        raise _CallTaken

    monkeypatch.setattr("pacbench.dispatch.run", take)
    with pytest.raises(_CallTaken):
        call(case, given, backend)
    if backend.not_supported_reasons(taken[0]):
        pytest.skip(f"{backend.name}: {'; '.join(backend.not_supported_reasons(taken[0]))}")
    registered = backend.registered_op(taken[0])
    if registered is None:
        pytest.skip(f"{backend.name} serves {case.operator} by plain torch functions and registers no op")
    op, arguments, keywords = registered
    torch.library.opcheck(op, arguments, dict(keywords))
