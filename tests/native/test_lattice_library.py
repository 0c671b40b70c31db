"""The lattice of the native library: what is said where there is none, threads, forked children, instruction sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pacbench import UnavailableError
from pacbench.backends.native import build, lattice, library
from pacbench.crf import BCLCRF, FullCRF, PermutohedralLattice
from pacbench.registry import get_backend

COUNTING = """
import os, torch
from pacbench.crf import FullCRF

def threads():
    return len(os.listdir("/proc/self/task"))

torch.manual_seed(0)
unary, image = torch.randn(1, 5, 60, 70), 255 * torch.rand(1, 3, 60, 70)

def infer():
    return FullCRF(5)(unary, image)
"""


@pytest.mark.usefixtures("fresh_library")
def test_without_the_library_it_says_why_and_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path)
    reason = (
        "permutohedral lattice: backend native cannot run here: the library is not built; to mend it: "
        "python -m pacbench.backends.native.build (needs a C++ compiler, such as the package g++)"
    )
    assert FullCRF.unavailable_reasons() == BCLCRF.unavailable_reasons() == [reason]
    with pytest.raises(UnavailableError) as raised:
        FullCRF(2)(torch.zeros(1, 2, 4, 5), torch.zeros(1, 3, 4, 5))
    assert str(raised.value) == reason


@pytest.mark.usefixtures("fresh_library", "needs_library")
@pytest.mark.parametrize("older", ["another call", "no lattice"])
def test_a_stale_library_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch, older: str) -> None:
    monkeypatch.setattr(lattice, "_made", {})
    bound = library.Library.bound

    def stale(self: library.Library, name: str, *types: object) -> Callable[..., int]:
        if "lattice" not in name:
            return bound(self, name, *types)
        if older == "no lattice":
            raise AttributeError(f"undefined symbol: {name}")
        return lambda: 8

    monkeypatch.setattr(library.Library, "bound", stale)
    with pytest.raises(UnavailableError, match=r"lacks .*; to mend it: build it again by python -m pacbench.backends"):
        PermutohedralLattice(torch.zeros(2, 4, 5))


def test_a_backend_without_a_lattice_says_so() -> None:
    with pytest.raises(UnavailableError, match="backend unfold: has no permutohedral lattice"):
        PermutohedralLattice(torch.zeros(2, 4, 5), backend=get_backend("unfold"))


@pytest.mark.usefixtures("needs_library")
def test_a_lattice_of_other_kernels_is_refused() -> None:
    class Foreign:
        dimensions, pixels, points, dtype = 2, 4, 9, torch.float32

    with pytest.raises(TypeError, match="got a lattice of Foreign, expected one that these kernels built"):
        lattice.lattice_kernels().normalisation(Foreign())


@pytest.mark.usefixtures("needs_library")
def test_lattices_are_freed(run_script: Callable[..., str]) -> None:
    said = run_script(
        """
        import resource, torch
        from pacbench.crf import PermutohedralLattice
        features = 30 * torch.rand(5, 20000)
        for repetition in range(40):
            PermutohedralLattice(features).normalisation
            if repetition == 10:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(said) < 30_000  # kilobytes; 29 lattices of 120 000 points would take several times more


@pytest.mark.usefixtures("needs_library")
def test_as_many_threads_as_torch_is_told(run_script: Callable[..., str]) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not list the threads of a process")
    said = run_script(
        COUNTING
        + """
torch.set_num_threads(1)  # torch itself starts none for the tensors
unary, image = torch.randn(1, 5, 200, 250), 255 * torch.rand(1, 3, 200, 250)  # worth the threads
counts = []
for wanted in (1, 3):
    torch.set_num_threads(wanted)
    before = threads()
    infer()
    counts.append(threads() - before)
print(*counts)
"""
    )
    assert said.split() == ["0", "2"]


@pytest.mark.usefixtures("needs_library")
def test_a_forked_child_computes_the_same(run_script: Callable[..., str]) -> None:
    """On an image that torch's own operators do not split: in such a child they would hang."""
    said = run_script(
        COUNTING
        + """
import signal
torch.set_num_threads(2)
expected = infer()
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(0 if (infer().numpy() == expected.numpy()).all() and threads() == 1 else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
""",
        timeout=60,
    )
    assert said.split() == ["0"]


@pytest.mark.usefixtures("needs_library")
@pytest.mark.parametrize("isa", library.ISAS)
def test_every_instruction_set_computes_the_same(isa: str) -> None:
    generator = torch.Generator().manual_seed(0)
    unary, image = torch.randn(1, 21, 30, 40, generator=generator), 255 * torch.rand(1, 3, 30, 40, generator=generator)
    expected = FullCRF(21)(unary.double(), image.double())
    try:
        with library.use_isa(isa):
            result = FullCRF(21)(unary, image)
    except library.Unusable as unusable:
        pytest.skip(str(unusable))
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=2e-5)
