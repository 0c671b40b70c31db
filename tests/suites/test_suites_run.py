"""The suites as a run starts them: plain pytest in a process of its own, which leaves one record per case."""

import statistics
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from pacbench.crf import FullCRF, FullCRFPydensecrf2
from pacbench.data import scenes
from pacbench.models.msg_net import MSGNet
from pacbench.models.upsampling import build_network
from pacbench.records import CaseRecord, read_lines
from pacbench.training.outcome import write_weights


def records(suite, folder, *options, backend="unfold", code=0):
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
    assert done.returncode == code, done.stdout + done.stderr
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
        assert len(record.samples_s) >= 3
        assert record.flops > record.bytes > 0
        assert record.peak_memory_bytes is not None
        gflops = record.flops / statistics.median(record.samples_s) * 1e-9
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
    assert (convolutional.operator, convolutional.direction) == ("ConvCRF", "forward")
    assert len(convolutional.samples_s) >= 3
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


def test_joint_upsampling_of_the_embedded_data(tmp_path):
    found = records("joint_upsampling", tmp_path, "--pacbench-methods=bilinear,guided_filter,msg_net")
    for method in ("bilinear", "guided_filter"):
        for data in ("scenes", "scenes_flow", "motorcycle"):
            record = found.pop(f"test_quality[x4-{data}-{method}]")
            measure = "epe" if data == "scenes_flow" else "rmse"
            assert record.outcome == "passed", record.reason
            assert (record.method, record.direction, record.metrics["factor"]) == (method, "quality", 4)
            errors = [metrics[measure] for metrics in record.per_item.values()]
            assert record.metrics[measure] == pytest.approx(sum(errors) / len(errors))
            assert record.metrics["parameters"] == 0
            if data == "motorcycle":
                assert "one image has no interval" in record.notes
            else:
                assert record.metrics[f"{measure}_low"] < record.metrics[measure] < record.metrics[f"{measure}_high"]
                if data == "scenes":
                    assert (record.metrics["minus_bilinear_high"] < 0) == (method == "guided_filter")
            assert ("epe_boundary" in record.metrics) == (data == "scenes_flow")
            assert bool(record.parameters) == (method == "guided_filter")
            assert record.panel is None or (tmp_path / record.panel).is_file()
            assert (record.panel is not None) == (data == "scenes")
            if data != "motorcycle":
                timed = found.pop(f"test_time[x4-{data}-{method}]")
                assert timed.direction == "total"
                assert len(timed.samples_s) >= 3
    for data in ("scenes", "scenes_flow", "motorcycle"):
        assert found.pop(f"test_data[{data}]").outcome == "passed"
        untrained = found.pop(f"test_quality[x4-{data}-msg_net]")
        assert untrained.outcome == "skipped"
        assert "pacbench train upsample --method msg_net" in untrained.reason
    timed = found.pop("test_time[x4-scenes-msg_net]")
    assert timed.outcome == "passed", timed.reason
    assert timed.metrics["parameters"] == sum(parameter.numel() for parameter in MSGNet(4).parameters())
    assert "twice the time" in found.pop("test_time[x4-scenes_flow-msg_net]").reason
    assert not found


def test_several_trainings_of_a_network_are_one_row_with_their_mean_and_spread(tmp_path):
    files = []
    for seed in range(3):
        torch.manual_seed(seed)
        files.append(tmp_path / f"seed_{seed}" / "weights.safetensors")
        files[-1].parent.mkdir()
        said = {"task": "djf-depth-x4" if seed else "djf-depth-x8"}
        write_weights(files[-1], build_network("djf", 4).state_dict(), said)
    alone, both = (
        records(
            "joint_upsampling", folder, "--pacbench-methods=djf", "-k", "scenes- and quality",
            *(f"--pacbench-weights={path}" for path in given),
        )["test_quality[x4-scenes-djf]"]
        for given in (files[:2], files)
        if (folder := tmp_path / str(len(given))).mkdir() is None
    )  # fmt: skip
    assert alone.outcome == both.outcome == "passed", both.reason
    assert "trainings" not in alone.metrics
    assert "weights: seed_1/weights.safetensors" in alone.notes
    second = {item: 2 * both.per_item[item]["rmse"] - one["rmse"] for item, one in alone.per_item.items()}
    values = sorted([alone.metrics["rmse"], statistics.fmean(second.values())])
    assert values[0] < values[1]
    assert both.metrics["trainings"] == 2
    assert both.metrics["rmse"] == pytest.approx(statistics.fmean(values))
    assert [both.metrics[f"rmse_seed_{end}"] for end in ("low", "high")] == pytest.approx(values)
    assert both.metrics["rmse_low"] < both.metrics["rmse"] < both.metrics["rmse_high"]
    assert both.metrics["parameters"] == alone.metrics["parameters"]
    (note,) = (note for note in both.notes if "the mean over 2 trainings" in note)
    assert f"seed_1/weights.safetensors {alone.metrics['rmse']:.4g}, seed_2/weights.safetensors" in note


def test_joint_upsampling_of_a_folder_and_of_factors(tmp_path):
    """Flow of a folder in the layout of Middlebury, with unknown flow, at a factor that is no power of two."""
    root = tmp_path / "data"
    for name in ("one", "two"):
        scene = scenes.scene("val", len(name), (40, 56))
        (root / name).mkdir(parents=True)
        Image.fromarray(scene.image.permute(1, 2, 0).to(torch.uint8).numpy()).save(root / name / "frame10.png")
        flow = scene.flow.permute(1, 2, 0).numpy().copy()
        flow[10:13, 20:24] = 1e10
        header = np.array([202021.25], "<f4").tobytes() + np.array([56, 40], "<i4").tobytes()
        (root / name / "flow10.flo").write_bytes(header + flow.astype("<f4").tobytes())
    found = records(
        "joint_upsampling", tmp_path, "--pacbench-methods=nearest,joint_bilateral,pac", "--pacbench-factor=3,4",
        f"--pacbench-data-root={root}",
    )  # fmt: skip
    assert found["test_data[middlebury_flow]"].metrics["images"] == 2
    for factor in (3, 4):
        for method in ("nearest", "joint_bilateral"):
            record = found[f"test_quality[x{factor}-middlebury_flow-{method}]"]
            assert record.outcome == "passed", record.reason
            assert record.metrics["factor"] == factor
            assert record.per_item.keys() == {"one", "two"}
            assert 0 < record.metrics["epe"] < record.metrics["epe_boundary"]
    for case in ("test_quality", "test_time"):
        refused = found[f"{case}[x3-middlebury_flow-pac]"]
        assert refused.outcome == "skipped"
        assert "got factor 3, expected a power of two" in refused.reason
    assert "--data-root DIR" in found["test_quality[x4-middlebury_flow-pac]"].reason


def test_joint_upsampling_of_a_folder_with_nothing_for_it(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    found = records("joint_upsampling", tmp_path, "--pacbench-methods=nearest", f"--pacbench-data-root={root}", code=1)
    assert {record.outcome for record in found.values()} == {"error"}
    for record in found.values():
        assert "got no data set for joint upsampling, expected one of: NYU Depth V2" in record.reason


def test_a_broken_image_is_named_and_left_out(tmp_path):
    root = tmp_path / "data"
    for name in ("good", "bad"):
        (root / name).mkdir(parents=True)
        Image.fromarray(np.full((20, 24, 3), 9, np.uint8)).save(root / name / "color.png")
        Image.fromarray(np.full((20, 24), 9, np.uint8)).save(root / name / "disp_gt.png")
    Image.fromarray(np.full((5, 6), 9, np.uint8)).save(root / "good" / "noisy_lr_04x.png")
    (root / "bad" / "disp_gt.png").write_bytes(b"\x89PNG\r\n")
    found = records("joint_upsampling", tmp_path, "--pacbench-methods=nearest,bicubic_top_left",
                    f"--pacbench-data-root={root}", "--pacbench-factor=4,8", code=1)  # fmt: skip
    assert found["test_data[middlebury]"].outcome == "failed"
    assert "bad/disp_gt.png: got a file that cannot be decoded" in found["test_data[middlebury]"].reason
    quality = found["test_quality[x4-middlebury-nearest]"]
    assert quality.outcome == "passed", quality.reason
    assert quality.per_item == {"good": {"rmse": 0.0}}
    assert "1 of 2 images left out because they cannot be read: see test_data" in quality.notes
    assert found["test_quality[x4-middlebury_noisy-nearest]"].outcome == "passed"
    assert "expected one that came with the data: 4" in found["test_quality[x8-middlebury_noisy-nearest]"].reason
    assert "cannot be sampled elsewhere" in found["test_quality[x4-middlebury_noisy-bicubic_top_left]"].reason
