"""Training for segmentation: augmentation, learning, recipes, weights that say what they are, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import BLOBS, CLASSES, blob, write_blobs
from safetensors.torch import load_file, save_file

from pacbench.data.data_error import DataError
from pacbench.models import FCN8s, NetworkWithCRF, SmallFCN
from pacbench.models.network_plan import HEADER, NetworkPlan, build_with, load_into, read_plan
from pacbench.training import Stage, TrainingSettings, recipes, train
from pacbench.training.progress import TrainingProgress
from pacbench.training.recipes import Recipe
from pacbench.training.segmentation import Augmentation, SegmentationTask


def task(stages: list[Stage], plan: NetworkPlan | None = None, init: list[Path] | None = None) -> SegmentationTask:
    plan = plan or NetworkPlan(classes=CLASSES, width=4)
    model = build_with(plan, 0, init or [], backend="native")
    return SegmentationTask("blobs", model, plan, BLOBS, Augmentation((24, 32), scales=(0.9, 1.2)), stages)


def run(task: SegmentationTask, folder: Path, every: int | None = None) -> dict[str, float]:
    settings = TrainingSettings(batch=2, evaluate_every=every, checkpoint_every=1000)
    return train(task, settings, folder, TrainingProgress())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    run(task([Stage("network", 60, {"": 0.01})]), folder, every=3)
    return folder / "weights.safetensors"


def test_it_learns(trained: Path) -> None:
    lines = [json.loads(line) for line in trained.with_name("history.jsonl").read_text().splitlines()]
    chance = 0.5 * 824 / 1100  # everything dark, roughly
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["mIoU"] > max(0.85, chance + 0.3)


def test_weights_say_what_they_are(trained: Path) -> None:
    plan = read_plan(trained)
    assert plan == NetworkPlan(classes=CLASSES, width=4)
    model = build_with(plan, 1, [trained])
    assert isinstance(model, SmallFCN)
    assert torch.equal(model.conv1_1.weight, load_file(trained)["conv1_1.weight"])


@pytest.mark.parametrize("steps", [(10, 8)])
def test_a_crf_is_trained_alone_and_then_jointly(trained: Path, steps: tuple[int, int], tmp_path: Path) -> None:
    plan = NetworkPlan(classes=CLASSES, width=4, crf=(1, 3), pairwise_weight=0.1)
    alone, joint = Stage("crf", steps[0], {"crf": 0.02}), Stage("joint", steps[1], {"crf": 0.002, "network": 0.001})
    before = build_with(plan, 0, [trained]).state_dict()
    run(task([alone], plan, [trained]), tmp_path / "alone")
    after = load_file(tmp_path / "alone" / "weights.safetensors")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"crf.unary_weight", "crf.messengers.0.weight", "crf.messengers.1.weight"}
    run(task([alone, joint], plan, [trained]), tmp_path / "both")
    after = load_file(tmp_path / "both" / "weights.safetensors")
    assert not torch.equal(after["network.conv1_1.weight"], before["network.conv1_1.weight"])
    assert isinstance(build_with(read_plan(tmp_path / "both" / "weights.safetensors"), 0, []), NetworkWithCRF)


def test_a_swapped_network_goes_on_from_the_plain_one(trained: Path, tmp_path: Path) -> None:
    plan = NetworkPlan(classes=CLASSES, width=4, guide_scale=0.1)
    before = run(task([Stage("network", 1, {"": 1e-9})], plan, [trained]), tmp_path / "before")
    assert before["mIoU"] > 0.6
    after = run(task([Stage("network", 20, {"": 0.003})], plan, [trained]), tmp_path / "after")
    assert after["mIoU"] > 0.85


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_channels_side_by_side_and_in_bfloat16_it_learns_too(precision: str, tmp_path: Path) -> None:
    asked = TrainingSettings(batch=2, precision=precision, channels_last=True)  # type: ignore[arg-type]
    made = task([Stage("network", 60, {"": 0.01})])
    assert train(made, asked, tmp_path, TrainingProgress())["mIoU"] > 0.8
    weights = load_file(tmp_path / "weights.safetensors")
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert made.model.conv3_1.weight.is_contiguous(memory_format=torch.channels_last)
    assert asked.decisive() != TrainingSettings(batch=2).decisive()


def test_augmentation_keeps_labels_on_their_pixels() -> None:
    """Bright is labelled 1 wherever it goes, and what was added is void."""
    item = blob(3)
    vary = Augmentation((40, 44), scales=(0.7, 1.5))
    seen = set()
    for seed in range(20):
        image, labels = vary(item.image, item.labels, torch.Generator().manual_seed(seed))
        assert image.shape == (3, 40, 44)
        assert labels.shape == (40, 44)
        assert float((image.mean(0)[labels == 1] > 125).double().mean()) > 0.95  # resizing blurs the edges
        assert float((image.mean(0)[labels == 0] < 125).double().mean()) > 0.95
        seen.add(int((labels == 1).sum()))
        again = vary(item.image, item.labels, torch.Generator().manual_seed(seed))
        assert torch.equal(again[0], image)
    assert len(seen) > 5
    plain = Augmentation((32, 40), flip=False, scales=(1, 1))(item.image, item.labels, torch.Generator())
    assert torch.equal(plain[0], item.image)
    assert torch.equal(plain[1], item.labels)


def test_void_has_no_say() -> None:
    made = task([Stage("network", 1, {"": 0.01})])
    labels = torch.full((1, 24, 32), 255)
    labels[:, :2] = 1
    scores = torch.zeros(1, 2, 24, 32)
    scores[:, 0, 2:] = 50.0
    total, amount = made.loss(lambda _: scores, {"image": torch.zeros(1, 3, 24, 32), "labels": labels})
    assert int(amount) == 64
    assert float(total) == pytest.approx(64 * np.log(2), rel=1e-5)


def test_half_precision_and_a_network_alone_load(trained: Path, tmp_path: Path) -> None:
    half = {name: value.half() if value.is_floating_point() else value for name, value in load_file(trained).items()}
    save_file(half, tmp_path / "half.safetensors")
    model = NetworkPlan(classes=CLASSES, width=4, crf=(2,)).build()
    missing = load_into(model, tmp_path / "half.safetensors")
    assert set(missing) == {"crf.unary_weight", "crf.messengers.0.weight", "crf.pairwise_weights.0"}
    assert model.network.conv1_1.weight.dtype == torch.float32
    torch.testing.assert_close(model.network.conv1_1.weight, load_file(trained)["conv1_1.weight"], rtol=1e-3, atol=1e-5)


def test_compact_weights_hold_what_was_trained_in_half_precision(trained: Path, tmp_path: Path) -> None:
    plan = NetworkPlan(classes=CLASSES, width=4, crf=(2,))
    made = task([Stage("crf", 2, {"crf": 0.01})], plan, [trained])
    made.compact = True
    run(made, tmp_path)
    held = load_file(tmp_path / "weights.safetensors")
    assert held.keys() == {"crf.unary_weight", "crf.messengers.0.weight", "crf.pairwise_weights.0"}
    assert {value.dtype for value in held.values()} == {torch.float16}
    both = build_with(plan, 5, [trained, tmp_path / "weights.safetensors"])
    for name, value in made.model.state_dict().items():
        torch.testing.assert_close(both.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_weights_that_do_not_fit_are_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got bn1_1.bias of \(4,\), expected \(6,\)"):
        load_into(SmallFCN(2, 6), trained)
    save_file({"nothing": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"other.safetensors: got nothing, expected names of SmallFCN"):
        load_into(SmallFCN(2, 6), tmp_path / "other.safetensors")
    assert read_plan(tmp_path / "other.safetensors") is None
    save_file({"nothing": torch.ones(1)}, tmp_path / "odd.safetensors", {"pacbench_plan": '{"classes": ["a"]}'})
    with pytest.raises(DataError, match=r"odd.safetensors: got a plan whose classes does not fit"):
        read_plan(tmp_path / "odd.safetensors")
    with pytest.raises(DataError, match=r"none.pth: got no file, expected weights"):
        read_plan(tmp_path / "none.pth")


def test_recipes_plan_what_they_train(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(Recipe(kind="fcn", network="vgg16").plan(CLASSES), NetworkPlan)
    plan = Recipe(kind="pacfcn", init=(str(trained),)).plan(("a", "b"))
    assert (plan.width, plan.guide_scale, plan.classes) == (4, 0.1, ("a", "b"))
    plan = Recipe(kind="crf", init=(str(trained),), crf=(32,)).plan(CLASSES)
    assert (plan.crf, plan.guide_scale) == ((32,), None)
    with pytest.raises(DataError, match="crf: got no weights to begin with, expected --init"):
        Recipe(kind="crf").task()
    with pytest.raises(DataError, match=r"got weights for 2 classes, expected the data's 3"):
        Recipe(kind="fcn", init=(str(trained),)).plan(("a", "b", "c"))
    assert not plan.fine_tuned
    assert not Recipe(kind="fcn").plan(CLASSES).fine_tuned
    again = Recipe(kind="fcn", init=(str(trained),)).plan(CLASSES)
    assert again.fine_tuned
    assert json.loads(again.header()[HEADER])["fine_tuned"]  # so that the weights say it
    assert not plan.frozen
    frozen = Recipe(kind="crf", init=(str(trained),), joint=False).plan(CLASSES)
    assert frozen.frozen
    assert Recipe(kind="crf", init=(str(trained),), steps=1).plan(CLASSES).frozen  # too short for a joint stage
    monkeypatch.setattr(recipes, "plan_for", lambda *_: frozen)
    assert not Recipe(kind="fcn", init=(str(trained),)).plan(CLASSES).frozen  # whose network is trained on
    assert not Recipe(kind="pacfcn", init=(str(trained),)).plan(CLASSES).frozen
    monkeypatch.undo()
    stages = Recipe(kind="crf", steps=9).schedule(10, plan)
    assert [(stage.name, stage.steps) for stage in stages] == [("crf", 5), ("joint", 4)]
    assert [stage.steps for stage in Recipe(kind="fcn", epochs=2.5, batch=4).schedule(10, plan)] == [6]
    assert [stage.name for stage in Recipe(kind="crf", joint=False).schedule(10, plan)] == ["crf"]
    with torch.device("meta"):
        assert isinstance(NetworkPlan(classes=CLASSES, network="vgg16", guide_scale=1e-4).build(), FCN8s)


@pytest.fixture
def folder_of_blobs(tmp_path: Path) -> Path:
    return write_blobs(tmp_path / "blobs")


def command(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    from pacbench.command_line import app

    try:
        code = app([*words], standalone_mode=False)
    except Exception as error:  # what main() would tell in one line
        return 2, f"{type(error).__name__}: {error}"
    captured = capsys.readouterr()
    return int(code or 0), captured.out + captured.err


def test_the_command_trains_and_resumes(
    folder_of_blobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ["--data-root", str(folder_of_blobs), "--steps", "4", "--batch", "2", "--crop", "24x32", "--width", "2"]
    code, told = command("train", "fcn", *asked, "--output", str(out), "--evaluate-every", "2", capsys=capsys)
    assert code == 0
    assert "[2/4] network: loss" in told
    assert "mIoU" in told
    first = (out / "weights.safetensors").read_bytes()
    code, told = command("train", "fcn", "--resume", str(out), capsys=capsys)
    assert (code, (out / "weights.safetensors").read_bytes()) == (0, first)
    init = ["--init", str(out / "weights.safetensors"), "--data-root", str(folder_of_blobs), "--steps", "2"]
    for kind in ("crf", "pacfcn"):
        code, told = command(
            "train", kind, *init, "--batch", "2", "--dilations", "2-4", "--output", str(tmp_path / kind), capsys=capsys
        )
        assert code == 0, told
    assert read_plan(tmp_path / "crf" / "weights.safetensors").crf == (2, 4)
    assert read_plan(tmp_path / "pacfcn" / "weights.safetensors").guide_scale == 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fnc"], "train: got 'fnc', expected one of fcn, crf, pacfcn or upsample"),
        (["fcn", "--crop", "24"], "--crop: got '24', expected HEIGHTxWIDTH"),
        (["crf", "--crf", "dense"], "train: got 'dense' for other_crf, expected it to fit"),
        (["fcn", "--precision", "half"], "train: got 'half' for precision, expected it to fit"),
        (["crf", "--dilations", "a"], "--dilations: got 'a', expected numbers joined by -"),
        (["fcn", "--network", "resnet"], "train: got 'resnet' for network, expected it to fit"),
        (["fcn", "--steps", "0"], "train: got 0 for steps, expected it to fit"),
        (["crf", "--output", "{tmp}/new"], "crf: got no weights to begin with, expected --init"),
        (["fcn", "--resume", "{tmp}"], "expected the folder of a training"),
        (["fcn", "--resume", "{tmp}", "--steps", "3"], "--resume takes the settings of the run it resumes"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = command("train", *(word.format(tmp=tmp_path) for word in words), capsys=capsys)
    assert code == 2
    assert message in told
