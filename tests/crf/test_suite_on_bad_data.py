"""The suite, run as a user runs it, on a data folder with a missing mask and on one that is no data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pacbench.records import CaseRecord, read_lines


def _run(output: Path, data_root: Path) -> tuple[int, dict[str, CaseRecord]]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pacbench.suites.crf"]
    options = {"output": output, "job": "job", "data-root": data_root, "methods": "unary,conv_crf_7"}
    command += [f"--pacbench-{name}={value}" for name, value in options.items()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=output, env=environment, capture_output=True, timeout=300, check=False)
    lines = read_lines(output / "records" / "job.jsonl")
    return ended.returncode, {line.case.split("::")[1]: line for line in lines if isinstance(line, CaseRecord)}


def test_a_missing_mask_is_a_failed_row_and_the_rest_goes_on(voc: Path) -> None:
    output = voc / "run"
    output.mkdir()
    (voc / "VOC2012" / "SegmentationClass" / "d.png").unlink()
    code, records = _run(output, voc)
    assert code == 1
    failed = {
        case: record.reason or "" for case, record in records.items() if record.outcome not in ("passed", "skipped")
    }
    assert list(failed) == ["test_data[evaluation]"]
    assert "SegmentationClass/d.png" in failed["test_data[evaluation]"]
    quality = records["test_quality[conv_crf_7]"]
    assert 0 <= quality.metrics["miou"] <= 1
    assert quality.parameters.keys() == {"weight", "colour_schan", "position_compat"}
    assert any("left out" in note and "SegmentationClass/d.png" in note for note in quality.notes)
    assert any("tuned on 3 images of train only" in note for note in quality.notes)
    assert len(records["test_time[conv_crf_7-steps]"].samples_s) >= 3
    assert records["test_time[unary-total]"].outcome == "skipped"


def test_a_folder_without_the_layout_is_named_in_every_row(tmp_path: Path) -> None:
    code, records = _run(tmp_path, tmp_path)
    assert code == 1
    assert {record.outcome for record in records.values()} <= {"error", "failed"}
    assert all(str(tmp_path) in (record.reason or "") for record in records.values())
