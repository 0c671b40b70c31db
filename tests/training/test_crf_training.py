"""Training of CRFs: of every kind, behind a network and on unaries from files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from blobs import CLASSES, blob, write_blobs, write_unaries
from safetensors.torch import load_file

from pacbench.crf import BCLCRF, ConvCRF, FullCRF
from pacbench.crf.lattice import lattice_unavailable_reasons
from pacbench.data.data_error import DataError
from pacbench.models import CRFOnUnary, NetworkWithCRF
from pacbench.models.network_plan import NetworkPlan, build_with, read_plan
from pacbench.nn.pac_crf import PacCRF
from pacbench.training import train
from pacbench.training.outcome import write_weights
from pacbench.training.progress import TrainingProgress
from pacbench.training.recipes import Recipe

KINDS = {"conv_11": ConvCRF, "conv_7": ConvCRF, "full": FullCRF, "bcl": BCLCRF}
each_kind = pytest.mark.parametrize("kind", [None, *KINDS])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_blobs(tmp_path / "blobs")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    plan = NetworkPlan(classes=CLASSES, width=2)
    write_weights(tmp_path / "fcn.safetensors", plan.build().state_dict(), plan.header())
    return tmp_path / "fcn.safetensors"


def recipe(root: Path, kind: str | None, *init: Path, steps: int = 2) -> Recipe:
    if kind in ("full", "bcl") and (reasons := lattice_unavailable_reasons()):
        pytest.skip("; ".join(reasons))
    return Recipe(
        kind="crf", data_root=str(root), init=tuple(map(str, init)), other_crf=kind, crf=(1, 3), steps=steps, batch=2,
        rate=0.02, crop=(24, 32), joint=False,
    )  # fmt: skip


@each_kind
def test_every_crf_is_trained_behind_a_frozen_network(
    root: Path, network: Path, kind: str | None, tmp_path: Path
) -> None:
    asked = recipe(root, kind, network)
    task = asked.task()
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    train(task, asked.settings(), tmp_path / "out", TrainingProgress())
    after = load_file(tmp_path / "out" / "weights.safetensors")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.startswith("crf.") for name in changed)
    plan = read_plan(tmp_path / "out" / "weights.safetensors")
    assert plan is not None
    assert (plan.other_crf, plan.crf) == ((kind, ()) if kind else (None, (1, 3)))
    model = build_with(plan, 1, [tmp_path / "out" / "weights.safetensors"])
    assert isinstance(model, NetworkWithCRF)
    assert isinstance(model.crf, KINDS[kind] if kind else PacCRF)


@each_kind
def test_every_crf_is_trained_on_unaries_from_files(root: Path, kind: str | None, tmp_path: Path) -> None:
    """It learns: mIoU of the image held out rises above that of the unaries, which a second task tells."""
    write_unaries(root)
    asked = recipe(root, kind, steps=25)
    task = asked.task()
    assert (task.plan.network, type(task.model)) == ("none", CRFOnUnary)
    learned = train(task, asked.settings(), tmp_path / "out", TrainingProgress())["mIoU"]
    names = load_file(tmp_path / "out" / "weights.safetensors").keys()
    assert all(name.startswith("crf.") for name in names)
    sample = task.validation_sample(0)
    unary = task.metrics(
        task.measure(lambda image, unary: unary, {name: value[None] for name, value in sample.items()})
    )
    assert learned > unary["mIoU"] + 0.02


def test_unaries_are_varied_with_their_image(root: Path) -> None:
    """A unary that is the truth stays on its pixels, and what was added says nothing."""
    write_unaries(root)
    task = recipe(root, None).task()
    task.unaries = lambda item_id, size: (
        torch.nn.functional.one_hot(blob(int(item_id)).labels.clamp(max=1), 2).permute(2, 0, 1).float()
    )
    for seed in range(5):
        sample = task.train_sample(1, torch.Generator().manual_seed(seed))
        assert sample["unary"].shape == (2, 24, 32)
        assert sample["image"].shape == (3, 24, 32)
        for label in (0, 1):
            there = sample["labels"] == label
            assert float((sample["unary"].argmax(0)[there] == label).double().mean()) > 0.95


def test_nothing_to_begin_with_and_a_crf_where_a_network_belongs(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected --init .* or a folder unary\* in the data .* got none"):
        recipe(root, None).task()
    plan = NetworkPlan(classes=CLASSES, network="none", crf=(1,))
    write_weights(tmp_path / "crf.safetensors", plan.build().state_dict(), plan.header())
    with pytest.raises(DataError, match=r"got weights of a CRF without a network, expected a network's"):
        Recipe(kind="pacfcn", init=(str(tmp_path / "crf.safetensors"),)).plan(CLASSES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": (1,), "other_crf": "full"}, "expected one of them"),
        ({"network": "none"}, "got neither a network nor a CRF"),
        ({"network": "none", "crf": (1,), "guide_scale": 0.1}, "got a guide scale without a network"),
    ],
)
def test_plans_that_are_of_nothing(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkPlan(classes=CLASSES, **options)  # type: ignore[arg-type]
