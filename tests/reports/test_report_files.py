"""The files of a report: Markdown, CSV, plots, and what the terminal shows."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pacbench.frame import Run
from pacbench.reports import write
from pacbench.reports.figures import MOST_LABELS, Figure, Point, Roof, figures, machine_roof
from pacbench.reports.interactive import interactive
from pacbench.reports.plots import draw
from pacbench.reports.tables import summary_tables
from pacbench.reports.terminal import print_tables


def terminal_text(run: Run, width: int) -> str:
    file = io.StringIO()
    print_tables(run, Console(file=file, width=width))
    return file.getvalue()


def test_write_makes_every_file(several: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "deeper"
    files = write(several, folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    assert names[:2] == ["report.md", "report.csv"]
    assert {"gradients.csv", "crf.csv", "joint_upsampling.csv", "operators.csv", "index.html"} <= set(names)
    assert sum(name.startswith("plots/") for name in names) == 8
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(files)
    assert all(file.stat().st_size > 0 for file in files)


def test_write_replaces_an_older_report(several: Run, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old")
    write(several, tmp_path)
    assert (tmp_path / "report.md").read_text().startswith("# pacbench run")


def test_plots_are_png_files(several: Run, tmp_path: Path) -> None:
    plots = [file for file in write(several, tmp_path) if file.suffix == ".png"]
    assert all(plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for plot in plots)
    text = (tmp_path / "report.md").read_text()
    assert all(f"(plots/{plot.name})" in text for plot in plots)


def test_a_row_without_time_is_a_level_of_the_plot(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.crf()
    run_folder.case("crf", "test_quality[free]", method="free", dataset="scenes", metrics={"miou": 0.6})
    run_folder.ran("crf")
    (figure,) = figures(summary_tables(run_folder.read()))
    assert figure.levels == (("free", 60.0),)
    assert draw(figure, "svg").startswith(b"<?xml")
    assert [shape["y0"] for shape in interactive(figure)["layout"]["shapes"]] == [60.0]


def test_a_plot_of_many_cases_says_what_it_leaves_to_the_table(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.green()
    for number in range(MOST_LABELS + 1):
        run_folder.case("operators", f"test_time[W{number}-forward]", direction="forward", samples_s=[0.1])
    run_folder.ran("operators")
    (table,) = [table for table in summary_tables(run_folder.read()) if table.name == "operators"]
    (figure,) = figures([table])
    assert len(table.rows) == MOST_LABELS + 1
    assert len(figure.labels) == MOST_LABELS
    assert figure.title.endswith(f"the first {MOST_LABELS} of {MOST_LABELS + 1} cases")


def test_a_scatter_of_many_methods_has_no_shape_for_each(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    for number in range(MOST_LABELS + 1):
        about = {"method": f"m{number}", "dataset": "scenes"}
        run_folder.case("crf", f"test_quality[m{number}]", direction="quality", metrics={"miou": 0.5}, **about)
        run_folder.case("crf", f"test_time[m{number}-total]", direction="total", samples_s=[0.1], **about)
    run_folder.ran("crf")
    (figure,) = figures(summary_tables(run_folder.read()))
    assert (len(figure.points), figure.shaped) == (MOST_LABELS, False)
    assert figure.title.endswith(f"the first {MOST_LABELS} of {MOST_LABELS + 1} cases")
    assert [trace["name"] for trace in interactive(figure)["data"]] == ["unfold"]
    assert draw(figure).startswith(b"\x89PNG")


def test_the_roofline_has_what_ran_under_a_measured_roof(several: Run) -> None:
    roof = machine_roof(several)
    assert roof is not None
    forward, backward = [one for one in figures(summary_tables(several), roof) if one.kind == "roofline"]
    (point,) = [one for one in forward.points if (one.label, one.series) == ("W1", "inductor")]
    assert point.x == pytest.approx(3.36e9 / 2e8)
    assert point.y == pytest.approx(3.36 / (0.536 * 0.34))
    (left, start), ridge, (right, top) = forward.roof
    assert ridge == (pytest.approx(228 / 40.1), 228.0)
    assert (start / left, top) == (pytest.approx(40.1), 228.0)
    assert left < min(one.x for one in forward.points) < max(one.x for one in forward.points) < right
    assert interactive(forward)["layout"]["yaxis"]["type"] == "log"
    assert draw(backward, "svg").startswith(b"<?xml")
    assert not [one for one in figures(summary_tables(several)) if one.kind == "roofline"]


def test_the_roof_is_flat_where_no_bandwidth_was_measured() -> None:
    assert Roof(100.0, None).corners([1.0, 4.0]) == ((0.5, 100.0), (8.0, 100.0))


def test_there_is_no_roof_where_no_peak_was_measured(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.environment(fma_peak_gflops=None, fma_peak_reason="no C++ compiler")
    run_folder.green()
    run_folder.operators()
    run = run_folder.read()
    assert machine_roof(run) is None
    assert [one.kind for one in figures(summary_tables(run), machine_roof(run))] == ["dots", "dots"]


def test_a_point_says_its_whole_name_and_the_plot_a_short_one() -> None:
    name = "a very long name of a case that nobody can read on a telephone"
    drawn = interactive(Figure("f", "t", "dots", "x", "", (Point(name, "unfold", 1.0),)))
    assert drawn["data"][0]["text"] == [name]
    (tick,) = drawn["layout"]["yaxis"]["ticktext"]
    assert tick.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert len(tick) <= 40


def test_names_that_matplotlib_would_read_are_drawn_as_they_are() -> None:
    points = tuple(
        Point(label, series, 1.0, 1.0) for label in ("_x", "$y", "\N{SNOWMAN}\u4e2d") for series in ("_a", "$b")
    )
    for kind in ("scatter", "dots", "roofline", "trend"):
        assert draw(
            Figure("f", "$t", kind, "_x", "$y$", points, (("$l", 1.0),), ((1.0, 1.0), (2.0, 1.0)), "$r")
        ).startswith(b"\x89PNG")


def test_an_unwritable_folder_is_an_error(several: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write(several, tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error(several: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        write(several, tmp_path / "out")


def test_summary_csv_keeps_numbers_and_reasons(several: Run, tmp_path: Path) -> None:
    write(several, tmp_path)
    frame = pd.read_csv(tmp_path / "crf.csv")
    row = frame[(frame["method"] == "pac_crf_32") & (frame["backend"] == "unfold")].iloc[0]
    assert row["total_ms"] == pytest.approx(2583 * 1.01)
    assert row["miou_percent"] == pytest.approx(67.34)
    skipped = frame[frame["method"] == "bcl_crf"].iloc[0]
    assert pd.isna(skipped["total_ms"])
    assert "the permutohedral lattice is not installed" in skipped["reasons"]
    assert (frame["dataset"] == "scenes").all()


def test_tidy_csv_holds_every_row(several: Run, tmp_path: Path) -> None:
    write(several, tmp_path)
    frame = pd.read_csv(tmp_path / "report.csv")
    assert len(frame) == len(several.frame)
    assert list(frame.columns) == list(several.frame.columns)
    medians = several.frame["median_s"].astype(float)
    pd.testing.assert_series_equal(frame["median_s"], medians, check_names=False, check_index=False)
    assert set(frame["outcome"]) == {"passed", "skipped", "lost"}


def test_csv_text_is_no_formula(run_folder: Any, tmp_path: Path) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.case("crf", "=cmd()", method="=2+3", dataset="@home", outcome="failed", reason="-1 <script>")
    run_folder.ran("crf")
    write(run_folder.read(), tmp_path)
    for name in ("report.csv", "crf.csv"):
        frame = pd.read_csv(tmp_path / name, dtype=str)
        texts = [text for column in frame for text in frame[column].dropna()]
        assert "'=2+3" in texts
        assert not [text for text in texts if text.startswith(("=", "+", "@"))]


def test_no_number_of_a_red_gate_in_any_file(run_folder: Any, tmp_path: Path) -> None:
    run_folder.settings(["crf", "operators"], ["faulty"])
    run_folder.red("faulty")
    about = {"method": "pac_crf_32", "dataset": "scenes"}
    run_folder.case(
        "crf", "test_quality[pac_crf_32]", "faulty", direction="quality", metrics={"miou": 0.987612},
        parameters={"weight": 7.6543}, per_item={"one": {"miou": 0.987612}}, duration_s=71.7171, **about,
    )  # fmt: skip
    run_folder.case(
        "crf", "test_time[pac_crf_32-total]", "faulty", direction="total", samples_s=[0.7171717], flops=1e9,
        peak_memory_bytes=71_717_171, **about,
    )  # fmt: skip
    run_folder.case("operators", "test_time[W1-forward]", "faulty", direction="forward", samples_s=[0.7171717])
    run_folder.ran("crf", "operators", backend="faulty")
    run = run_folder.read()
    texts = {file.name: file.read_text() for file in write(run, tmp_path) if file.suffix != ".png"}
    texts["terminal"] = terminal_text(run, 100)
    for name, text in texts.items():
        assert not [found for found in ("7171", "98.76", "0.9876", "7.654", "71.7", "717 ") if found in text], name
        assert name == "gradients.csv" or "output differs" in text, name


def test_markdown_tells_skips_and_problems(run_folder: Any, tmp_path: Path) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.case("crf", "test_quality[bcl_crf]", method="bcl_crf", outcome="skipped", reason="a | pipe\nand a line")
    run_folder.ran("crf")
    (run_folder.folder / "records" / "broken.jsonl").write_text("{}\n")
    write(run_folder.read(), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "## Problems" in text
    assert "broken.jsonl" in text
    assert "a \\| pipe and a line" in text
    assert text.count("# pacbench run") == 1


def test_a_run_without_its_settings_is_told(run_folder: Any, tmp_path: Path) -> None:
    run_folder.green()
    run_folder.crf()
    files = write(run_folder.read(), tmp_path)
    assert "run.json is missing" in files[0].read_text()


def test_an_empty_run_is_told(run_folder: Any, tmp_path: Path) -> None:
    run_folder.settings(["crf", "joint_upsampling", "operators"])
    files = write(run_folder.read(), tmp_path)
    assert not [file for file in files if file.suffix == ".png"]
    assert "never started" in (tmp_path / "report.md").read_text()
    assert "never started" in terminal_text(run_folder.read(), 80)


def test_names_of_suites_are_safe_as_file_names(run_folder: Any, tmp_path: Path) -> None:
    run_folder.settings(["../../escape", "report", "<b>"])
    run_folder.green()
    files = write(run_folder.read(), tmp_path / "out")
    names = {file.relative_to(tmp_path / "out").as_posix() for file in files}
    assert {"escape.csv", "report-2.csv", "b.csv"} <= names


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_every_column(several: Run, width: int) -> None:
    text = terminal_text(several, width)
    assert max(len(line) for line in text.splitlines()) <= width
    (row,) = [line for line in text.splitlines() if line.startswith("pac_crf_16_64") and "unfold" in line]
    assert row.split() == [
        "pac_crf_16_64",
        "unfold",
        "67.81",
        "+2.69",
        "1.00",
        "5590",
        "1730",
        "3850",
        "1.00",
        "930",
        "ok",
    ]
    assert "skipped: the permutohedral lattice is not installed" in text


def test_the_terminal_is_plain_where_it_is_none(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.case(
        "crf", "test_quality[x]", method="[bold red]x[/]", outcome="failed", reason="\x1b[31mred\x1b[0m [blink]"
    )
    run_folder.ran("crf")
    text = terminal_text(run_folder.read(), 100)
    assert "\x1b" not in text
    assert "[bold red]x[/]" in text.replace("\n", "")
    assert "[blink]" in text


def test_the_terminal_needs_no_plotting_library() -> None:
    code = (
        "import sys, pacbench.reports, pacbench.reports.terminal; "
        "sys.exit([name for name in ('matplotlib', 'plotly', 'jinja2', 'torch') if name in sys.modules] or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
