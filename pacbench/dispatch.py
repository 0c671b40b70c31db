"""Which backend serves a call: argument, then `use_backend`, then PACBENCH_BACKEND, then the best for the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from . import registry
from .backend import Backend
from .calls import Call
from .errors import NotSupportedError, UnavailableError
from .registry import BrokenBackend, get_backend, list_backends, unavailable_reasons

ENVIRONMENT_VARIABLE = "PACBENCH_BACKEND"

_ordered: dict[str, tuple[str, ...]] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


def constant_when_traced(function: Function) -> Function:
    """Mark a function whose result becomes part of what is compiled, as `torch.compiler.assume_constant_result` does.

    That imports the compiler, which takes as long as the import of torch itself.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


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
    """The backend that serves a call; an explicit request never falls back.

    While `torch.compile` or `torch.export` traces, the answer becomes part of what is compiled (`use_backend` says
    when it is asked again); the environment variable is then read once.
    """
    if isinstance(backend, Backend):
        return _checked(call, backend)
    asked_for = _requested(backend)
    if asked_for:
        return _checked(call, registry.loaded[asked_for])
    for candidate in _by_priority(call.device_type):
        if not registry.loaded[candidate].not_supported_reasons(call):
            return registry.loaded[candidate]
    raise NotSupportedError(_all_reasons(call, [get_backend(name) for name in list_backends()]))


def best_backend(device_type: str | None = None) -> str:
    """Name of the backend that serves a device when none was asked for: a GPU if not given and there is one.

    Raises:
        UnavailableError: no backend serves it.
    """
    if device_type is None:
        device_type = "cuda" if torch.cuda.is_available() else "cpu"
    serving: tuple[str, ...] = _by_priority(device_type)
    if not serving:
        raise UnavailableError(f"pacbench: got no backend for {device_type}, expected one that runs on this machine")
    return serving[0]


def backend_for(device_type: str, backend: str | Backend | None = None) -> Backend:
    """The backend that is asked for, else the best one for a device: for what is no operator.

    Raises:
        UnknownNameError: the backend asked for is not registered.
        UnavailableError: none was asked for, and none serves the device.
    """
    if isinstance(backend, Backend):
        return backend
    return registry.loaded[_requested(backend) or best_backend(device_type)]


def _requested(backend: str | None) -> str:
    block = registry.entered if torch.compiler.is_compiling() else registry.key_in_use()
    return _asked_for(backend, block)


@constant_when_traced
def _asked_for(name: str | None, block: str) -> str:
    """Key of the backend that was asked for: by an argument, a block, or the environment; empty if none was."""
    if name is None:
        if block:
            return block
        name = os.environ.get(ENVIRONMENT_VARIABLE) or None
        if name is None:
            return ""
    get_backend(name)
    return name


def _checked(call: Call, backend: Backend) -> Backend:
    unavailable = _unavailable(backend)
    if unavailable:
        raise UnavailableError(
            f"{call.operator}: backend {backend.name} was asked for but cannot run here: {unavailable}"
        )
    if backend.not_supported_reasons(call):
        others = [get_backend(name) for name in list_backends() if name != backend.name]
        raise NotSupportedError(_all_reasons(call, [backend, *others], asked_for=backend.name))
    return backend


@constant_when_traced
def _unavailable(backend: Backend) -> str:
    return "; ".join(map(str, unavailable_reasons(backend)))


@constant_when_traced
def _by_priority(device_type: str) -> tuple[str, ...]:
    """Keys of the backends that serve a device without being asked for, the best first."""
    if device_type not in _ordered:
        backends = {name: get_backend(name) for name in list_backends()}
        usable = {
            name: backend.capabilities.priority[device_type]
            for name, backend in backends.items()
            if not isinstance(backend, BrokenBackend)
            and device_type in backend.capabilities.priority
            and not unavailable_reasons(backend)
        }
        _ordered[device_type] = tuple(sorted(usable, key=lambda name: -usable[name]))
    return _ordered[device_type]


def forget() -> None:
    """Forget which backends there are; see `pacbench.registry.forget`."""
    registry.forget()
    _ordered.clear()


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
