"""The resource budget: what turns it red, what does not, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from pacbench import Backend, Capabilities, registry
from pacbench.command_line import app
from pacbench.resources import (
    BudgetError,
    ResourceBudget,
    ResourceRecord,
    compare,
    occupancy,
    read_budget,
    write_budget,
)

KERNEL = ResourceRecord(
    backend="example",
    kernel="forward",
    variant="float32",
    target="sm_90",
    registers=128,
    stack_bytes=0,
    spilled_bytes=0,
    shared_bytes=4096,
    threads=128,
    occupancy=0.25,
    instructions={"mma": 10, "ffma": 100, "total": 1000},
    per_output={"global_bytes": 20.0},
)


def changed(**values: object) -> ResourceRecord:
    return KERNEL.model_copy(update=values)


def with_counts(**counts: int) -> ResourceRecord:
    return changed(instructions={**KERNEL.instructions, **counts})


@pytest.mark.parametrize(
    ("compiled", "text"),
    [
        (changed(registers=129), "registers 129, budget 128"),
        (changed(spilled_bytes=8), "spilled_bytes 8, budget 0"),
        (changed(stack_bytes=8), "stack_bytes 8, budget 0"),
        (changed(shared_bytes=4097), "shared_bytes 4097, budget 4096"),
        (with_counts(mma=0), "mma instructions 0, budget 10"),
        (with_counts(dfma=1), "dfma instructions 1, budget 0"),
        (with_counts(ldl=1), "ldl instructions 1, budget 0"),
        (with_counts(total=1051), "total instructions 1051, budget 1000"),
        (changed(per_output={"global_bytes": 22.0}), "global_bytes per output 22, budget 20"),
        (changed(variant="float16"), "has no budget"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_worse(compiled: ResourceRecord, text: str) -> None:
    found = [difference for difference in compare([compiled], [KERNEL]) if difference.worse]
    assert text in [difference.text for difference in found]
    assert str(found[0]).startswith(f"worse  {found[0].kernel}: ")


@pytest.mark.parametrize(
    "compiled",
    [changed(registers=100), with_counts(ffma=50), changed(shared_bytes=0), changed(per_output={"global_bytes": 1.0})],
    ids=["registers", "ffma", "shared", "bytes"],
)
def test_better_is_no_failure_and_is_said(compiled: ResourceRecord) -> None:
    differences = compare([compiled], [KERNEL])
    assert [difference.worse for difference in differences] == [False]


@pytest.mark.parametrize("compiled", [KERNEL, with_counts(mma=12), with_counts(total=1049)], ids=["same", "mma", "5%"])
def test_no_difference(compiled: ResourceRecord) -> None:
    assert compare([compiled], [KERNEL]) == []


def test_a_kernel_that_is_gone_is_red_only_for_its_target() -> None:
    other = changed(target="sm_80")
    assert compare([KERNEL], [KERNEL, other]) == []
    (missing,) = compare([KERNEL], [KERNEL, changed(kernel="backward")])
    assert missing.worse
    assert missing.text == "is in the budget but was not compiled"


def test_file_keeps_every_value_and_one_line_a_record(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    budget = ResourceBudget(compiler="c 1", records=(KERNEL, changed(target="sm_80")))
    write_budget(path, budget)
    assert read_budget(path) == ResourceBudget(compiler="c 1", records=budget.records[::-1])
    assert sum('"kernel"' in line for line in path.read_text().splitlines()) == 2


def test_unreadable_budgets(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    with pytest.raises(BudgetError, match="got no budget file"):
        read_budget(path)
    path.write_text('{"compiler": "c", "records": [{"kernel": "k"}]}')
    with pytest.raises(BudgetError, match=r"does not fit the schema: records\.0\.backend"):
        read_budget(path)
    path.write_text(ResourceBudget(compiler="c", records=(KERNEL, KERNEL)).model_dump_json())
    with pytest.raises(BudgetError, match="got sm_90 forward float32 twice"):
        read_budget(path)


@pytest.mark.parametrize(
    ("target", "registers", "shared", "threads", "share"),
    [
        ("sm_90", 128, 0, 128, 0.25),
        ("sm_90", 255, 0, 128, 0.125),
        ("sm_90", 32, 0, 1024, 1.0),
        ("sm_90", 32, 115712, 128, 0.125),
        ("sm_80", 64, 0, 256, 0.5),
        ("sm_90a", 128, 0, 128, 0.25),
        ("gfx942", 128, 0, 256, None),
    ],
)
def test_occupancy(target: str, registers: int, shared: int, threads: int, share: float | None) -> None:
    assert occupancy(target, registers=registers, shared_bytes=shared, threads=threads) == share


class _WithKernels(Backend):
    name: ClassVar[str] = "example"
    summary: ClassVar[str] = "a backend with one kernel"
    capabilities: ClassVar[Capabilities] = Capabilities(devices=("cpu",), dtypes=("float32",))
    budget: ClassVar[Path]
    kernel: ClassVar[ResourceRecord] = KERNEL

    def resource_budget_file(self) -> Path:
        return self.budget

    def compiled_resources(self, targets: Sequence[str] | None = None) -> tuple[str, list[ResourceRecord]]:
        return "c 1", [changed(target=target) for target in targets] if targets else [self.kernel]


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.loaded, "example", _WithKernels())
    monkeypatch.setitem(registry._found, "example", None)
    monkeypatch.setattr(_WithKernels, "budget", tmp_path / "budget.json", raising=False)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["resources", "--backend", "example", *words], standalone_mode=False)
        return result.return_value, result.output

    assert run("--update")[0] == 0
    code, output = run()
    assert code == 0
    assert "1 kernels: 0 differences for the worse" in output
    assert run("--update", "--target", "sm_80")[0] == 0
    assert len(read_budget(tmp_path / "budget.json").records) == 2
    monkeypatch.setattr(_WithKernels, "kernel", changed(registers=200))
    code, output = run()
    assert code == 1
    assert "registers 200, budget 128" in output


def test_a_backend_without_kernels_says_so() -> None:
    result = CliRunner().invoke(app, ["resources", "--backend", "unfold"], standalone_mode=False)
    assert "has no compiled GPU kernels" in str(result.exception)
