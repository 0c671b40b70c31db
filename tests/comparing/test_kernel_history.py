"""Resource budgets in a history: kept beside each run, compared from level to level, a red gate without a GPU."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pacbench import command_line
from pacbench.commands import history as command
from pacbench.comparing.history import HistoryEntry, HistoryError, add, entry_of, read, read_budgets
from pacbench.comparing.installed_budgets import committed_budgets
from pacbench.comparing.kernel_trends import kernel_trends
from pacbench.frame import read_run
from pacbench.measuring.package_hash import package_hash
from pacbench.reports.kernel_trends import kernel_figures
from pacbench.reports.plots import draw_stacked
from pacbench.resources import ResourceBudget, ResourceRecord, budget_text, write_budget


def record(kernel: str = "k", variant: str = "float32", **rest: object) -> ResourceRecord:
    given = {"stack_bytes": 0, "spilled_bytes": 0, "shared_bytes": 0, "threads": 128, "registers": 64} | rest
    return ResourceRecord(backend="gpu", kernel=kernel, variant=variant, target="sm_90", **given)


def budget(*records: ResourceRecord, compiler: str = "c 1") -> ResourceBudget:
    return ResourceBudget(compiler=compiler, records=records)


@pytest.fixture
def entry(fake_run: Callable) -> Callable[[int], HistoryEntry]:
    """The run of a day, with times that do not move."""

    def make(day: int) -> HistoryEntry:
        settings = {"started": f"2026-01-{day + 1:02}T00:00:00+0000"}
        run = fake_run(f"run-{day}", {"a": 1.0}, {"x": 1.0}, rounds=1, settings=settings)
        return entry_of(read_run(run.folder), f"c{day:07}", f"commit {day}")

    return make


@pytest.fixture
def history(
    entry: Callable[[int], HistoryEntry],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    """Adds a run for each budget, None for none, then runs `pacbench history`: (exit code, stdout)."""
    monkeypatch.chdir(tmp_path)
    days = []

    def run(budgets: list[ResourceBudget | None], *words: str) -> tuple[int, str]:
        for one in budgets:
            add(Path("history"), entry(len(days)), {"gpu": one} if one else {})
            days.append(one)
        return pacbench(monkeypatch, capsys, "history", "history", *words)[:2]

    return run


def pacbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["pacbench", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize(
    "grown",
    [{"registers": 72}, {"spilled_bytes": 8}, {"instructions": {"total": 1100}}, {"shared_bytes": 64}],
    ids=lambda grown: next(iter(grown)),
)
def test_a_budget_that_grew_is_an_exit_code(history, grown: dict[str, object]):
    """The planted fault: nothing became slower, but a kernel takes more."""
    before = budget(record(instructions={"total": 1000}))
    after = record(**({"instructions": {"total": 1000}} | grown))
    code, out = history([before, before], "--fail-on-regression")
    assert (code, "takes more" in out) == (0, False)
    code, out = history([budget(after)], "--fail-on-regression")
    assert code == 1
    (sentence,) = [line for line in out.splitlines() if line.startswith("takes more: ")]
    assert sentence.startswith("takes more: gpu sm_90 k float32: ")
    assert sentence.endswith("since commit c0000002 (commit 2)")
    assert history([])[0] == 0, "without the option it is told, and no failure"


def test_it_stays_red_while_it_is_recent_and_nobody_mended_it(history):
    assert history([budget(record()), budget(record(registers=72)), None], "--fail-on-regression")[0] == 1
    assert history([budget(record(registers=72))] * 2, "--fail-on-regression")[0] == 1
    assert history([], "--fail-on-regression", "--recent", "3")[0] == 1
    assert history([], "--fail-on-regression", "--recent", "2")[0] == 0
    code, out = history([budget(record())], "--fail-on-regression")
    assert (code, "takes more" in out) == (0, False), "mended"


def test_many_kernels_are_one_sentence_and_a_short_table(history):
    def of(registers: int) -> ResourceBudget:
        less = 80 - registers  # what is better stands in the table, and not in the sentence
        return budget(*(record(f"k{number}", registers=registers, shared_bytes=less) for number in range(30)))

    code, out = history([of(64), of(72)], "--fail-on-regression")
    assert code == 1
    said = "takes more: gpu sm_90 k0 float32: registers 72, before 64, and 29 other kernels, since commit c0000001"
    assert [line for line in out.splitlines() if line.startswith("takes more")] == [f"{said} (commit 1)"]
    assert "10 more stand in kernels.csv." in out
    with Path("history/report/kernels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 30


def test_a_kernel_that_takes_less_came_or_went_is_no_failure(history):
    first = budget(record("shrunk"), record("old"), record("same"))
    second = budget(record("shrunk", registers=40), record("young"), record("same"))
    code, out = history([first, second], "--fail-on-regression")
    assert code == 0
    assert "takes more" not in out
    with Path("history/report/kernels.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["kernel"], row["verdict"], row["change"]) == (
        "sm_90 shrunk float32", "less", "registers 40, before 64"
    )  # fmt: skip
    assert (row["registers"], row["change_commit"], row["runs"]) == ("40.0", "c0000001", "2.0")
    assert "gpu: 4 kernels in the budgets of 2 runs, 1 of them in the newest no more; 1 changed." in " ".join(
        out.split()
    )


def test_a_grown_kernel_that_is_gone_is_no_failure(history):
    budgets = [budget(record("k")), budget(record("k", registers=72)), budget(record("other"))]
    assert history(budgets, "--fail-on-regression")[0] == 0
    assert "the newest budget has it no more" in Path("history/report/history.md").read_text()


def test_growth_in_small_steps_adds_up(entry: Callable[[int], HistoryEntry]):
    totals = (1000, 1040, 1080, 1120)  # each within the 5 % that a count may grow by
    budgets = {str(total): budget(record(instructions={"total": total})) for total in totals}
    entries = [entry(day).model_copy(update={"budgets": {"gpu": str(total)}}) for day, total in enumerate(totals)]
    (trend,) = kernel_trends(entries, budgets)
    assert [(change.place, change.text) for change in trend.changes] == [(2, "total instructions 1080, before 1000")]
    assert trend.changes[0].worse
    assert trend.changes[0].age == 2


def test_what_is_better_since_hides_no_growth(history):
    grown = record(registers=72, shared_bytes=64)
    code, out = history([budget(record(shared_bytes=64)), budget(grown), budget(record(registers=72))])
    assert code == 0
    assert "takes more: gpu sm_90 k float32: registers 72, before 64, since commit c0000001 (commit 1)" in out
    assert history([], "--fail-on-regression")[0] == 1
    assert history([budget(record())], "--fail-on-regression")[0] == 0, "mended"


def test_another_compiler_is_named(entry: Callable[[int], HistoryEntry]):
    budgets = {"1": budget(record()), "2": budget(record(registers=72), compiler="c 2")}
    entries = [entry(day).model_copy(update={"budgets": {"gpu": name}}) for day, name in enumerate(budgets)]
    (trend,) = kernel_trends(entries, budgets)
    assert trend.changes[0].text == "registers 72, before 64 (compiled by c 2, before c 1)"


def test_only_kernels_that_changed_have_a_row_and_a_plot(history):
    kept = [record(f"kept{number}") for number in range(30)]
    code, out = history([budget(*kept, record("a"), record("a", "float16"), record("b"))] * 2)
    assert code == 0
    assert "No kernel takes anything else than in the first run." in out
    for name in ("history.md", "index.html"):
        assert "No kernel takes anything else" in Path("history/report", name).read_text()
    assert not list(Path("history/report/plots").glob("kernel-*"))
    grown = (record("a", registers=72), record("a", "float16", registers=70), record("b"))
    _, out = history([budget(*kept, *grown)])
    (plot,) = Path("history/report/plots").glob("kernel-*.png")
    assert plot.name.startswith("kernel-gpu-a-")
    assert plot.read_bytes().startswith(b"\x89PNG")
    told = Path("history/report/history.md").read_text()
    assert f"![kernels](plots/{plot.name})" in told
    assert "registers 72, before 64 at c0000002 (commit 2)" in told
    with Path("history/report/kernels.csv").open(newline="") as file:
        assert [row["kernel"] for row in csv.DictReader(file)] == ["sm_90 a float16", "sm_90 a float32"]
    assert "kept0" not in out


def test_a_plot_of_many_variants_is_drawn(entry: Callable[[int], HistoryEntry]):
    def of(registers: int) -> ResourceBudget:
        return budget(*(record("k$", f"v{number}$", registers=registers) for number in range(20)))

    entries = [entry(day).model_copy(update={"budgets": {"gpu": str(day)}}) for day in range(2)]
    (figures,) = kernel_figures(kernel_trends(entries, {"0": of(64), "1": of(72)})).values()
    assert [figure.y_title for figure in figures] == ["registers", "spilled bytes", "instructions"]
    assert len(figures[0].series) == 20
    assert [point.y for point in figures[0].of("sm_90 v0$")] == [64, 72]
    assert [(change.x, change.text, change.worse) for change in figures[0].changes] == [(0.5, "c0000001", True)]
    assert draw_stacked(figures).startswith(b"\x89PNG")


def test_a_history_without_budgets_says_nothing_of_kernels(history):
    code, out = history([None] * 2, "--fail-on-regression")
    assert code == 0
    assert "kernel" not in out
    assert not Path("history/report/kernels.csv").exists()


def test_equal_budgets_are_one_file_and_a_lost_one_is_named(history):
    history([budget(record()), budget(record()), budget(record("young"))])
    files = sorted(Path("history/budgets").iterdir())
    assert len(files) == 2
    assert budget_text(budget(record())) in [path.read_text() for path in files]
    for path in files:
        path.unlink()
    code, out = history([])
    assert code == 1
    assert out.count("Problem: history/budgets/") == 2


def test_a_run_is_added_once_whatever_its_budget(history, entry: Callable[[int], HistoryEntry]):
    history([budget(record())])
    with pytest.raises(HistoryError, match="holds this run already"):
        add(Path("history"), entry(0), {"gpu": budget(record(registers=72))})
    with pytest.raises(HistoryError, match="holds this run already"):
        add(Path("history"), entry(0))


def test_an_entry_of_a_history_before_there_were_budgets_is_read(history):
    history([None])
    (path,) = Path("history").glob("*.json")
    older = json.loads(path.read_text())
    del older["budgets"]
    path.write_text(json.dumps(older))
    (found,), problems = read(Path("history"))
    assert (found.budgets, problems) == ({}, [])
    assert found.digest in path.name


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose commit `old` has a budget, and whose checkout has another."""
    root = tmp_path / "repository"
    file = root / "backends/gpu/resource_budget.json"
    file.parent.mkdir(parents=True)
    (root / "elsewhere").mkdir()
    (root / "elsewhere/resource_budget.json").write_text("not ours")
    git(root, "init", "-q", "-b", "main")
    for name, registers in (("old", 64), ("new", 72)):
        write_budget(file, budget(record(registers=registers)))
        git(root, "add", ".")
        git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", name)
        git(root, "tag", name)
    return root


def git(folder: Path, *words: str) -> None:
    command = ["git", "-C", str(folder), *words]
    subprocess.run(command, check=True, capture_output=True)


def test_a_commit_has_its_own_budget(repository: Path):
    files = {"gpu": Path("/site-packages/pacbench/backends/gpu/resource_budget.json"),
             "none": Path("/site-packages/other/none/resource_budget.json")}  # fmt: skip
    for commit, registers in (("old", 64), ("new", 72)):
        for place in (repository, repository / "elsewhere"):
            found = committed_budgets(place, commit, files)
            assert {name: one.records[0].registers for name, one in found.items()} == {"gpu": registers}
    assert committed_budgets(repository, "nosuch", files) == {}
    assert committed_budgets(repository.parent, "new", files) == {}


def test_add_records_the_budget_of_the_commit_or_of_what_was_measured(
    repository: Path, fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):  # fmt: skip
    installed = tmp_path / "pacbench/backends/gpu/resource_budget.json"
    installed.parent.mkdir(parents=True)
    write_budget(installed, budget(record(registers=80)))
    monkeypatch.setattr(command, "budget_files", lambda _: {"gpu": installed})
    monkeypatch.chdir(repository)
    folder = tmp_path / "history"

    def registers_of(day: int, commit: str, measured: str) -> tuple[int | None, str]:
        run = fake_run(
            f"run-{day}", {"a": 1.0}, {"x": 1.0}, rounds=1, environment={"package_hash": measured},
            settings={"started": f"2026-01-{day:02}T00:00:00+0000"},
        )  # fmt: skip
        words = ("--add", str(run.folder), "--commit", commit)
        code, out, _ = pacbench(monkeypatch, capsys, "history", str(folder), *words)
        assert code == 0
        entries, _ = read(folder)
        budgets, _ = read_budgets(folder, entries)
        name = entries[-1].budgets.get("gpu")
        return (budgets[name].records[0].registers if name else None), out.splitlines()[0]

    told, said = registers_of(1, "old", "another package")
    assert told == 64
    assert said.endswith(".json, with the resource budgets of gpu")
    assert registers_of(2, "new", package_hash())[0] == 72
    assert registers_of(3, "nosuch", package_hash())[0] == 80, "of no commit here, but of what is installed"
    told, said = registers_of(4, "nosuch", "another package")
    assert told is None, "what was measured is not here"
    assert said.endswith(".json, without resource budgets")


def test_a_budget_of_the_commit_that_cannot_be_read_is_an_error(
    repository: Path, fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):  # fmt: skip
    monkeypatch.setattr(command, "budget_files", lambda _: {"x": tmp_path / "elsewhere/resource_budget.json"})
    monkeypatch.chdir(repository)
    run = fake_run("run", {"a": 1.0}, {"x": 1.0}, rounds=1)
    code, _, err = pacbench(monkeypatch, capsys, "history", str(tmp_path / "history"), "--add", str(run.folder))
    assert code == 1
    assert "elsewhere/resource_budget.json: got a budget that does not fit the schema" in err
    assert not (tmp_path / "history").exists(), "nothing is added"
