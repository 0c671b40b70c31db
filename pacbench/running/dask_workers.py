"""Which workers of a cluster may measure one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pacbench
from pacbench.records import Environment

from .environment_difference import environment_differences
from .job import ESSENTIALS

GPU = "GPU"
"""The resource that a worker with a GPU of its own is started with: ``--resources GPU=1``."""


@dataclass(frozen=True)
class Worker:
    """A worker as the scheduler and it itself describe it.

    Attributes:
        address: Where it listens.
        threads: How many tasks it runs at once.
        resources: What it says it has.
        machine: Its machine, with the GPU that it was given.
        environment: Its environment.
        trouble: Why it could not describe itself.
    """

    address: str
    threads: int
    resources: Mapping[str, float] = field(default_factory=dict)
    machine: str = ""
    environment: Environment | None = None
    trouble: str | None = None

    @property
    def has_gpu(self) -> bool:
        """Whether it was started as the worker of one GPU."""
        return self.resources.get(GPU) == 1


def chosen(
    workers: Sequence[Worker], expected_hash: str, before: Environment | None = None
) -> tuple[list[Worker], list[str]]:
    """The workers that may measure one run, and for each other a line that says why it may not.

    Results of one run are told and compared as those of one machine. All its workers are therefore alike in whatever a
    key holds; of several kinds, the one that is there most often is taken.

    Args:
        workers: All of a cluster.
        expected_hash: The package hash that each must have.
        before: Where the run was made that is taken up again: that kind is taken where it is there.
    """
    refused = {worker.address: why for worker in workers if (why := _unfit(worker, expected_hash)) is not None}
    fit = [(worker, worker.environment) for worker in workers if worker.address not in refused]
    kinds = [(worker, environment) for worker, environment in fit if environment is not None]
    if not kinds:
        return [], _lines(refused)
    count = Counter(_kind(worker, environment) for worker, environment in kinds)
    like_before = [pair for pair in kinds if before is not None and not environment_differences(before, pair[1])]
    first, reference = max(like_before or kinds, key=lambda pair: count[_kind(*pair)])
    for worker, environment in kinds:
        if _kind(worker, environment) != _kind(first, reference):
            differ = environment_differences(reference, environment) or ["one was started with a GPU, one without"]
            refused[worker.address] = f"is another kind of machine than {first.address}: {'; '.join(differ)}"
    return [worker for worker, _ in kinds if worker.address not in refused], _lines(refused)


def on_one_machine(workers: Sequence[Worker]) -> list[str]:
    """A line for each machine, or GPU, that several workers share: they would disturb one another's times."""
    shared: dict[str, list[str]] = {}
    for worker in workers:
        shared.setdefault(worker.machine, []).append(worker.address)
    return [
        f"workers {', '.join(addresses)} share {name}: jobs that run at once disturb each other's times; start "
        "one worker a machine, or one a GPU with CUDA_VISIBLE_DEVICES"
        for name, addresses in shared.items()
        if len(addresses) > 1
    ]


def _unfit(worker: Worker, expected_hash: str) -> str | None:
    environment = worker.environment
    if environment is None:
        mend = f"; install pacbench {pacbench.__version__} there" if "ModuleNotFound" in str(worker.trouble) else ""
        return f"cannot describe itself ({worker.trouble}){mend}"
    if environment.package_hash != expected_hash:
        return (
            f"has pacbench {environment.pacbench} with package hash {environment.package_hash[:12]}, expected "
            f"{pacbench.__version__} with {expected_hash[:12]}, as here; install the same there"
        )
    if worker.threads > 1 and not worker.has_gpu:
        return (
            f"runs {worker.threads} tasks at once, expected one: start it with --nthreads 1, or with --resources "
            f"{GPU}=1 for a GPU of its own"
        )
    return None


def _kind(worker: Worker, environment: Environment) -> tuple[bool, str]:
    return worker.has_gpu, repr([getattr(environment, name) for name in ESSENTIALS])


def _lines(refused: Mapping[str, str]) -> list[str]:
    return [f"worker {address}: {why}" for address, why in refused.items()]
