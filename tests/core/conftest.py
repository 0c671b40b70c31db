"""Made-up backends in place of the registered ones."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch

from pacbench import Backend, Capabilities, Reason, dispatch, registry

MODULE = "made_up_backends"


@pytest.fixture(autouse=True)
def _small_tensors_need_one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_backend() -> Callable[..., type[Backend]]:
    """Makes a class of backend: float32 on the CPU, unless told otherwise."""

    def make(
        name: str, *, priority: int | None = None, unavailable: tuple[Reason, ...] = (), **declared: Any
    ) -> type[Backend]:
        given = {"devices": ("cpu",), "dtypes": ("float32",), **declared}
        capabilities = Capabilities(**given, priority={} if priority is None else {"cpu": priority})
        members = {
            "name": name,
            "summary": f"made up: {name}",
            "capabilities": capabilities,
            "unavailable_reasons": lambda self: list(unavailable),
        }
        return type(name.title(), (Backend,), members)

    return make


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Registers classes of backends by their names, and entry points given as name="module:Class", alone."""
    monkeypatch.delenv(dispatch.ENVIRONMENT_VARIABLE, raising=False)

    def register(*classes: type[Backend], **broken: str) -> None:
        module = types.ModuleType(MODULE)
        for backend in classes:
            setattr(module, backend.__name__, backend)
        monkeypatch.setitem(sys.modules, MODULE, module)
        values = {backend.name: f"{MODULE}:{backend.__name__}" for backend in classes} | broken
        entries = [EntryPoint(name, value, registry.GROUP) for name, value in values.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        dispatch.forget()

    yield register
    monkeypatch.undo()
    dispatch.forget()
