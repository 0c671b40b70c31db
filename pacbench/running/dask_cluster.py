"""The workers of a Dask cluster as an executor of turns.

Dask calls a task anew where its worker died; a note in the scheduler's event log as a turn begins tells the next worker
which ones had begun it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from pacbench.measuring.package_hash import package_hash
from pacbench.records import Environment

from .dask_workers import GPU, Worker, chosen, on_one_machine
from .dispatch import WatchedExecutor
from .probes import RunError
from .turn import Turn, TurnResult, environment_here, machine

_CONNECT_S = 5.0
_FIRST_WORKER_S = 10.0
_DESCRIBE_S = 300.0
_WANTED = ("executing", "long-running")
_GONE = ("closing", "closed", "failed")


class DaskExecutor(WatchedExecutor):
    """Runs turns on some workers of a cluster, on each as many at once as its resources or its one thread allow.

    Args:
        client: A `distributed.Client`, which stays the caller's.
        workers: The workers that may be used, all of one kind.
    """

    def __init__(self, client: Any, workers: Sequence[Worker]) -> None:
        self._client = client
        self._workers = [worker.address for worker in workers]
        self._inner = _executor(client, self._workers, workers[0])

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a call to the cluster; of one that takes a `Turn`, the result says on which workers it was lost."""
        if args and isinstance(args[0], Turn):
            return self._inner.submit(_noted, fn, *args, **kwargs)
        return self._inner.submit(fn, *args, **kwargs)

    def trouble(self) -> str | None:
        """That the scheduler is gone, or all of the workers are."""
        scheduler = self._client.scheduler.address if self._client.scheduler is not None else "the scheduler"
        if self._client.status != "running":  # which it is not while it looks for a scheduler that is gone
            return f"lost the scheduler {scheduler}"
        try:
            there = self._client.scheduler_info(n_workers=-1)["workers"]
        except OSError:
            return f"lost the scheduler {scheduler}"
        if not any(worker in there for worker in self._workers):
            return f"no worker of the run is left at {scheduler} (there were {', '.join(self._workers)})"
        return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the cluster and the client stay as they are."""
        self._inner.shutdown(wait=wait and not cancel_futures)


@contextmanager
def connected(
    scheduler: str, say: Callable[[str], None], *, allocator: str, before: Environment | None = None
) -> Iterator[DaskExecutor]:
    """The workers of a cluster that may be one run's: of one kind, with this very pacbench, one job at a time each.

    Args:
        scheduler: Address of the scheduler, such as ``tcp://10.0.0.1:8786``.
        say: Called with one line for each worker that is left out.
        allocator: Name of the allocator's setting.
        before: Where the run was made that is taken up again: its kind of machine is preferred.

    Raises:
        RunError: `distributed` is not installed, the scheduler cannot be reached, or no worker can be used.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise RunError(f"--executor dask: {error}; mend: pip install 'pacbench[dask]'") from None
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(f"scheduler {scheduler}: cannot be reached ({' '.join(str(error).split())})") from None
    try:
        workers = _found(client, distributed, allocator)
        usable, refused = chosen(workers, package_hash(), before)
        if not usable:
            raise RunError(f"scheduler {scheduler}: no worker can be used: {'; '.join(refused)}")
        for line in [*refused, *on_one_machine(usable)]:
            say(line)
        executor = DaskExecutor(client, usable)
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)
    finally:
        client.close()


def _found(client: Any, distributed: Any, allocator: str) -> list[Worker]:
    """Every worker of a cluster, described by itself; one that is busy does so when its task has ended."""
    with suppress(TimeoutError, distributed.TimeoutError):
        client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
    told = client.scheduler_info(n_workers=-1)["workers"]
    if not told:
        raise RunError(f"scheduler {client.scheduler.address}: has no worker; mend: dask worker ADDRESS --nthreads 1")
    workers = {
        address: Worker(address, int(one["nthreads"]), dict(one.get("resources", {}))) for address, one in told.items()
    }
    asked = {
        _executor(client, [address], worker).submit(_describe, allocator): address
        for address, worker in workers.items()
    }
    wait(asked, timeout=_DESCRIBE_S)
    for future, address in asked.items():
        worker = workers[address]
        if future.cancel():  # one that is done cannot be
            workers[address] = replace(worker, trouble=f"did not answer within {_DESCRIBE_S:g} s")
        elif future.cancelled():
            workers[address] = replace(worker, trouble="went away")
        elif (error := future.exception()) is not None:
            workers[address] = replace(worker, trouble=f"{type(error).__name__}: {error}")
        else:
            name, environment = future.result()
            workers[address] = replace(worker, machine=name, environment=environment)
    return list(workers.values())


def _executor(client: Any, addresses: list[str], like: Worker) -> Executor:
    """Dask's own executor on these workers alone; where each has a GPU, a call takes it."""
    resources = {GPU: 1} if like.has_gpu else None
    executor: Executor = client.get_executor(
        workers=addresses, allow_other_workers=False, resources=resources, pure=False
    )
    return executor


def _describe(allocator: str) -> tuple[str, Environment]:
    """Runs on a worker."""
    return machine(), environment_here(allocator)


def _noted(fn: Callable[..., TurnResult], turn: Turn) -> TurnResult:
    """Runs on a worker: note that it has begun, and end what is no longer wanted."""
    distributed: Any = import_module("distributed")
    worker = distributed.get_worker()
    key, topic = worker.get_current_task(), f"pacbench-{turn.attempt}"
    lost_on = tuple(str(event["worker"]) for _, event in distributed.get_client().get_events(topic))
    worker.log_event(topic, {"worker": worker.address})

    def stopped() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state not in _WANTED or worker.status.name in _GONE

    return replace(fn(turn, stopped), worker=worker.address, lost_on=lost_on)
