"""pytest loads pacbench in every run on a machine where it is installed: that must not load torch."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["pacbench", "pacbench.pytest_plugin", "pacbench.records", "pacbench.registry"])
def test_import_without_torch(module):
    code = f"import {module}, sys; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_load_on_first_use():
    import pacbench

    for name in pacbench.__all__:
        assert getattr(pacbench, name) is not None
    with pytest.raises(AttributeError, match="module 'pacbench' has no attribute 'pacconv2d'"):
        pacbench.pacconv2d  # noqa: B018 - the attribute raises
