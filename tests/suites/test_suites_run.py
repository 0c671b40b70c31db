"""The suites as a run starts them: plain pytest in a process of its own, which leaves one record per case."""

import subprocess
import sys

import pytest

from pacbench.crf import FullCRF, FullCRFPydensecrf2
from pacbench.records import CaseRecord, read_lines


def records(suite, folder, *options, backend="unfold"):
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = [sys.executable, "-m", "pytest", "--pyargs", f"pacbench.suites.{suite}", "-c", str(folder / "pytest.ini")]
    words += [
        "-p",
        "no:cacheprovider",
        f"--pacbench-backend={backend}",
        f"--pacbench-output={folder}",
        "--pacbench-job=job",
    ]
    done = subprocess.run([*words, *options], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line for line in read_lines(folder / "records" / "job.jsonl") if isinstance(line, CaseRecord)]
    return {record.case.partition("::")[2]: record for record in found}


def test_operators_beside_the_plain_operator(tmp_path):
    found = records("operators", tmp_path, "-k", "W2-small or W4-small")
    names = [f"{case}-small-{direction}" for case in ("W2", "W4") for direction in ("forward", "forward_backward")]
    assert found.keys() == {f"test_time[{name}]" for name in names} | {
        f"test_reference[reference:conv2d-{name}]" for name in names
    }
    for record in found.values():
        assert record.outcome == "passed", record.reason
        assert len(record.samples_s) == 3
        assert record.flops > record.bytes > 0
        assert record.peak_memory_bytes is not None
        gflops = record.flops / sorted(record.samples_s)[1] * 1e-9
        assert record.metrics["gflops"] == pytest.approx(gflops)
        if "fma_peak_gflops" in record.metrics:
            share = 100 * gflops / record.metrics["fma_peak_gflops"]
            assert record.metrics["percent_of_fma_peak"] == pytest.approx(share)
    pooling = found["test_reference[reference:conv2d-W4-small-forward]"]
    assert (pooling.method, pooling.operator) == ("reference:conv2d", "torch.nn.functional.avg_pool2d")
    assert "guide" not in pooling.shapes
    assert found["test_time[W4-small-forward]"].operator == "guided_pacpool2d"


def test_whole_crfs_beside_full_crf(tmp_path):
    found = records("operators", tmp_path, "-k", "conv_crf_7 or full_crf or bcl_crf")
    convolutional = found.pop("test_model[conv_crf_7-small-forward]")
    full = found.pop("test_full_crf[full_crf_pydensecrf2-small-forward]")
    assert convolutional.outcome == "passed", convolutional.reason
    assert (convolutional.operator, convolutional.direction, len(convolutional.samples_s)) == ("ConvCRF", "forward", 3)
    assert (full.operator, full.method) == ("FullCRFPydensecrf2", "reference:full_crf")
    if FullCRFPydensecrf2.unavailable_reasons():
        assert full.outcome == "skipped"
        assert "pip install pacbench[full-crf]" in full.reason
    else:
        assert full.outcome == "passed", full.reason
    directions = ("forward", "forward_backward")
    assert found.keys() == {f"test_model[{crf}-small-{way}]" for crf in ("full_crf", "bcl_crf") for way in directions}
    for record in found.values():
        assert (record.outcome, record.reason) == ("skipped", "backend unfold: has no permutohedral lattice")


def test_whole_crfs_on_the_lattice_of_native(tmp_path):
    if reasons := FullCRF.unavailable_reasons():
        pytest.skip("; ".join(reasons))
    found = records("operators", tmp_path, "-k", "test_model and (full_crf or bcl_crf)", backend="native")
    assert len(found) == 4
    for record in found.values():
        assert record.outcome == "passed", record.reason
        assert record.operator == ("FullCRF" if "full_crf" in record.case else "BCLCRF")


def test_joint_upsampling_of_both_data_sets(tmp_path):
    found = records(
        "joint_upsampling", tmp_path, "--pacbench-methods=bilinear,guided_filter", f"--pacbench-data-root={tmp_path}"
    )
    for method in ("bilinear", "guided_filter"):
        for data in ("scenes", "motorcycle"):
            record = found.pop(f"test_quality[x4-{method}-{data}]")
            assert record.outcome == "passed", record.reason
            assert (record.method, record.direction, record.metrics["factor"]) == (method, "quality", 4)
            errors = [metrics["rmse"] for metrics in record.per_item.values()]
            assert record.metrics["rmse"] == pytest.approx(sum(errors) / len(errors))
            assert bool(record.parameters) == (method == "guided_filter")
            assert record.panel is None or (tmp_path / record.panel).is_file()
            assert (record.panel is not None) == (data == "scenes")
        timed = found.pop(f"test_time[x4-{method}]")
        assert (timed.direction, len(timed.samples_s)) == ("total", 3)
    assert {name: record.outcome for name, record in found.items()} == {
        "test_data[scenes]": "passed",
        "test_data[motorcycle]": "passed",
        "test_data[data_root]": "skipped",
    }
    assert "embedded data only" in found["test_data[data_root]"].reason
