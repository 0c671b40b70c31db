"""The training loop: deterministic, killed and resumed to the same weights, the same by two processes as by one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from toy_training import SETTINGS, Toy

from pacbench.data.data_error import DataError
from pacbench.training import Stage, TrainingSettings, train
from pacbench.training.batches import StepSampler
from pacbench.training.checkpoint import NAME
from pacbench.training.process_group import Processes
from pacbench.training.progress import TrainingProgress

PROGRAM = str(Path(__file__).with_name("toy_training.py"))
STEPS = 16


def run(folder: Path, task: Toy | None = None, settings: TrainingSettings = SETTINGS) -> dict[str, float]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(task or Toy(), settings, folder, TrainingProgress())
    finally:
        torch.set_num_threads(threads)


def outcome(folder: Path) -> tuple[bytes, bytes, bytes]:
    names = ("weights.safetensors", "history.jsonl", "weights.json")
    weights, history, said = ((folder / name).read_bytes() for name in names)
    return weights, history, said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


def test_a_seed_gives_the_same_weights(whole: Path, tmp_path: Path) -> None:
    run(tmp_path / "same")
    assert outcome(tmp_path / "same") == outcome(whole)
    run(tmp_path / "other", settings=TrainingSettings(seed=4, batch=4, checkpoint_every=3, evaluate_every=5))
    assert outcome(tmp_path / "other")[0] != outcome(whole)[0]


def test_workers_and_checkpoints_change_nothing(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, settings=TrainingSettings(seed=3, batch=4, checkpoint_every=100, evaluate_every=5, workers=1))
    assert outcome(tmp_path)[:2] == outcome(whole)[:2]


def program(folder: Path, die: str = "") -> int:
    words = [sys.executable, PROGRAM, str(folder), die]
    return subprocess.run(words, capture_output=True, check=False).returncode


@pytest.mark.parametrize("die", ["step 2", "step 5", "step 14", "save 1", "save 4"])
def test_killed_at_any_moment_it_resumes_to_the_same_weights(die: str, whole: Path, tmp_path: Path) -> None:
    assert program(tmp_path, die) == -signal.SIGKILL
    assert not (tmp_path / "weights.safetensors").exists()
    run(tmp_path)
    assert outcome(tmp_path) == outcome(whole)


def test_a_task_with_hidden_state_would_be_found_out(whole: Path, tmp_path: Path) -> None:
    """The planted fault: samples drawn from a state that no checkpoint holds do not resume to the same weights."""

    class Hidden(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.own = torch.Generator().manual_seed(5)

        def train_sample(self, index: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            return super().train_sample(index, self.own)

    run(tmp_path / "whole", Hidden())
    stopped = Hidden()
    stopped.loss = _stop_after(stopped, 8)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stopped)
    run(tmp_path / "cut", Hidden())
    assert outcome(tmp_path / "cut")[0] != outcome(tmp_path / "whole")[0]


def _stop_after(task: Toy, calls: int) -> object:
    real = task.loss

    def loss(*args: object) -> object:
        if task.calls == calls:
            raise KeyboardInterrupt
        return real(*args)

    return loss


def test_interrupted_and_resumed_in_one_process(whole: Path, tmp_path: Path) -> None:
    task = Toy()
    task.loss = _stop_after(task, 8)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, task)
    run(tmp_path)
    assert outcome(tmp_path) == outcome(whole)


def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    """Under torchrun, with another amount to learn in each share; no dropout or batch statistics, which are own."""
    run(tmp_path / "one", Toy(dropout=0.0, normalise=False))
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", PROGRAM, str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6)
    last = [json.loads((tmp_path / name / "history.jsonl").read_text().splitlines()[-1]) for name in ("one", "two")]
    assert last[0]["accuracy"] == last[1]["accuracy"]
    assert last[0]["loss"] == pytest.approx(last[1]["loss"], rel=1e-4)


def test_two_processes_take_halves_of_each_batch() -> None:
    whole = list(StepSampler(10, 4, 0, range(6), Processes()))
    halves = [list(StepSampler(10, 4, 0, range(6), Processes(rank, 2))) for rank in (0, 1)]
    assert whole == [left + right for left, right in zip(*halves, strict=True)]
    flat = [item for batch in whole for item in batch]
    assert sorted(flat[:10]) == [(0, index) for index in range(10)]
    assert sorted(flat[10:20]) == [(1, index) for index in range(10)]
    assert flat[:10] != sorted(flat[:10])
    assert list(StepSampler(10, 4, 0, range(3, 6), Processes())) == whole[3:]
    with pytest.raises(ValueError, match="training: got batch 3, expected a multiple of the 2 processes"):
        StepSampler(10, 3, 0, range(1), Processes(0, 2))


def test_it_learns(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 7, 10, 15, 16]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]


def test_frozen_parameters_stay_and_batch_statistics_with_them(tmp_path: Path) -> None:
    class TopOnly(Toy):
        def stages(self) -> list[Stage]:
            return [Stage("top", 4, {"top": 0.05})]

    before = {name: value.clone() for name, value in Toy().model.state_dict().items()}
    run(tmp_path, TopOnly())
    after = load_file(tmp_path / "weights.safetensors")
    assert {name for name, value in after.items() if not torch.equal(value, before[name])} == {
        "top.weight", "top.bias",
    }  # fmt: skip


def test_the_longest_prefix_gives_the_rate() -> None:
    stage = Stage("all", 1, {"": 1.0, "body": 2.0, "body.0.bias": 3.0})
    rates = [stage.rate_of(name) for name in ("top.bias", "body.0.weight", "body.0.bias", "bodyguard.weight")]
    assert rates == [1.0, 2.0, 3.0, 1.0]
    assert Stage("some", 1, {"body": 1.0}).rate_of("top.bias") is None


def test_weights_say_what_made_them(whole: Path) -> None:
    said = json.loads((whole / "weights.json").read_text())
    assert said["task"] == "toy"
    assert said["what"] == {"size": 22}
    assert said["settings"]["seed"] == 3
    assert [stage["name"] for stage in said["stages"]] == ["top", "all"]
    assert set(said["metrics"]) == {"accuracy"}
    assert not list(whole.glob(".*.half"))


def test_the_checkpoint_of_another_training_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes((whole / NAME).read_bytes())
    for other in (Toy(size=23), None):
        settings = SETTINGS if other else TrainingSettings(seed=3, batch=8)
        with pytest.raises(DataError, match=rf"{NAME}: got the checkpoint of another training"):
            run(tmp_path, other, settings)
    (tmp_path / NAME).write_bytes(b"nonsense")
    with pytest.raises(DataError, match=rf"{NAME}: got a file that cannot be read"):
        run(tmp_path)


def test_what_cannot_be_trained_is_said(tmp_path: Path) -> None:
    class Nothing(Toy):
        def stages(self) -> list[Stage]:
            return [Stage("all", 4, {"head": 0.05})]

    class Infinite(Toy):
        def loss(self, model, batch):
            total, amount = super().loss(model, batch)
            return total * torch.inf, amount

    with pytest.raises(ValueError, match="training toy: stage 'all' trains 'head', expected the beginning of a param"):
        run(tmp_path / "nothing", Nothing())
    with pytest.raises(ValueError, match=r"training toy: got loss inf in step 1, expected a finite one"):
        run(tmp_path / "infinite", Infinite())
    with pytest.raises(ValueError, match="training toy: got no training item"):
        run(tmp_path / "empty", Toy(size=0))
    with pytest.raises(ValueError, match="training: got batch 0, expected at least 1"):
        TrainingSettings(batch=0)


def test_progress_tells_loss_and_metrics_as_plain_lines(tmp_path: Path) -> None:
    told = io.StringIO()
    train(Toy(), SETTINGS, tmp_path, TrainingProgress(Console(file=told)))
    lines = told.getvalue().splitlines()
    assert lines[0].startswith("[5/16] top: loss ")
    assert ", accuracy " in lines[0]
    assert "\x1b" not in told.getvalue()
    assert len(lines) == 5
