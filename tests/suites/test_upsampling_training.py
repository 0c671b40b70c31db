"""Training for joint upsampling: examples, loss, what is held out, resuming, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pacbench import command_line
from pacbench.data.data_error import DataError
from pacbench.errors import UnknownNameError
from pacbench.suites.joint_upsampling.datasets import embedded_scenes
from pacbench.suites.joint_upsampling.interpolation import interpolation
from pacbench.suites.joint_upsampling.networks import SHIPPED, NoWeightsError, trained_for, with_weights
from pacbench.suites.joint_upsampling.recipe import UpsamplingRecipe
from pacbench.suites.joint_upsampling.scoring import error
from pacbench.suites.joint_upsampling.ship_weights import ship
from pacbench.training import train
from pacbench.training.progress import TrainingProgress

TRAINED = Path(__file__).parents[2] / "reports" / "reference" / "upsampling_trained"
QUICK = {"method": "pac_lite", "factor": 4, "scenes": 2, "steps": 3, "batch": 2, "crop": 32}


@pytest.fixture(autouse=True)
def _small_scenes(monkeypatch):
    from pacbench.suites.joint_upsampling import recipe

    monkeypatch.setattr(recipe, "_SCENE_SIZE", (48, 64))
    monkeypatch.setattr(recipe, "_HELD_OUT", 2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("data", ["scenes", "scenes_flow"])
def test_an_example_is_the_protocol_on_a_crop(data):
    task = UpsamplingRecipe(**QUICK, data=data).task()
    item = task.train.load("train_0000")
    example = task.train_sample(0, generator())
    channels, border = (1, 6) if data == "scenes" else (2, 0)
    assert tuple(example["guide"].shape) == (3, 32, 32)
    assert tuple(example["values"].shape) == (channels, 8, 8)
    assert float(example["values"].amin()) == 0
    assert float(example["values"].amax()) == 1
    torch.testing.assert_close(example["target"][:, 1::4, 1::4], example["values"])
    assert int(example["mask"].sum()) == (32 - 2 * border) ** 2
    truth = example["target"] * example["span"] + example["least"]
    guide = 255 * example["guide"]
    places = [
        (top, left, flip)
        for top in range(48 - 32 + 1)
        for left in range(64 - 32 + 1)
        for flip in (False, True)
        if torch.equal(guide.flip(-1) if flip else guide, item.guide[:, top : top + 32, left : left + 32])
    ]
    ((top, left, flip),) = places
    expected = item.truth[:, top : top + 32, left : left + 32]
    if flip:
        expected = expected.flip(-1)
        expected = expected * torch.tensor([-1.0, 1.0]).view(2, 1, 1) if data == "scenes_flow" else expected
    torch.testing.assert_close(truth, expected, rtol=1e-4, atol=1e-3)
    assert torch.equal(task.train_sample(0, generator())["guide"], example["guide"])
    flipped = {torch.equal(task.train_sample(0, generator(seed))["guide"], example["guide"]) for seed in range(1, 4)}
    assert False in flipped


def test_a_training_may_start_as_interpolation():
    started = UpsamplingRecipe(**QUICK | {"method": "djf"}, start="interpolation").task()
    held_out = [started.validation_sample(index) for index in range(started.validation_size())]
    with torch.no_grad():
        errors = [started.measure(started.model, {k: v[None] for k, v in sample.items()}) for sample in held_out]
    bilinear = []
    for item_id in started.held_out.ids:
        item = started.held_out.load(item_id)
        bilinear.append(error(started.held_out, item, interpolation("bilinear")(item.at(4))[0]))
    assert float(torch.stack(errors)[:, 0].mean()) == pytest.approx(sum(bilinear) / len(bilinear), rel=1e-4)
    assert started.describe()["start"] == "interpolation"
    with pytest.raises(ValueError, match="msg_net: got start"):
        UpsamplingRecipe(**QUICK | {"method": "msg_net"}, start="interpolation").task()


def test_the_loss_counts_known_pixels_off_the_border_only():
    task = UpsamplingRecipe(**QUICK).task()
    batch = {name: value[None] for name, value in task.train_sample(0, generator()).items()}
    exact, amount = task.loss(lambda _values, _guide: batch["target"], batch)
    assert float(exact) == 0
    assert int(amount) == 20 * 20
    spoilt = batch["target"] + (~batch["mask"])[:, None] * 100.0 + 0.5 * batch["mask"][:, None]
    wrong, _ = task.loss(lambda _values, _guide: spoilt, batch)
    assert float(wrong / amount) == pytest.approx(0.25)


def test_the_loss_epe_is_the_endpoint_error_in_parts_of_the_range():
    task = UpsamplingRecipe(**QUICK, data="scenes_flow", loss="epe").task()
    examples = [task.train_sample(index, generator(index)) for index in range(2)]
    batch = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
    batch["mask"][0, :5] = False
    off = torch.tensor([[3.0, 4.0], [-6.0, 8.0]])[:, :, None, None]  # pixels; of lengths 5 and 10
    moved = batch["target"] + off / batch["span"] + (~batch["mask"])[:, None] * 100.0
    summed, amount = task.loss(lambda _values, _guide: moved, batch)
    first, second = batch["span"].mean((1, 2, 3)).tolist()
    assert int(amount) == 27 * 32 + 32 * 32
    assert float(summed) == pytest.approx(27 * 32 * 5 / first + 32 * 32 * 10 / second, rel=1e-4)
    assert task.describe()["loss"] == "epe"
    exact = batch["target"].clone().requires_grad_()
    task.loss(lambda _values, _guide: exact, batch)[0].backward()
    assert bool(torch.isfinite(exact.grad).all())


def test_what_is_measured_is_held_out_and_in_the_data_s_unit():
    task = UpsamplingRecipe(**QUICK).task()
    assert task.train.ids == ("train_0000", "train_0001")
    assert task.held_out.ids == ("train_0002", "train_0003")
    sample = {name: value[None] for name, value in task.validation_sample(0).items()}
    moved = lambda _values, _guide: sample["target"] + 10.0 / sample["span"]  # noqa: E731
    expected = pytest.approx(10.0, rel=1e-3)
    assert task.metrics(task.measure(moved, sample)) == {"rmse": expected, "rmse_flat_guide": expected}


def test_it_is_measured_whether_the_guide_is_used():
    task = UpsamplingRecipe(**QUICK).task()
    sample = {name: value[None] for name, value in task.validation_sample(0).items()}
    mean = sample["guide"].mean((2, 3))

    def guided(_values, guide):
        """Right where the guide has its structure, 10 units off where it has one colour; the same mean colour."""
        torch.testing.assert_close(guide.mean((2, 3)), mean)
        return sample["target"] + (10.0 / sample["span"] if float(guide.std((2, 3)).max()) < 1e-6 else 0.0)

    measured = task.metrics(task.measure(guided, sample))
    assert measured["rmse"] < 1e-3
    assert measured["rmse_flat_guide"] == pytest.approx(10.0, rel=1e-3)


def test_every_method_sees_the_same_examples():
    tasks = [UpsamplingRecipe(**QUICK | {"method": method}).task() for method in ("djf", "pac_lite")]
    first, second = (task.train_sample(1, generator(5)) for task in tasks)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_goes_on_to_the_same_bits_and_its_weights_are_found(tmp_path):
    recipe = UpsamplingRecipe(**QUICK, checkpoint_every=1)
    train(recipe.task(), recipe.settings(), tmp_path / "whole", TrainingProgress())

    class Stopped(TrainingProgress):
        def step(self, stage, loss):
            if self._step == 1:
                raise KeyboardInterrupt
            super().step(stage, loss)

    with pytest.raises(KeyboardInterrupt):
        train(recipe.task(), recipe.settings(), tmp_path / "cut", Stopped())
    train(recipe.task(), recipe.settings(), tmp_path / "cut", TrainingProgress())
    files = [tmp_path / name / "weights.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert trained_for(files[0]) == "pac_lite-depth-x4"
    found = with_weights("pac_lite", "depth", 4, None, [*files, files[0]], embedded=False)
    assert [path for _, path in found] == files  # every training once
    learned = found[0][0]
    for method, kind, factor in (("pac_lite", "depth", 8), ("pac_lite", "flow", 4), ("djf", "depth", 4)):
        with pytest.raises(NoWeightsError, match=f"train upsample --method {method} --factor {factor}"):
            with_weights(method, kind, factor, None, files, embedded=False)
    shipped = ship(tmp_path / "whole", tmp_path)
    assert shipped.name == "pac_lite-depth-x4.safetensors"
    assert json.loads(shipped.with_suffix(".json").read_text())["task"] == "pac_lite-depth-x4"
    ((again, _),) = with_weights("pac_lite", "depth", 4, None, [shipped], embedded=False)
    for one, other in zip(learned.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=1e-4)


def test_weights_of_another_network_or_broken_ones_are_named(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file({"branch_t.conv1.weight": torch.zeros(1)}, path, metadata={"task": "pac_lite-depth-x4"})
    with pytest.raises(DataError, match="got tensors of another network than pac_lite at factor 4"):
        with_weights("pac_lite", "depth", 4, None, [path], embedded=False)
    path.write_bytes(b"no tensors")
    with pytest.raises(DataError, match="expected safetensors"):
        with_weights("pac_lite", "depth", 4, None, [path], embedded=False)


def test_wrong_recipes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got crops of 30 pixels, expected a multiple of the factor 4"):
        UpsamplingRecipe(**QUICK | {"crop": 30}).task()
    with pytest.raises(ValueError, match="got factor 3, expected one of 4, 8, 16"):
        UpsamplingRecipe(**QUICK | {"factor": 3, "crop": 36}).task()
    with pytest.raises(UnknownNameError, match="data: got 'nyu', expected one of scenes, scenes_flow"):
        UpsamplingRecipe(**QUICK, data="nyu").task()
    with pytest.raises(DataError, match="got no data set to train on, expected one of nyu, sintel, chairs"):
        UpsamplingRecipe(**QUICK, data_root=str(tmp_path)).task()
    task = UpsamplingRecipe(**QUICK | {"crop": 64}).task()
    with pytest.raises(DataError, match="got 48 x 64 pixels, expected 64 in both axes"):
        task.train_sample(0, generator())


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["pacbench", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_the_command_trains_resumes_and_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    words = ["--method=djf", "--factor=4", "--scenes=2", "--steps=2", "--batch=1", "--crop=32", f"--output={out}"]
    code, said, _ = run(monkeypatch, capsys, "train", "upsample", *words)
    assert code == 0
    assert str(out / "weights.safetensors") in said
    assert json.loads((out / "weights.json").read_text())["metrics"]["rmse"] > 0
    code, _, said = run(monkeypatch, capsys, "train", "upsample", *words)
    assert code == 2
    assert "holds a training already" in said
    before = (out / "weights.safetensors").read_bytes()
    assert run(monkeypatch, capsys, "train", "upsample", "--resume", out)[0] == 0
    assert (out / "weights.safetensors").read_bytes() == before
    for options, message in (
        (["upsample", "--resume", out, "--steps", 5], "leave out steps"),
        (["upsample", "--resume", tmp_path], "it has no training.json"),
        (["upsample", "--factor", 4], "got no --method, expected one"),
        (["upsample", "--method", "pac_light", "--factor", 4], "did you mean 'pac_lite'?"),
        (["upsample", "--method", "djf", "--factor", 1], "got 1 for factor"),
        (["upsample", "--method", "djf", "--factor", 4, "--start", "bilinear"], "got 'bilinear' for start"),
        (["upsample", "--method", "djf", "--factor", 4, "--loss", "l2"], "got 'l2' for loss"),
        (["fcn", "--start", "random"], "train fcn: got start, expected options of its own"),
        (["upsampel"], "train: got 'upsampel', expected one of fcn, crf, pacfcn or upsample"),
        (["upsample", "--width", 3], "train upsample: got width, expected options of its own"),
        (["fcn", "--factor", 4], "train fcn: got factor, expected options of its own"),
        (["upsample", "--method", "djf", "--factor", 4, "--crop", "64x32"], "expected a side such as 64"),
    ):
        code, _, said = run(monkeypatch, capsys, "train", *options)
        assert code == 2
        assert message in said


def test_shipped_weights_are_small_and_better_than_bilinear_on_scenes_they_have_not_seen():
    shipped = sorted(SHIPPED.glob("*.safetensors"))
    assert shipped
    assert sum(path.stat().st_size for path in shipped) <= 2_000_000
    for path in shipped:
        assert trained_for(path) == path.stem
        made = json.loads(path.with_suffix(".json").read_text())["what"]
        assert all(name.startswith("train_") for name in made["train"])
        ((learned, found),) = with_weights(made["method"], made["kind"], made["factor"], None, [], embedded=True)
        assert found == path
        dataset = embedded_scenes("val", (120, 160), 4, made["kind"])
        bilinear = interpolation("bilinear")
        with torch.no_grad():
            own, plain = (
                sum(error(dataset, item, upsample(item.at(made["factor"]))[0]) for item in dataset.items())
                for upsample in (learned, bilinear)
            )
        assert own < plain


def test_weights_of_the_reference_tables_fit_their_networks_and_say_how_they_were_trained():
    kept = sorted(TRAINED.rglob("*.safetensors"))
    assert kept
    for path in kept:
        method, kind, times = trained_for(path).split("-")
        assert path.stem == f"{method}-{kind}-{times}"
        ((learned, found),) = with_weights(method, kind, int(times[1:]), None, [path], embedded=False)
        assert found == path
        made = json.loads(path.with_suffix(".json").read_text())
        assert [made["what"][key] for key in ("method", "kind", "factor")] == [method, kind, int(times[1:])]
        assert 0 < made["metrics"]["rmse" if kind == "depth" else "epe"] < 20
        assert not any(parameter.isnan().any() for parameter in learned.network.parameters())
