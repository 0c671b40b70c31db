"""Which workers of a cluster may measure one run."""

from __future__ import annotations

import pytest

from pacbench.records import Environment
from pacbench.running.dask_workers import GPU, Worker, chosen, on_one_machine


@pytest.fixture
def worker(environment: Environment):
    """A worker, made up; fields of its environment may be given."""

    def made(address: str, *, threads: int = 1, gpu: float = 0, machine: str = "", **fields: object) -> Worker:
        resources = {GPU: gpu} if gpu else {}
        return Worker(address, threads, resources, machine or address, environment.model_copy(update=fields))

    return made


def addresses(workers: list[Worker]) -> list[str]:
    return [worker.address for worker in workers]


def test_workers_that_are_alike_are_all_taken(worker):
    workers = [worker("a"), worker("b", memory_bytes=2, fma_peak_gflops=3.0)]
    assert chosen(workers, "a") == (workers, [])


def test_another_pacbench_is_refused(worker):
    usable, refused = chosen([worker("a", package_hash="b"), worker("b")], "a")
    assert addresses(usable) == ["b"]
    assert refused[0].startswith("worker a: has pacbench 0 with package hash b, expected ")
    assert refused[0].endswith(" with a, as here; install the same there")


def test_of_several_kinds_the_most_frequent_is_taken(worker):
    workers = [worker("a", torch="1"), worker("b"), worker("c")]
    usable, refused = chosen(workers, "a")
    assert addresses(usable) == ["b", "c"]
    assert refused == ["worker a: is another kind of machine than b: torch 2 / 1"]


def test_a_resumed_run_prefers_the_kind_that_it_was_made_on(worker, environment: Environment):
    before = environment.model_copy(update={"processor": "old"})
    usable, refused = chosen([worker("a", processor="old"), worker("b"), worker("c")], "a", before)
    assert addresses(usable) == ["a"]
    assert refused == [f"worker {name}: is another kind of machine than a: processor old / x" for name in "bc"]
    assert addresses(chosen([worker("b"), worker("c")], "a", before)[0]) == ["b", "c"]


@pytest.mark.parametrize(("threads", "gpu", "usable"), [(1, 0, True), (4, 0, False), (4, 1, True), (4, 2, False)])
def test_a_worker_runs_one_job_at_a_time(worker, threads: int, gpu: float, usable: bool):
    found, refused = chosen([worker("a", threads=threads, gpu=gpu)], "a")
    assert bool(found) is usable
    assert usable or refused == [
        "worker a: runs 4 tasks at once, expected one: start it with --nthreads 1, or with --resources GPU=1 for a GPU "
        "of its own"
    ]


def test_workers_with_and_without_a_gpu_are_two_kinds(worker):
    usable, refused = chosen([worker("a"), worker("b", gpu=1), worker("c", gpu=1)], "a")
    assert addresses(usable) == ["b", "c"]
    assert refused == ["worker a: is another kind of machine than b: one was started with a GPU, one without"]


def test_a_worker_without_pacbench(worker):
    broken = Worker("a", 1, trouble="ModuleNotFoundError: No module named 'pacbench'")
    usable, (reason,) = chosen([broken], "a")
    assert usable == []
    assert reason.startswith("worker a: cannot describe itself (ModuleNotFoundError: No module named 'pacbench')")
    assert "install pacbench" in reason


def test_workers_that_share_a_machine_are_named(worker):
    workers = [worker("a", machine="m"), worker("b", machine="n"), worker("c", machine="m")]
    (line,) = on_one_machine(workers)
    assert line.startswith("workers a, c share m: ")
