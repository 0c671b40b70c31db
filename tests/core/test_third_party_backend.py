"""The backend of docs/write_a_backend.md, as an installed plug-in of a stranger."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pacbench

PAGE = Path(__file__).parents[2] / "docs" / "write_a_backend.md"
FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process that finds the package as pip would have installed it."""
    folder = tmp_path_factory.mktemp("site")
    files = {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    assert files.keys() == {"pacbench_example/__init__.py", "pyproject.toml"}
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    about = folder / f"pacbench_example-{project['version']}.dist-info"
    about.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(metadata, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    parent = str(Path(pacbench.__file__).parents[1])
    paths = [str(folder), os.environ.get("PYTHONPATH", ""), parent]
    kept = {name: value for name, value in os.environ.items() if name != "PACBENCH_BACKEND"}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_is_short():
    files = {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    code = [line for line in files["pacbench_example/__init__.py"].splitlines() if line.strip()]
    assert len(code) <= 45


def test_listed_right_and_served_on_request_only(environment, tmp_path):
    code = """
import torch
from pacbench import NotSupportedError, functional, get_backend, list_backends, use_backend
from pacbench.calls import Call
from pacbench.dispatch import select
from pacbench.geometry import Window
from pacbench.nn import PacCRF

assert {"example", "unfold"} <= set(list_backends())
backend = get_backend("example")
assert type(backend).__module__ == "pacbench_example"
assert backend.unavailable_reasons() == []

input, guide, weight = torch.randn(2, 4, 9, 8), torch.randn(2, 3, 9, 8) * 0.5, torch.randn(5, 4, 3, 5)
window = {"stride": (2, 1), "padding": (1, 3), "dilation": (2, 1)}
wanted = functional.guided_pacconv2d(input, guide, weight, **window, backend="unfold")
assert torch.allclose(functional.guided_pacconv2d(input, guide, weight, **window, backend="example"), wanted, atol=1e-4)
with use_backend("example"):
    assert torch.allclose(functional.guided_pacconv2d(input, guide, weight, **window), wanted, atol=1e-4)

crfs = [PacCRF(4, 2, pairwise_kernels={"dilation": 2}, backend=name) for name in ("example", "unfold")]
crfs[0].load_state_dict(crfs[1].state_dict())
results = [crf(input, guide) for crf in crfs]
assert torch.allclose(*results, atol=1e-4)

kernel = torch.rand(2, 1, 3, 5, 7, 4)
tensors = {"input": input, "kernel": kernel, "weight": weight, "bias": None}
call = Call("pacconv2d", tensors, Window((3, 5)), shared_filters=False)
assert backend.not_supported_reasons(call) == []
assert select(call).name != "example"
assert select(call, "example") is backend

try:
    functional.guided_pacpool2d(input, guide, 3, normalize_kernel=True, backend="example")
except NotSupportedError as error:
    first, own, *others = str(error).splitlines()
    assert first.endswith("is not supported by backend example:")
    assert own == (
        "  example: operator guided_pacpool2d is not among packernel2d, pacconv2d, guided_pacconv2d, "
        "mean_field_update; option normalize_kernel is not supported"
    )
    assert any(line.startswith("  unfold: supports this call") for line in others)
else:
    raise AssertionError("a pooling that was not declared was computed")
"""
    run(environment, tmp_path, "-c", code)


def test_smoke_gate_is_green_with_rightful_skips(environment, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    words = ["-m", "pytest", "-c", str(tmp_path / "pytest.ini"), "-p", "no:cacheprovider", "-rs"]
    words += ["--pyargs", "pacbench.suites.gradients", "--pacbench-backend", "example", "-m", "smoke"]
    output = run(environment, tmp_path, *words)
    passed, skipped = (int(re.search(rf"(\d+) {outcome}", output).group(1)) for outcome in ("passed", "skipped"))
    assert passed >= 8
    assert passed + skipped <= 24
    reasons = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert reasons
    for reason in reasons:
        assert re.search(r"not supported by example: |example declares ", reason), reason
