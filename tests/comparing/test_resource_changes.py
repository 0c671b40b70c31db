"""Budgets of compiled GPU kernels are compared between revisions: what takes more is a failure, without a GPU."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pacbench.commands.compare import tell
from pacbench.comparing.comparison import compare, exit_code
from pacbench.comparing.installed_budgets import installed_budgets
from pacbench.comparing.resource_changes import resource_changes
from pacbench.comparing.sides import read_sides
from pacbench.resources import ResourceBudget, ResourceRecord, write_budget
from pacbench.running.probes import RunError


def record(kernel: str, **rest: object) -> ResourceRecord:
    given = {"stack_bytes": 0, "spilled_bytes": 0, "shared_bytes": 0, "threads": 128, "registers": 64} | rest
    return ResourceRecord(backend="gpu", kernel=kernel, variant="float32", target="sm_90", **given)


@pytest.fixture
def installed(tmp_path: Path):
    """Makes a stand-in for an installation's interpreter, which tells where its budget lies."""

    def make(name: str, *records: ResourceRecord) -> str:
        budget, python = tmp_path / f"{name}.json", tmp_path / name
        write_budget(budget, ResourceBudget(compiler="c", records=records))
        python.write_text(f"#!/bin/sh\necho '{json.dumps({'gpu': str(budget)})}'\n")
        python.chmod(0o755)
        return str(python)

    return make


def test_more_registers_are_worse_and_nothing_vanishes(installed: Callable[..., str]):
    base = installed("base", record("same"), record("grown"), record("shrunk"), record("old"))
    new = installed(
        "new", record("same"), record("grown", registers=72), record("shrunk", registers=40), record("young")
    )
    found = [(one.kernel.split()[1], one.text, one.worse) for one in resource_changes(base, new)]
    assert found == [
        ("grown", "registers 72, BASE 64", True),
        ("shrunk", "registers 40, BASE 64", False),
        ("old", "only BASE has it", False),
        ("young", "only NEW has it", False),
    ]
    assert resource_changes(base, base) == []


def test_a_worse_kernel_is_an_exit_code_and_told(
    installed: Callable[..., str], fake_run: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1.0}).folder
    changes = resource_changes(installed("base", record("k")), installed("new", record("k", spilled_bytes=8)))
    comparison = compare(*read_sides(f"{run}:a", f"{run}:b"))
    assert exit_code(comparison) == 0
    whole = comparison.model_copy(update={"resources": changes})
    assert tell(whole, tmp_path / "told", strict=False) == 1
    assert "spilled bytes 8, BASE 0" in capsys.readouterr().out.replace("_", " ")
    assert "1 worse" in (tmp_path / "told" / "comparison.md").read_text()
    suite = ElementTree.parse(tmp_path / "told" / "comparison.junit.xml").getroot()[0]  # noqa: S314 (it is our own)
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_the_budgets_of_this_installation_are_found():
    found = installed_budgets(sys.executable)
    assert {"triton", "cuda_ext"} <= set(found)
    assert all(budget.records for budget in found.values())


def test_an_installation_that_does_not_answer(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ImportError: broken' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(RunError, match="its resource budgets cannot be told: ImportError: broken"):
        resource_changes(str(python), str(python))
