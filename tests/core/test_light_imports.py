"""pytest loads pacbench wherever it is installed: that must not load torch, nor the rest its compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pacbench.dispatch import constant_when_traced


@pytest.mark.parametrize("module", ["pacbench", "pacbench.pytest_plugin", "pacbench.records", "pacbench.registry"])
def test_import_without_torch(module):
    code = f"import {module}, sys; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module", ["pacbench.functional", "pacbench.nn", "pacbench.backends.native", "pacbench.running.suite_session"]
)
def test_import_without_torchs_compiler(module):
    """Which takes as long as torch itself, in every process."""
    code = f"import {module}, sys; assert 'torch._dynamo' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_constants_are_marked_as_torch_marks_them():
    def by_torch() -> None: ...
    def by_us() -> None: ...

    torch.compiler.assume_constant_result(by_torch)
    constant_when_traced(by_us)
    assert vars(by_us) == vars(by_torch) != {}


def test_public_names_load_on_first_use():
    import pacbench

    for name in pacbench.__all__:
        assert getattr(pacbench, name) is not None
    with pytest.raises(AttributeError, match="module 'pacbench' has no attribute 'pacconv2d'"):
        pacbench.pacconv2d  # noqa: B018 - the attribute raises
