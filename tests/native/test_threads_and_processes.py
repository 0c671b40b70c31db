"""Threads are torch's, as many as it is told; a forked child works, on one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pacbench import functional

pytestmark = pytest.mark.usefixtures("needs_library")

COUNTING = """
import os, sys, torch
from pacbench import functional

def threads():
    return len(os.listdir("/proc/self/task"))

def convolve():
    torch.manual_seed(0)
    input, guide, weight = torch.randn(1, 8, 64, 64), torch.randn(1, 3, 64, 64), torch.randn(8, 8, 3, 3)
    return functional.guided_pacconv2d(input, guide, weight, padding=1, backend="native")
"""


@pytest.fixture
def needs_tasks() -> None:
    """Skips where a process cannot count its threads."""
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not list the threads of a process")


@pytest.mark.usefixtures("needs_tasks")
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_as_many_threads_as_torch_is_told(run_script: Callable[..., str], wanted: int) -> None:
    said = run_script(
        COUNTING
        + f"""
torch.set_num_threads({wanted})
before = threads()
convolve()
print(threads() - before)
"""
    )
    assert int(said) == wanted - 1


@pytest.mark.usefixtures("needs_tasks")
def test_it_uses_the_threads_that_torch_has_started(run_script: Callable[..., str]) -> None:
    """One pool: where torch's is there, no thread is added."""
    said = run_script(
        COUNTING
        + """
torch.set_num_threads(3)
before = threads()
torch.ones(2000, 2000).exp()
torchs = threads() - before
convolve()
print(torchs, threads() - before)
"""
    )
    assert said.split() == ["2", "2"]


def test_a_forked_child_computes_the_same(run_script: Callable[..., str]) -> None:
    """After a parallel call in the parent, whose pool of threads the child does not have."""
    said = run_script(
        COUNTING
        + """
import numpy, signal
from pacbench.backends.native.ops import OPS as ops

torch.set_num_threads(2)
grad, input, weight = (torch.randn(shape) for shape in ((1, 8, 64, 64), (1, 8, 64, 64), (8, 8, 3, 3)))
kernel = torch.rand(1, 1, 3, 3, 64, 64)
window = [3, 3, 1, 1, 1, 1, 0, 0, 1, 1, 0]
rest = (None, None, None, kernel, weight, None, None, None, window, [], False)
wanted = [True, False, False, True, True, False, False, False]
computed = [convolve(), *ops.convolution_backward(grad, input, *rest, wanted)]
child = os.fork()
if child == 0:
    signal.alarm(30)
    again = [convolve(), *ops.convolution_backward(grad, input, *rest, wanted)]
    # compared by numpy: torch's own parallel operators hang in such a child
    same = all(numpy.allclose(one.numpy(), two.numpy(), atol=1e-4) for one, two in zip(computed, again))
    os._exit(0 if same and threads() == 1 else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
""",
        timeout=60,
    )
    assert said.split() == ["0"]


def test_a_child_forked_before_the_library_was_loaded(run_script: Callable[..., str]) -> None:
    """Of torch's threads, which the parent has started, the child knows as little as of the library's."""
    said = run_script(
        COUNTING
        + """
import signal

torch.set_num_threads(2)
torch.ones(2000, 2000).exp()
child = os.fork()
if child == 0:
    signal.alarm(30)
    convolve()
    os._exit(0 if threads() == 1 else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
""",
        timeout=60,
    )
    assert said.split() == ["0"]


def test_workers_of_a_forking_data_loader(run_script: Callable[..., str]) -> None:
    said = run_script(
        COUNTING
        + """
class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return convolve()[0]

if __name__ == "__main__":
    torch.set_num_threads(2)
    expected = convolve()
    loader = torch.utils.data.DataLoader(Images(), 2, num_workers=2, multiprocessing_context="fork", timeout=60)
    print(all(torch.equal(image, expected[0]) for batch in loader for image in batch))
""",
        timeout=90,
    )
    assert said.split() == ["True"]


def _results(threads: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 6, 33, 35), (2, 3, 33, 35), (7, 6, 5, 5), (7,))
    tensors = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        output = functional.guided_pacconv2d(*tensors, padding=2, backend="native")
        return [output.detach(), *torch.autograd.grad(output.square().sum(), tensors)]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bits_for_the_same_number_of_threads(threads: int) -> None:
    first, again = _results(threads), _results(threads)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_the_same_output_for_any_number_of_threads() -> None:
    one, *others = [_results(threads) for threads in (1, 2, 3, 40)]
    for other in others:
        assert torch.equal(one[0], other[0])
        for first, second in zip(one[1:], other[1:], strict=True):
            assert (first - second).abs().max() <= 2e-6 * first.abs().max()


def test_calls_from_several_threads_at_once(run_script: Callable[..., str]) -> None:
    said = run_script(
        COUNTING
        + """
from concurrent.futures import ThreadPoolExecutor

torch.set_num_threads(2)
tensors = torch.randn(1, 8, 64, 64), torch.randn(1, 3, 64, 64), torch.randn(8, 8, 3, 3)
with ThreadPoolExecutor(4) as pool:
    results = list(pool.map(lambda _: functional.guided_pacconv2d(*tensors, padding=1, backend="native"), range(32)))
print(all(torch.equal(result, results[0]) for result in results))
"""
    )
    assert said.split() == ["True"]
