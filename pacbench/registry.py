"""Which backends there are: the entry-point group `pacbench.backends`, and `module:Class` by hand."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import EntryPoint, entry_points

from .backend import Backend
from .capabilities import Capabilities, Reason
from .errors import UnavailableError, UnknownNameError

GROUP = "pacbench.backends"

loaded: dict[str, Backend] = {}
"""Every backend of this process by its key: its name, ``module:Class``, or a made-up one for an instance by hand."""

entered = ""
"""Key of the backend of the `use_backend` block that this process entered last and is still in, or empty.

It is what `torch.compile` sees of `use_backend`: a plain name in a module, which compiled functions watch.
"""

_found: dict[str, EntryPoint] = {}
_requested: ContextVar[str] = ContextVar("pacbench_backend", default="")


class BrokenBackend(Backend):
    """Stands for an entry point that could not be loaded, so that it is listed with its reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name  # type: ignore[misc]
        self.summary = "an entry point that does not load"  # type: ignore[misc]
        self._reason = reason

    def unavailable_reasons(self) -> list[Reason]:
        """The error that loading it raised."""
        return [Reason(self._reason, "repair or uninstall the package that provides it")]


def _entry_points() -> dict[str, EntryPoint]:
    if not _found:
        _found.update({entry.name: entry for entry in entry_points(group=GROUP)})
    return _found


def list_backends() -> list[str]:
    """Names of all registered backends, available here or not, in alphabetical order."""
    return sorted(_entry_points())


def forget() -> None:
    """Forget what was found and loaded, as after an installation while the process runs."""
    _found.clear()
    loaded.clear()


def _load(name: str) -> Backend:
    try:
        if ":" in name:
            module, _, attribute = name.partition(":")
            candidate = getattr(importlib.import_module(module), attribute)
        else:
            candidate = _entry_points()[name].load()
        if not (inspect.isclass(candidate) and issubclass(candidate, Backend)):
            raise TypeError(f"got {candidate!r}, expected a subclass of pacbench.Backend")
        backend = candidate()
        for attribute, kind in (("name", str), ("summary", str), ("capabilities", Capabilities)):
            if not isinstance(getattr(backend, attribute, None), kind):
                raise TypeError(f"{attribute} of {candidate!r} is not a {kind.__name__}, which every backend declares")
        return backend
    except (Exception, SystemExit) as error:  # a stranger's plug-in may raise anything; the others go on
        return BrokenBackend(name, f"{type(error).__name__} while loading it: {error}")


def get_backend(name: str | Backend) -> Backend:
    """The backend of that name: a registered one, or a class given as ``package.module:Class``.

    Raises:
        UnknownNameError: nothing is registered under that name; lists the valid ones and the nearest match.
        UnavailableError: ``module:Class`` cannot be loaded.
        TypeError: this is neither a name nor a backend.
    """
    if isinstance(name, Backend):
        return name
    if not isinstance(name, str):
        raise TypeError(f"backend: got {name!r}, expected a name or an instance of pacbench.Backend")
    if ":" not in name and name not in _entry_points():
        raise UnknownNameError("backend", name, list_backends())
    if name not in loaded:
        loaded.setdefault(name, _load(name))
    backend = loaded[name]
    if ":" in name and isinstance(backend, BrokenBackend):
        raise UnavailableError(f"backend {name}: {backend.unavailable_reasons()[0].text}")
    return backend


def unavailable_reasons(backend: Backend) -> list[Reason]:
    """Why a backend cannot run here; an error while it answers is a reason too, and takes no other backend down."""
    try:
        return backend.unavailable_reasons()
    except Exception as error:  # a stranger's plug-in may raise anything
        text = f"{type(error).__name__} in its unavailable_reasons: {error}"
        return [Reason(text, "repair or uninstall the package that provides it")]


def key_of(backend: Backend) -> str:
    """The backend's key in `loaded`; one that was made by hand is entered there."""
    for key, known in loaded.items():
        if known is backend:
            return key
    key = f"{backend.name} at {id(backend):#x}"
    loaded[key] = backend
    return key


@contextmanager
def use_backend(name: str | Backend) -> Iterator[Backend]:
    """Serve every call inside the `with` block by this backend, unless a call names another.

    A block holds in its thread (and asynchronous task) only. Functions compiled by `torch.compile` keep the backend
    that they were traced with, and are traced anew where a block is entered or left: for them the block that any
    thread entered last decides. A block inside a compiled function is not supported there; name the backend in the
    calls.

    Raises:
        UnknownNameError: nothing is registered under that name.
    """
    backend = get_backend(name)
    token = _requested.set(key_of(backend))
    before = _watched(_requested.get())
    try:
        yield backend
    finally:
        _requested.reset(token)
        _watched(before)


def _watched(key: str) -> str:
    """Let compiled functions see another block; returns the one that they saw before."""
    global entered
    before, entered = entered, key
    return before


def key_in_use() -> str:
    """Key of the backend of the innermost `use_backend` block around, or empty."""
    return _requested.get()


def backend_in_use() -> Backend | None:
    """The backend of the innermost `use_backend` block, or None."""
    return loaded.get(_requested.get())
