"""The hot-swapping suite: which weights a row gets, what it records, and the networks that are shipped."""

from __future__ import annotations

import json
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
from pacbench.models.network_plan import HEADER, NetworkPlan
from pacbench.records import CaseRecord, read_lines
from pacbench.registry import get_backend
from pacbench.suites.hot_swapping.methods import METHODS, SHIPPED, choose_weights, needs_given_weights
from pacbench.training.origins import digest
from pacbench.training.outcome import write_weights

CLASSES = ("a", "b", "c")
FCN, TUNED, PAC_FCN, FCN_CRF, TUNED_CRF, PAC_FCN_CRF = METHODS
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
    files += [
        weights(tmp_path, "again_crf", PLAN.model_copy(update={"crf": (2,), "fine_tuned": True})),
        weights(tmp_path, "again", PLAN.model_copy(update={"fine_tuned": True})),
    ]
    for method, path in zip((PAC_FCN_CRF, PAC_FCN, FCN_CRF, FCN, TUNED_CRF, TUNED), files, strict=True):
        (chosen,) = choose_weights(method, files, CLASSES, embedded=False)
        assert chosen.files == (path,)
        assert not chosen.note


def test_all_weights_that_fit_a_row_are_its_trainings_and_fine_tuned_ones_are_the_plain_row_only_where_alone(
    tmp_path: Path, plain: Path
) -> None:
    again = [weights(tmp_path, f"again{seed}", PLAN.model_copy(update={"fine_tuned": True})) for seed in (0, 1)]
    chosen = choose_weights(TUNED, [again[1], plain, again[0]], CLASSES, embedded=False)
    assert [one.path for one in chosen] == [again[1], again[0]]
    (chosen_plain,) = choose_weights(FCN, [*again, plain], CLASSES, embedded=False)
    assert (chosen_plain.path, chosen_plain.note) == (plain, "")
    alone = choose_weights(FCN, again, CLASSES, embedded=False)
    assert [one.path for one in alone] == again
    assert {one.note for one in alone} == {"its network was trained again from other weights"}
    assert choose_weights(TUNED, [plain], CLASSES, embedded=False) == []


def test_other_models_are_no_trainings_of_a_row(tmp_path: Path) -> None:
    crfs = {name: PLAN.model_copy(update={"crf": crf}) for name, crf in {"a": (2,), "b": (2, 4), "c": (2,)}.items()}
    files = [weights(tmp_path, name, plan) for name, plan in crfs.items()]
    assert [one.path.stem for one in choose_weights(FCN_CRF, files, CLASSES, embedded=False)] == ["a", "c"]


def test_a_crf_on_a_frozen_network_is_no_training_of_a_joint_row(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"crf": (2,)})
    frozen = weights(tmp_path, "frozen", plan.model_copy(update={"frozen": True}))
    joint = weights(tmp_path, "joint", plan)
    assert [one.path for one in choose_weights(FCN_CRF, [frozen, joint], CLASSES, embedded=False)] == [joint]
    assert [one.path for one in choose_weights(FCN_CRF, [frozen], CLASSES, embedded=False)] == [frozen]
    older = [tmp_path / f"{name}.safetensors" for name in ("older_frozen", "older_joint")]
    for path, stages in zip(older, (["crf"], ["crf", "joint"]), strict=True):
        said = {key: value for key, value in plan.model_dump(mode="json").items() if key != "frozen"}
        save_file(plan.build().state_dict(), path, {HEADER: json.dumps(said)})
        path.with_suffix(".json").write_text(json.dumps({"stages": [{"name": name} for name in stages]}))
    assert [one.path for one in choose_weights(FCN_CRF, older, CLASSES, embedded=False)] == [older[1]]


def test_files_that_do_not_say_that_they_began_with_others_are_known_by_what_lies_beside(tmp_path: Path) -> None:
    """As `pacbench train` wrote them before the header said it: `weights.json`, and digests of what they began with."""

    def old(name: str, plan: NetworkPlan, task: str, init: str) -> Path:
        header = {
            HEADER: json.dumps(
                {key: value for key, value in plan.model_dump(mode="json").items() if key != "fine_tuned"}
            )
        }
        path = tmp_path / name / "weights.safetensors"
        path.parent.mkdir()
        torch.manual_seed(len(list(tmp_path.iterdir())))  # files of other bytes
        save_file({key: value.contiguous() for key, value in plan.build().state_dict().items()}, path, header)
        path.with_suffix(".json").write_text(json.dumps({"task": task, "what": {"init": init}}), encoding="utf-8")
        return path

    with_crf = PLAN.model_copy(update={"crf": (2,)})
    first = old("first", PLAN, "fcn", "")
    again = old("again", PLAN, "fcn", digest(first))
    crf = old("crf", with_crf, "crf", digest(first))
    again_crf = old("again_crf", with_crf, "crf", digest(again))
    files = [again_crf, again, crf, first]
    for method, path in ((FCN, first), (TUNED, again), (FCN_CRF, crf), (TUNED_CRF, again_crf)):
        assert [one.path for one in choose_weights(method, files, CLASSES, embedded=False)] == [path]
    again.with_suffix(".json").unlink()
    assert [one.path for one in choose_weights(FCN, files, CLASSES, embedded=False)] == [again, first]


def test_a_swapped_row_takes_the_plain_networks_weights_and_says_so(plain: Path) -> None:
    (chosen,) = choose_weights(PAC_FCN, [plain], CLASSES, embedded=False)
    assert chosen.path == plain
    assert chosen.note == "not fine-tuned after swapping"
    assert chosen.plan.guide_scale == 0.1
    model = chosen.build(get_backend("unfold"))
    assert type(model.conv3_3).__name__ == "SwappedConv2d"
    assert torch.equal(model.conv3_3.weight, load_file(plain)["conv3_3.weight"])


def test_rows_without_weights_have_none_and_wrong_ones_are_named(plain: Path) -> None:
    assert choose_weights(FCN_CRF, [plain], CLASSES, embedded=False) == []
    assert choose_weights(PAC_FCN_CRF, [plain], CLASSES, embedded=False) == []
    assert choose_weights(FCN, [], CLASSES, embedded=False) == []
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
    assert not any("fine_tuned" in case for case in found)  # nobody gave weights for these rows
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


def test_trainings_of_a_row_are_averaged_and_compared_pair_by_pair(folder: Path, tmp_path: Path) -> None:
    plans = {"fcn": PLAN, "again": PLAN.model_copy(update={"fine_tuned": True})}
    plans["swapped"] = PLAN.model_copy(update={"guide_scale": 0.1})
    files = {}
    for name, plan in plans.items():
        for seed in (0, 1):
            files[name, seed] = tmp_path / f"{name}{seed}" / "weights.safetensors"
            files[name, seed].parent.mkdir()
            torch.manual_seed(10 * len(name) + seed)
            write_weights(files[name, seed], plan.build("unfold").state_dict(), plan.header())
    every = [f"--pacbench-weights={path}" for path in files.values()]
    quality = ("-k", "quality", f"--pacbench-data-root={folder}")
    both = run_suite("hot_swapping", tmp_path / "both", *quality, *every)
    alone = [
        run_suite("hot_swapping", tmp_path / f"alone{seed}", *quality, *every[seed::2])  # of one seed each
        for seed in (0, 1)
    ]
    assert both.keys() == alone[0].keys()
    for row in ("fcn", "fcn_fine_tuned", "pac_fcn"):
        case = f"test_quality[{row}]"
        values = [one[case].metrics["miou"] for one in alone]
        found = both[case].metrics
        assert found["miou"] == pytest.approx(sum(values) / 2)
        assert (found["trainings"], found["miou_seed_low"], found["miou_seed_high"]) == (2, min(values), max(values))
        assert "trainings" not in alone[0][case].metrics
        for measure in {"fcn": (), "fcn_fine_tuned": ("miou_gain",), "pac_fcn": ("miou_gain", "miou_minus_control")}[
            row
        ]:
            each = [one[case].metrics[measure] for one in alone]
            assert found[measure] == pytest.approx(sum(each) / 2)
            assert found[f"{measure}_low"] <= found[measure] <= found[f"{measure}_high"]
    control = [one["test_quality[fcn_fine_tuned]"].metrics["miou"] for one in alone]
    swapped = [one["test_quality[pac_fcn]"].metrics for one in alone]
    for one, other in zip(swapped, control, strict=True):
        assert one["miou_minus_control"] == pytest.approx(one["miou"] - other)


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
    shipped = [method for method in METHODS if not needs_given_weights(method)]
    assert len(files) == len(shipped)
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    for method in shipped:
        (chosen,) = choose_weights(method, (), tuple(CLASS_NAMES), embedded=True)
        assert not chosen.note
        model = chosen.build(get_backend("unfold"))
        assert isinstance(model, NetworkWithCRF) == method.crf
        held = {name for path in chosen.files for name in load_file(path)}
        own = {name.removeprefix("network.") for name in model.state_dict()}
        assert {name.removeprefix("network.") for name in held} == own  # nothing is left at random
    assert (SHIPPED / "README.md").is_file()
