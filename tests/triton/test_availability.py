"""Where Triton's kernels can run, what is said where they cannot, and that nothing imports triton before it must."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pacbench import registry
from pacbench.backends.triton import TritonBackend, availability
from pacbench.dispatch import best_backend


def run(code: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_asking_the_backend_does_not_import_triton() -> None:
    code = (
        "import sys; from pacbench import get_backend; get_backend('triton').unavailable_reasons(); "
        "assert 'triton' not in sys.modules, 'triton was imported'; print('asked')"
    )
    assert run(code) == "asked\n"


def test_without_the_package_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: None)
    (reason,) = TritonBackend().unavailable_reasons()
    assert reason.text == "the package triton is not installed"
    assert "pacbench[triton]" in reason.mend


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_the_reason_says_so(needs_triton: None) -> None:
    (reason,) = registry.get_backend("triton").unavailable_reasons()
    assert "torch is for CPUs" in reason.text or "no GPU" in reason.text
    assert "TRITON_INTERPRET=1" in reason.mend


def test_interpreting_serves_the_cpu_on_request_only(interpreted_environment: dict[str, str]) -> None:
    code = (
        "from pacbench import get_backend; from pacbench.dispatch import best_backend; b = get_backend('triton'); "
        "print(b.unavailable_reasons(), b.capabilities.devices, b.emulated, best_backend())"
    )
    assert run(code, interpreted_environment).split() == ["[]", "('cpu',)", "True", best_backend()]


def test_interpreter_switched_on_too_late_is_said(needs_triton: None) -> None:
    code = (
        "import os, triton, triton.language; os.environ['TRITON_INTERPRET'] = '1'; "
        "from pacbench import get_backend; print(get_backend('triton').unavailable_reasons()[0])"
    )
    assert "was set after triton had been imported" in run(code)


def test_bfloat16_while_interpreting_is_refused_with_its_reason(interpreted_environment: dict[str, str]) -> None:
    code = (
        "import torch; from pacbench.functional import pacpool2d\n"
        "x = torch.ones(1, 1, 3, 3, dtype=torch.bfloat16)\n"
        "try: pacpool2d(x, torch.ones(1, 1, 1, 1, 3, 3, dtype=torch.bfloat16), 1, backend='triton')\n"
        "except RuntimeError as error: print(error)\n"
    )
    assert "multiplies bfloat16 wrongly" in run(code, interpreted_environment)
