"""The gate of the native backend in a process of its own, by build, instruction set and number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import pacbench
from pacbench import compiled
from pacbench.backends import native
from pacbench.backends.native import library
from pacbench.suites import gradients

THREADS_PLUGIN = """\
import pytest
import torch

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    torch.set_num_threads({threads})
"""
"""The gate itself runs its small tensors on one thread."""


@pytest.fixture
def run_native_gate(tmp_path: Path, green_once: Callable[..., Callable[..., None]]) -> Callable[..., None]:
    """Runs the gate; fails with its output where it does not end well.

    Skips what this processor cannot run and what was green before. A build that has a name is that of the sanitizer.
    """

    def run(build: str, isa: str, threads: int, prefix: Sequence[str] = (), **variables: str) -> None:
        sources = [Path(package.__path__[0]) for package in (native, compiled, gradients)]
        write_down = green_once("native_gates", sources, build=build, isa=isa, threads=threads)
        reasons = library.missing()
        if reasons:
            pytest.skip("; ".join(map(str, reasons)))
        if library.ISAS.index(isa) > library.ISAS.index(library.load().isa):
            pytest.skip(f"this processor runs {library.load().isa} at best")
        (tmp_path / "on_threads.py").write_text(THREADS_PLUGIN.format(threads=threads))
        environment = {
            **os.environ,
            library.ISA_VARIABLE: isa,
            "PYTHONPATH": os.pathsep.join([str(Path(pacbench.__file__).parents[1]), str(tmp_path)]),
            **variables,
        }
        gate = ("--pyargs", "pacbench.suites.gradients", "--pacbench-backend", "native")
        command = [*prefix, sys.executable, "-m", "pytest", "-q", "-x", "-p", "on_threads", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *gate], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
        write_down(gate=done.stdout.strip().splitlines()[-1].strip("= "))

    return run
