"""The hot-swapping suite: which weights a row gets, what it records, and the networks that are shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pacbench.data.data_error import DataError
from pacbench.data.scenes import CLASS_NAMES
from pacbench.models import NetworkWithCRF
from pacbench.models.network_plan import NetworkPlan
from pacbench.records import CaseRecord, read_lines
from pacbench.registry import get_backend
from pacbench.suites.hot_swapping.methods import METHODS, SHIPPED, choose_weights

CLASSES = ("a", "b", "c")
FCN, FCN_CRF, PAC_FCN, PAC_FCN_CRF = METHODS
PLAN = NetworkPlan(classes=CLASSES, width=2)


def weights(folder: Path, name: str, plan: NetworkPlan) -> Path:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in plan.build().state_dict().items()}, path, plan.header())
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return weights(tmp_path, "plain", PLAN)


def test_each_row_gets_the_weights_that_are_for_it(tmp_path: Path, plain: Path) -> None:
    files = [
        weights(tmp_path, "both", PLAN.model_copy(update={"crf": (2,), "guide_scale": 0.1})),
        weights(tmp_path, "swapped", PLAN.model_copy(update={"guide_scale": 0.1})),
        weights(tmp_path, "crf", PLAN.model_copy(update={"crf": (2,)})),
        plain,
    ]
    for method, path in zip((PAC_FCN_CRF, PAC_FCN, FCN_CRF, FCN), files, strict=True):
        chosen = choose_weights(method, files, CLASSES, embedded=False)
        assert chosen is not None
        assert chosen.files == (path,)
        assert "not fine-tuned" not in chosen.note


def test_a_swapped_row_takes_the_plain_networks_weights_and_says_so(plain: Path) -> None:
    chosen = choose_weights(PAC_FCN, [plain], CLASSES, embedded=False)
    assert chosen is not None
    assert chosen.note == "weights: plain.safetensors, not fine-tuned after swapping"
    assert chosen.plan.guide_scale == 0.1
    model = chosen.build(get_backend("unfold"))
    assert type(model.conv3_3).__name__ == "SwappedConv2d"
    assert torch.equal(model.conv3_3.weight, load_file(plain)["conv3_3.weight"])


def test_rows_without_weights_have_none_and_wrong_ones_are_named(plain: Path) -> None:
    assert choose_weights(FCN_CRF, [plain], CLASSES, embedded=False) is None
    assert choose_weights(PAC_FCN_CRF, [plain], CLASSES, embedded=False) is None
    assert choose_weights(FCN, [], CLASSES, embedded=False) is None
    with pytest.raises(DataError, match=r"plain.safetensors: got weights for 3 classes, expected the data's 2"):
        choose_weights(FCN, [plain], CLASSES[:2], embedded=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path / "pictures"
    for part in ("images", "labels", "splits"):
        (root / part).mkdir(parents=True)
    for name in ("one", "two", "three"):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(rng.integers(0, 3, (20, 24), dtype=np.uint8)).save(root / "labels" / f"{name}.png")
    (root / "classes.txt").write_text("a\nb\nc\n", encoding="utf-8")
    (root / "splits" / "train.txt").write_text("one\n", encoding="utf-8")
    (root / "splits" / "val.txt").write_text("two\nthree\n", encoding="utf-8")
    return root


def run_suite(suite: str, output: Path, *options: str) -> dict[str, CaseRecord]:
    output.mkdir()
    (output / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    words = ["--pyargs", f"pacbench.suites.{suite}", "-c", str(output / "pytest.ini"), "-p", "no:cacheprovider"]
    words += ["--pacbench-backend=unfold", f"--pacbench-output={output}", "--pacbench-job=job", *options]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=output, capture_output=True, text=True, check=False
    )
    assert (output / "records" / "job.jsonl").exists(), done.stdout + done.stderr
    found = [line for line in read_lines(output / "records" / "job.jsonl") if isinstance(line, CaseRecord)]
    return {record.case.partition("::")[2]: record for record in found}


def test_the_suite_on_a_folder_with_weights(folder: Path, plain: Path, tmp_path: Path) -> None:
    """The plain row and the swapped one run, with the interval; rows without weights say what makes them."""
    out = tmp_path / "run"
    options = (f"--pacbench-data-root={folder}", f"--pacbench-weights={plain}", "--pacbench-save-predictions")
    found = run_suite("hot_swapping", out, *options)
    assert found["test_data"].metrics == {"images": 2}
    plain_row, swapped = found["test_quality[fcn]"], found["test_quality[pac_fcn]"]
    assert plain_row.outcome == swapped.outcome == "passed", swapped.reason
    assert {"miou", "pixel_accuracy", "trimap_miou_2", "trimap_miou_4", "trimap_miou_8"} <= plain_row.metrics.keys()
    assert "miou_gain_low" not in plain_row.metrics
    gain = swapped.metrics["miou"] - plain_row.metrics["miou"]
    assert swapped.metrics["miou_gain_low"] <= gain <= swapped.metrics["miou_gain_high"]
    for row in ("test_quality[fcn_pac_crf]", "test_time[pac_fcn_pac_crf-total]"):
        assert found[row].outcome == "skipped"
        assert "no weights for this row: give --weights FILE as made by `pacbench train crf" in found[row].reason
    timed = found["test_time[pac_fcn-total]"]
    assert len(timed.samples_s) >= 3
    assert timed.peak_memory_bytes is not None
    for name in ("fcn", "pac_fcn"):
        pictures = sorted(path.name for path in (out / "predictions").glob(f"*/{name}/*.png"))
        assert pictures == ["three.png", "two.png"]
    (two,) = (out / "predictions").glob("*/fcn/two.png")
    with Image.open(two) as picture:
        assert (picture.mode, picture.size) == ("P", (24, 20))
        assert int(np.asarray(picture).max()) < 3


def test_the_crf_suite_takes_its_unaries_from_a_network(folder: Path, plain: Path, tmp_path: Path) -> None:
    options = (f"--pacbench-data-root={folder}", f"--pacbench-weights={plain}", "--pacbench-methods=unary,conv_crf_7")
    found = run_suite("crf", tmp_path / "run", "-k", "quality or data", *options)
    unary, crf = found["test_quality[unary]"], found["test_quality[conv_crf_7]"]
    assert unary.outcome == crf.outcome == "passed", crf.reason
    hot = run_suite("hot_swapping", tmp_path / "hot", "-k", "quality and fcn", *options[:2])
    assert unary.metrics["miou"] == hot["test_quality[fcn]"].metrics["miou"]
    assert crf.metrics["miou_gain_low"] <= crf.metrics["miou"] - unary.metrics["miou"] <= crf.metrics["miou_gain_high"]


def test_the_rows_of_the_embedded_scenes_are_shipped() -> None:
    """One small file for each row; each builds, and the swapped rows are fine-tuned ones."""
    files = sorted(SHIPPED.glob("*.safetensors"))
    assert len(files) == len(METHODS)
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    for method in METHODS:
        chosen = choose_weights(method, (), tuple(CLASS_NAMES), embedded=True)
        assert chosen is not None
        assert "not fine-tuned" not in chosen.note
        model = chosen.build(get_backend("unfold"))
        assert isinstance(model, NetworkWithCRF) == method.crf
        held = {name for path in chosen.files for name in load_file(path)}
        own = {name.removeprefix("network.") for name in model.state_dict()}
        assert {name.removeprefix("network.") for name in held} == own  # nothing is left at random
    assert (SHIPPED / "README.md").is_file()
