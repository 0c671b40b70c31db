"""What the summary tables say of a run."""

from statistics import fmean
from typing import Any

import pytest

from pacbench.frame import Run
from pacbench.reports.cells import SummaryTable
from pacbench.reports.layout import layout
from pacbench.reports.tables import not_passed_table, summary_tables


def table_of(run: Run, name: str) -> SummaryTable:
    return next(table for table in summary_tables(run) if table.name == name)


def rows_of(table: SummaryTable, **wanted: str) -> list[dict[str, Any]]:
    """Rows as dictionaries of cells, those whose text is as wanted."""
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row, strict=True)) for row in table.rows]
    return [row for row in rows if all(row[key].text == text for key, text in wanted.items())]


def test_crf_row(several: Run) -> None:
    (row,) = rows_of(table_of(several, "crf"), method="pac_crf_32", backend="unfold")
    assert row["miou_percent"].text == "67.34"
    assert row["gain_points"].text == "+2.22"
    assert row["total_ms"].text == "2610"  # the median of the rounds 2.583, 2.609 and 2.635 s
    assert row["kernel_ms"].value == pytest.approx(2583 * 0.31 * 1.01)
    assert row["peak_memory_mb"].text == "930"
    assert row["ratio_to_baseline"].text == "1.00"
    assert row["tuning"].text == "weight = 2.5"
    assert row["tuning"].notes == ("scalars tuned on the training split",)
    assert row["status"].text == "ok"


def test_crf_gain_and_ratio_of_the_second_backend(several: Run) -> None:
    (row,) = rows_of(table_of(several, "crf"), method="pac_crf_32", backend="inductor")
    assert row["ratio_to_baseline"].text == "0.340"
    assert row["gain_points"].text == "+2.22"


def test_the_baseline_is_said(several: Run) -> None:
    for name in ("crf", "joint_upsampling", "operators"):
        assert any("backend unfold, the baseline" in remark for remark in table_of(several, name).remarks)


def test_every_empty_cell_has_a_reason(several: Run) -> None:
    for table in summary_tables(several):
        empty = [
            (table.name, column.key)
            for row in table.rows
            for column, cell in zip(table.columns, row, strict=True)
            if cell.empty and not cell.reason and column.key != "dataset"
        ]
        assert empty == []


def test_upsampling_rows_by_factor(several: Run) -> None:
    table = table_of(several, "joint_upsampling")
    (row,) = rows_of(table, method="joint_bilateral", backend="unfold", factor="8")
    assert row["rmse"].text == "5.374"
    assert row["time_ms"].text == "101"
    assert [cell["factor"].text for cell in rows_of(table, method="nearest", backend="unfold")] == ["4", "8", "16"]


def test_a_gain_has_its_interval_and_masks_have_their_borders(several: Run) -> None:
    table = table_of(several, "crf")
    (row,) = rows_of(table, method="pac_crf_16_64", backend="unfold")
    assert row["gain_half_interval_points"].text == "1.00"
    assert row["gain_interval_points"].text == "\N{MINUS SIGN}0.19 to +1.81"
    assert row["pixel_accuracy_percent"].text == "90.00"
    assert row["trimap_miou_4_percent"].value == pytest.approx(47.81)
    assert "was not recorded" in row["trimap_miou_2_percent"].reason
    (row,) = rows_of(table, method="unary", backend="unfold")
    assert row["gain_half_interval_points"].empty
    assert "it takes two images and a baseline" in row["gain_interval_points"].reason


def test_upsampling_rows_have_intervals_boundaries_parameters_and_published_errors(run_folder: Any) -> None:
    run_folder.settings(["joint_upsampling"])
    run_folder.green()
    depth = {"factor": 8, "rmse": 8.4, "rmse_low": 7.9, "rmse_high": 8.9, "parameters": 0}
    depth |= {"minus_bilinear": -1.25, "minus_bilinear_low": -1.5, "minus_bilinear_high": -1.0}
    flow = {"factor": 4, "epe": 0.5, "epe_boundary": 1.25, "parameters": 55_000}
    for method, dataset, factor, metrics in (
        ("bilinear", "NYU Depth V2, depth in cm, 113 test frames", 8, depth),
        ("pac", "MPI Sintel, flow in pixels", 4, flow),
        ("pac", "embedded scenes 192x256, depth in cm", 8, depth),
    ):
        run_folder.case(
            "joint_upsampling", f"test_quality[x{factor}-{dataset[:3]}-{method}]", method=method, dataset=dataset,
            direction="quality", metrics=metrics,
        )  # fmt: skip
    run_folder.ran("joint_upsampling")
    table = table_of(run_folder.read(), "joint_upsampling")
    (row,) = rows_of(table, method="bilinear")
    assert (row["rmse"].text, row["interval"].text, row["published"].text) == ("8.400", "7.90 to 8.90", "8.36")
    assert row["minus_bilinear"].text == "\N{MINUS SIGN}1.25 (\N{MINUS SIGN}1.50 to \N{MINUS SIGN}1.00)"
    assert row["epe_boundary"].reason == "depth has no motion, and so no motion boundary"
    assert row["parameters"].text == "0"
    (row,) = (row for row in rows_of(table, method="pac") if row["factor"].text == "4")
    assert (row["rmse"].text, row["epe_boundary"].text, row["published"].text) == ("0.5000", "1.25", "0.105")
    assert row["parameters"].text == "55000"
    assert "one image has none" in row["interval"].reason
    (row,) = (row for row in rows_of(table, method="pac") if row["factor"].text == "8")
    assert row["published"].reason == "the paper prints no error of this method on this data"
    assert any("may be compared with the published figure" in remark for remark in table.remarks)


def test_upsampling_rows_are_compared_with_djf_image_by_image_and_tell_the_spread_of_trainings(run_folder: Any) -> None:
    run_folder.settings(["joint_upsampling"])
    run_folder.green()
    each = {"djf": [1.0, 9.0, 5.0, 3.0], "pac": [0.5, 8.0, 4.5, 2.0], "msg_net": [1.0, 2.0, 3.0]}
    for method, values in each.items():
        metrics = {"factor": 4, "rmse": fmean(values)}
        if method == "pac":
            metrics |= {"trainings": 3, "rmse_seed_low": 3.6, "rmse_seed_high": 3.912}
        run_folder.case(
            "joint_upsampling", f"test_quality[x4-{method}]", method=method, dataset="nyu", direction="quality",
            metrics=metrics, per_item={f"frame {index}": {"rmse": value} for index, value in enumerate(values)},
        )  # fmt: skip
    run_folder.ran("joint_upsampling")
    table = table_of(run_folder.read(), "joint_upsampling")
    cells = {name: rows_of(table, method=name)[0] for name in each}
    # pac is better by 0.5, 1, 0.5 and 1: a sixteenth of the draws holds only the halves, a sixteenth only the ones
    assert cells["pac"]["minus_djf"].value == pytest.approx(-0.75)
    assert cells["pac"]["minus_djf"].text.replace("\N{MINUS SIGN}", "-") == "-0.750 (-1.00 to -0.500)"
    assert cells["pac"]["over_trainings"].text == "3: 3.60 to 3.91"
    assert cells["djf"]["over_trainings"].reason == "one training, or none"
    assert cells["djf"]["minus_djf"].reason == "this is the row that the others are compared with"
    assert cells["msg_net"]["minus_djf"].reason == "djf was not measured on the same images"


def test_hot_swapped_rows_stand_beside_the_plain_network(run_folder: Any) -> None:
    run_folder.settings(["hot_swapping"], ["unfold", "native"])
    for backend, scale in {"unfold": 2.0, "native": 1.0}.items():
        run_folder.green(backend)
        for method, miou, seconds in (("fcn", 0.50, 0.01), ("pac_fcn", 0.53, 0.015)):
            about = {"method": method, "dataset": "scenes"}
            interval = {} if method == "fcn" else {"miou_gain_low": 0.01, "miou_gain_high": 0.05}
            if method == "pac_fcn" and backend == "native":  # of three trainings, not all of the plain network's seeds
                interval |= {"miou_gain": 0.04, "trainings": 3, "miou_seed_low": 0.521, "miou_seed_high": 0.5421}
                interval |= {
                    "miou_minus_control": 0.0123,
                    "miou_minus_control_low": -0.001,
                    "miou_minus_control_high": 0.02,
                }
            run_folder.case(
                "hot_swapping", f"test_quality[{method}]", backend, direction="quality",
                metrics={"miou": miou, "pixel_accuracy": 0.9} | interval, **about,
            )  # fmt: skip
            run_folder.case(
                "hot_swapping", f"test_time[{method}-total]", backend, direction="total", samples_s=[seconds * scale],
                peak_memory_bytes=5_000_000, **about,
            )  # fmt: skip
        run_folder.case(
            "hot_swapping", "test_quality[fcn_pac_crf]", backend, method="fcn_pac_crf", dataset="scenes",
            outcome="skipped", reason="no weights for this row",
        )  # fmt: skip
        run_folder.ran("hot_swapping", backend=backend)
    table = table_of(run_folder.read(), "hot_swapping")
    (row,) = rows_of(table, method="pac_fcn", backend="unfold")
    assert row["gain_points"].text == "+3.00"
    assert row["over_trainings"].reason == "one training, or none"
    assert row["minus_control_points"].reason == "the row has no control, or there are no weights of it"
    (row,) = rows_of(table, method="pac_fcn", backend="native")
    assert row["gain_points"].text == "+4.00"  # as it was recorded, pair by pair
    assert row["over_trainings"].text == "3: 52.10 to 54.21"
    assert row["minus_control_points"].text == "+1.23 (\N{MINUS SIGN}0.10 to +2.00)"
    assert row["gain_half_interval_points"].text == "2.00"
    assert row["gain_interval_points"].text == "+1.00 to +5.00"
    assert (row["total_ms"].text, row["ratio_to_plain"].text) == ("15.0", "1.50")
    assert row["ratio_to_baseline"].text == "0.500"
    (row,) = rows_of(table, method="fcn_pac_crf", backend="unfold")
    assert row["status"].text == "skipped"
    assert "no weights for this row" in row["miou_percent"].reason


def test_operator_ratios(several: Run) -> None:
    table = table_of(several, "operators")
    (row,) = rows_of(table, workload="W1", direction="forward", backend="inductor")
    assert row["time_ms"].text == "182"
    assert row["ratio_to_unfold"].text == "0.340"
    assert row["ratio_to_reference"].text == "6.80"
    assert row["gflops"].value == pytest.approx(3.36 / (0.536 * 0.34))
    assert row["fma_peak_percent"].value == pytest.approx(100 * 3.36 / (0.536 * 0.34) / 228)
    assert row["intensity"].value == pytest.approx(3.36e9 / 2e8)
    (row,) = rows_of(table, workload="W1", direction="forward + backward", backend="conv2d beside unfold")
    assert row["ratio_to_reference"].text == "1.00"


def test_a_ratio_measured_in_process_comes_first(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.green()
    run_folder.case(
        "operators", "test_time[W1-forward]", method="W1", direction="forward", samples_s=[0.2],
        metrics={"ratio_to_reference": 7.5},
    )  # fmt: skip
    run_folder.ran("operators")
    (row,) = rows_of(table_of(run_folder.read(), "operators"), workload="W1")
    assert row["ratio_to_reference"].text == "7.50"
    assert "no count of FLOPs" in row["gflops"].reason
    assert "environment.json" in row["fma_peak_percent"].reason or "FLOPs" in row["fma_peak_percent"].reason


def test_a_whole_crf_is_told_beside_full_crf_on_the_same_image(run_folder: Any) -> None:
    run_folder.settings(["operators"], allocator="kept")
    run_folder.environment(allocator="glibc 2.36, MALLOC_MMAP_MAX_=0")
    run_folder.green()
    run_folder.operators()
    for name, operator, method, seconds in (
        ("pac_crf_32", "PacCRF", None, 0.1), ("pac_crf_32-small", "PacCRF", None, 0.1),
        ("full_crf", "FullCRF", "reference:full_crf", 0.4),
    ):  # fmt: skip
        run_folder.case(
            "operators", f"test_model[{name}-forward]", operator=operator, method=method, direction="forward",
            samples_s=[seconds],
        )  # fmt: skip
    run_folder.ran("operators")
    table = table_of(run_folder.read(), "operators")
    assert "Allocator, the same for every row: kept (glibc 2.36, MALLOC_MMAP_MAX_=0)." in table.caption
    (row,) = rows_of(table, workload="pac_crf_32", backend="unfold")
    assert row["ratio_to_reference"].text == "0.250"
    (row,) = rows_of(table, workload="full_crf", backend="full_crf beside unfold")
    assert row["ratio_to_reference"].text == "1.00"
    (row,) = rows_of(table, workload="pac_crf_32-small", backend="unfold")
    assert row["ratio_to_reference"].reason == "no plain torch operator and no Full-CRF was timed on this case"
    (row,) = rows_of(table, workload="W1", direction="forward", backend="unfold")
    assert row["ratio_to_reference"].text == "20.0"


def test_a_peak_that_was_not_measured_says_why(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.environment(fma_peak_gflops=None, fma_peak_reason="no C++ compiler")
    run_folder.green()
    run_folder.operators()
    (row,) = rows_of(table_of(run_folder.read(), "operators"), workload="W1", direction="forward", backend="unfold")
    assert row["gflops"].text == "6.27"
    assert row["fma_peak_percent"].reason == "the FMA peak was not measured: no C++ compiler"


def test_skipped_lost_and_failed_rows_stay(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.crf()
    run_folder.case(
        "crf", "test_crf.py::test_quality[bcl_crf]", method="bcl_crf", outcome="skipped", reason="no lattice",
    )  # fmt: skip
    run_folder.case("crf", "test_crf.py::test_quality[dead_crf]", method="dead_crf", outcome="failed", reason="NaN")
    run_folder.collected("crf", ["test_crf.py::test_time[gone_crf-total]"])
    run_folder.job("crf", "timeout", reason="stopped after 5 s")
    table = table_of(run_folder.read(), "crf")
    for method, status, reason in (
        ("bcl_crf", "skipped", "no lattice"), ("dead_crf", "failed", "NaN"), ("gone_crf", "lost", "after 5 s"),
    ):  # fmt: skip
        (row,) = rows_of(table, method=method)
        assert row["status"].text == status
        assert reason in row["status"].reason
        assert reason in row["miou_percent"].reason
        assert row["total_ms"].empty
    assert {row["outcome"].text for row in rows_of(not_passed_table(run_folder.read()))} == {
        "skipped", "failed", "lost",
    }  # fmt: skip


def test_a_failed_round_is_no_sample_and_is_told(run_folder: Any) -> None:
    run_folder.settings(["crf"], rounds=3)
    run_folder.green()
    about = {"method": "pac_crf_32", "direction": "total", "dataset": "scenes"}
    for round_, seconds in enumerate((0.1, 0.2)):
        run_folder.case("crf", "test_time[pac_crf_32-total]", round_=round_, samples_s=[seconds], **about)
    run_folder.case(
        "crf", "test_time[pac_crf_32-total]", round_=2, samples_s=[99.0], outcome="failed", reason="not finite", **about
    )
    (row,) = rows_of(table_of(run_folder.read(), "crf"), method="pac_crf_32")
    assert row["total_ms"].text == "150"
    assert row["status"].text == "failed"
    assert row["status"].reason == "failed (round 2): not finite"


def test_a_skipped_part_does_not_spoil_its_row(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.case("crf", "test_quality[unary]", method="unary", direction="quality", metrics={"mIoU": 0.5})
    run_folder.case(
        "crf", "test_time[unary-total]", method="unary", direction="total", outcome="skipped", reason="nothing to time"
    )
    run_folder.ran("crf")
    (row,) = rows_of(table_of(run_folder.read(), "crf"), method="unary")
    assert row["miou_percent"].text == "50.00"
    assert row["total_ms"].reason == "skipped: nothing to time"
    assert row["status"].text == "ok"


def test_tuned_parameters_are_those_of_the_quality_case(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    about = {"method": "pac_crf_32", "dataset": "scenes"}
    run_folder.case(
        "crf", "test_time[pac_crf_32-total]", direction="total", samples_s=[1.0], parameters={"weight": 1.0},
        notes=["a note of the time"], **about,
    )  # fmt: skip
    run_folder.case(
        "crf", "test_quality[pac_crf_32]", direction="quality", metrics={"miou": 0.5}, parameters={"weight": 4.0},
        **about,
    )  # fmt: skip
    run_folder.ran("crf")
    (row,) = rows_of(table_of(run_folder.read(), "crf"), method="pac_crf_32")
    assert row["tuning"].text == "weight = 4"
    assert row["tuning"].notes == ("a note of the time",)


def test_a_check_of_the_data_is_a_row_only_when_it_did_not_pass(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.crf()
    run_folder.case("crf", "test_crf.py::test_data[tuning]", dataset="scenes")
    run_folder.case("crf", "test_crf.py::test_data[evaluation]", dataset="scenes", outcome="failed", reason="no mask")
    run_folder.ran("crf")
    table = table_of(run_folder.read(), "crf")
    assert rows_of(table, method="test_crf.py::test_data[tuning]") == []
    (row,) = rows_of(table, method="test_crf.py::test_data[evaluation]")
    assert row["status"].reason == "failed: no mask"


def test_no_number_on_a_red_gate(run_folder: Any) -> None:
    run_folder.settings(["crf", "joint_upsampling", "operators"], ["unfold", "faulty"])
    run_folder.environment()
    run_folder.green()
    run_folder.red("faulty", "gradient is swapped")
    for backend in ("unfold", "faulty"):
        run_folder.crf(backend)
        run_folder.upsampling(backend)
        run_folder.operators(backend)
        run_folder.ran("crf", "joint_upsampling", "operators", backend=backend)
    run = run_folder.read()
    for name in ("crf", "joint_upsampling", "operators"):
        table = table_of(run, name)
        for row in rows_of(table):
            numbers = {key for key, cell in row.items() if isinstance(cell.value, float)} - {"factor"}
            if "faulty" in row["backend"].text:
                assert numbers == set()
                assert row["status"].text == "red gate"
                assert "gradient is swapped" in row["status"].reason
            else:
                assert numbers
    (gate,) = rows_of(table_of(run, "gradients"), backend="faulty")
    assert gate["gate"].text == "red"


def test_a_gate_that_was_not_run_bars_numbers(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.crf()
    run_folder.ran("crf")
    table = table_of(run_folder.read(), "crf")
    assert all(not isinstance(cell.value, float) for row in rows_of(table) for cell in row.values())


def test_a_withheld_job_is_a_row(run_folder: Any) -> None:
    run_folder.settings(["crf"], ["unfold", "faulty"])
    run_folder.green()
    run_folder.crf()
    run_folder.ran("crf")
    run_folder.red("faulty")
    run_folder.job("crf", "withheld", "faulty", reason="the gate is red")
    (row,) = rows_of(table_of(run_folder.read(), "crf"), backend="faulty")
    assert row["method"].text == "(every case)"
    assert row["status"].text == "red gate"


def test_a_plain_reference_needs_no_gate_unless_it_is_asked_for(run_folder: Any) -> None:
    run_folder.settings(["operators"])
    run_folder.green()
    run_folder.ran("operators")
    about = {"direction": "forward", "samples_s": [0.1]}
    run_folder.case("operators", "test_time[W1-forward]", method="W1", **about)
    run_folder.case("operators", "test_time[W1-forward]", "reference:conv2d", method="W1", **about)
    (row,) = rows_of(table_of(run_folder.read(), "operators"), backend="reference:conv2d")
    assert row["time_ms"].text == "100"
    run_folder.settings(["operators"], ["unfold", "reference:conv2d"])
    (row,) = rows_of(table_of(run_folder.read(), "operators"), backend="reference:conv2d", workload="W1")
    assert row["time_ms"].empty


def test_an_unknown_suite_has_a_table(run_folder: Any) -> None:
    run_folder.settings(["a_stranger_s"])
    run_folder.green()
    run_folder.case("a_stranger_s", "test_swap[fcn8s]", samples_s=[0.25], metrics={"agreement": 0.987})
    run_folder.case("a_stranger_s", "test_swap[fcn32s]", outcome="skipped", reason="no weights")
    run_folder.ran("a_stranger_s")
    table = table_of(run_folder.read(), "a_stranger_s")
    (row,) = rows_of(table, case="test_swap[fcn8s]")
    assert (row["time_ms"].text, row["metric_agreement"].text) == ("250", "0.987")
    (row,) = rows_of(table, case="test_swap[fcn32s]")
    assert row["metric_agreement"].reason == "skipped: no weights"


def test_an_empty_run_has_tables_and_says_so(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    told = layout(run_folder.read())
    assert [table.name for table in told.tables] == ["gradients", "crf"]
    assert [row[0].text for row in told.tables[0].rows] == ["unfold"]


def test_one_backend_needs_no_ratio_to_itself(run_folder: Any) -> None:
    run_folder.settings(["crf"])
    run_folder.green()
    run_folder.crf()
    table = table_of(run_folder.read(), "crf")
    assert {column.key: column.where for column in table.columns}["ratio_to_baseline"] == "data"


def test_published_results_stand_apart_with_their_source(several: Run) -> None:
    (table,) = [table for table in layout(several).told if table.name == "published"]
    assert [cell.text for cell in table.rows[0]] == ["Full-CRF", "full_crf", "+2.45", "629"]
    assert any("CVPR 2019" in remark for remark in table.remarks)
    assert any("not comparable" in remark for remark in table.remarks)
