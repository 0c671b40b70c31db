"""Who runs the jobs of a run, by name: this process, Dask's workers, or a stranger's executor."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pacbench.records import Environment, read_one

from .probes import RunError

if TYPE_CHECKING:
    from .coordinator import Coordinator

LOCAL = "local"
DASK = "dask"
EXECUTORS = (LOCAL, DASK)
"""Names beside ``module:factory``."""


@contextmanager
def opened(name: str, coordinator: Coordinator, *, scheduler: str | None = None) -> Iterator[Executor | None]:
    """An executor for a coordinator's run; None for this process.

    Args:
        name: One of EXECUTORS or ``module:factory``, which is called without arguments.
        coordinator: Whose jobs it will run.
        scheduler: Address of Dask's scheduler.

    Raises:
        RunError: there is no such factory, it fails or gives no executor, or the cluster cannot be used.
    """
    if name == LOCAL:
        yield None
        return
    if name == DASK:
        from .dask_cluster import connected

        path = coordinator.folder / "environment.json"
        before = read_one(path, Environment) if coordinator.resume and path.exists() else None
        allocator = coordinator.settings.allocator
        with connected(scheduler or "", coordinator.say, allocator=allocator, before=before) as executor:
            yield executor
        return
    with _made(name) as found:
        yield found


def _made(name: str) -> Executor:
    module, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise RunError(f"--executor {name}: {error}") from error
    try:
        executor = factory()
    except Exception as error:  # a stranger's: whatever it meets is one line
        raise RunError(f"--executor {name}: the factory raised {type(error).__name__}: {error}") from error
    if not isinstance(executor, Executor):
        raise RunError(f"--executor {name}: got {type(executor).__name__}, expected a concurrent.futures.Executor")
    return executor
