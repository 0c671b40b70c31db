"""Which backend serves a call: argument, then `use_backend`, then PACBENCH_BACKEND, then the best for the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from .backend import Backend
from .calls import Call
from .errors import NotSupportedError, UnavailableError
from .registry import BrokenBackend, backend_in_use, get_backend, list_backends, unavailable_reasons

ENVIRONMENT_VARIABLE = "PACBENCH_BACKEND"


def run(call: Call, backend: str | Backend | None = None) -> Any:
    """Compute a call by the backend that serves it.

    Raises:
        UnknownNameError: the backend asked for is not registered.
        UnavailableError: the backend asked for cannot run on this machine.
        NotSupportedError: the backend asked for, or every candidate, does not support the call.
    """
    chosen = select(call, backend)
    return getattr(chosen, call.operator)(**call.keywords())


def select(call: Call, backend: str | Backend | None = None) -> Backend:
    """The backend that serves a call; an explicit request never falls back."""
    request = backend if backend is not None else backend_in_use() or os.environ.get(ENVIRONMENT_VARIABLE) or None
    if request is not None:
        return _requested(call, get_backend(request))
    candidates = _by_priority(call.device_type)
    for candidate in candidates:
        if not candidate.not_supported_reasons(call):
            return candidate
    raise NotSupportedError(_all_reasons(call, [get_backend(name) for name in list_backends()]))


def _requested(call: Call, backend: Backend) -> Backend:
    unavailable = unavailable_reasons(backend)
    if unavailable:
        raise UnavailableError(
            f"{call.operator}: backend {backend.name} was asked for but cannot run here: "
            + "; ".join(map(str, unavailable))
        )
    if backend.not_supported_reasons(call):
        others = [get_backend(name) for name in list_backends() if name != backend.name]
        raise NotSupportedError(_all_reasons(call, [backend, *others], asked_for=backend.name))
    return backend


@cache
def _by_priority(device_type: str) -> Sequence[Backend]:
    backends = [get_backend(name) for name in list_backends()]
    usable = [
        backend
        for backend in backends
        if not isinstance(backend, BrokenBackend)
        and device_type in backend.capabilities.priority
        and not unavailable_reasons(backend)
    ]
    return sorted(usable, key=lambda backend: -backend.capabilities.priority[device_type])


def _all_reasons(call: Call, backends: Sequence[Backend], asked_for: str | None = None) -> str:
    lines = [f"{call.describe()} is not supported" + (f" by backend {asked_for}" if asked_for else "") + ":"]
    for backend in backends:
        reasons = [str(reason) for reason in unavailable_reasons(backend)]
        if not isinstance(backend, BrokenBackend):
            reasons += backend.not_supported_reasons(call)
            if not reasons and backend.name != asked_for:
                reasons = ["supports this call; ask for it by name"]
        lines.append(f"  {backend.name}: {'; '.join(reasons)}")
    return "\n".join(lines)
