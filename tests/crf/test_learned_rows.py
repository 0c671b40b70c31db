"""Trained CRFs as rows of the suite `crf`: whose weights a row takes, what it gives, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.data.voc2012 import CLASS_NAMES
from pacbench.models import CRFOnUnary, NetworkWithCRF
from pacbench.models.network_plan import NetworkPlan
from pacbench.records import CaseRecord, read_lines
from pacbench.registry import get_backend
from pacbench.suites.crf.learned import NoWeightsError, learned_crf
from pacbench.suites.crf.methods import METHODS, Method
from pacbench.training.outcome import write_weights

CLASSES = ("a", "b", "c")
LEARNED = {method.name: method for method in METHODS if method.trained_by}
ROW_OF = {
    "full_crf_learned": {"other_crf": "full"},
    "bcl_crf_learned": {"other_crf": "bcl"},
    "conv_crf_11_learned": {"other_crf": "conv_11"},
    "conv_crf_7_learned": {"other_crf": "conv_7"},
    "pac_crf_32_learned": {"crf": (32,)},
    "pac_crf_16_64_learned": {"crf": (16, 64)},
    "pac_crf_other_learned": {"crf": (2, 4)},
}
each_row = pytest.mark.parametrize("name", list(ROW_OF))


def plan_of(name: str, classes: tuple[str, ...] = CLASSES, network: str = "none") -> NetworkPlan:
    return NetworkPlan(classes=classes, network=network, width=2, **ROW_OF[name])  # type: ignore[arg-type]


def written(folder: Path, name: str, plan: NetworkPlan, seed: int = 0) -> tuple[Path, CRFOnUnary]:
    """Weights that no training ends with, so that a row that ignores them is found out."""
    model = plan.build("unfold").eval()
    assert isinstance(model, CRFOnUnary)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.crf.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    path = folder / f"{name}.safetensors"
    write_weights(path, model.state_dict(), plan.header())
    return path, model


def needs_what_it_runs_on(method: Method) -> None:
    if reasons := method.unavailable_reasons():
        pytest.skip("; ".join(reasons))


def test_there_is_a_row_for_everything_that_is_trained() -> None:
    assert LEARNED.keys() == ROW_OF.keys()
    for name in ROW_OF:
        assert [method.name for method in METHODS if method.takes(plan_of(name))] == [name]
    assert not any(method.takes(NetworkPlan(classes=CLASSES)) for method in METHODS)


@each_row
def test_a_row_is_the_crf_as_it_was_trained(name: str, tmp_path: Path) -> None:
    method = LEARNED[name]
    needs_what_it_runs_on(method)
    others = [written(tmp_path, other, plan_of(other))[0] for other in ("pac_crf_other_learned", "conv_crf_7_learned")]
    path, model = written(tmp_path, name, plan_of(name), seed=5)
    weights = [other for other in others if other != path] + [path]
    found = learned_crf(method, weights, None, CLASSES)
    assert found.path == path
    inference = found.inference("cpu", get_backend("unfold"))
    image = 255 * torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    unary = torch.randn(1, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        result, expected = inference.steps(unary, inference.kernel(image)), model(image, unary)
        untrained = plan_of(name).build("unfold")(image, unary)
    torch.testing.assert_close(result, expected)
    assert (result - untrained).abs().max() > 1e-2


def test_without_weights_a_row_says_what_makes_them(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "other", plan_of("pac_crf_other_learned"))
    with pytest.raises(NoWeightsError, match=r"as made by `pacbench train crf --dilations 32`"):
        learned_crf(LEARNED["pac_crf_32_learned"], [path], None, CLASSES)
    with pytest.raises(NoWeightsError, match=r"as made by `pacbench train crf --crf full`"):
        learned_crf(LEARNED["full_crf_learned"], [], None, CLASSES)
    with pytest.raises(DataError, match=r"other.safetensors: got weights for 3 classes, expected the data's 2"):
        learned_crf(LEARNED["pac_crf_other_learned"], [path], None, CLASSES[:2])


def test_learned_rows_are_shown_only_where_there_are_weights_for_them_or_they_are_named(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "given", plan_of("conv_crf_7_learned"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    tuned = [method.name for method in METHODS if not method.trained_by]

    def shown(*options: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
        command += ["-c", str(tmp_path / "pytest.ini"), "--pyargs", "pacbench.suites.crf", "--pacbench-backend=unfold"]
        (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        ended = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout
        found = re.findall(r"test_quality\[unfold-(\w+)\]|test_quality\[(\w+?)(?:-unfold)?\]", ended.stdout)
        return [one or other for one, other in found]

    assert shown() == shown(f"--pacbench-weights={broken}") == tuned
    assert shown(f"--pacbench-weights={path}") == [*tuned, "conv_crf_7_learned"]
    assert shown("--pacbench-methods=unary,pac_crf_32_learned") == ["unary", "pac_crf_32_learned"]


def test_a_crf_is_a_row_on_the_unaries_that_it_was_trained_on_only(tmp_path: Path) -> None:
    method, plan = LEARNED["pac_crf_other_learned"], plan_of("pac_crf_other_learned", network="small")
    joint, with_joint = written(tmp_path, "joint", plan, seed=1)
    frozen, model = written(tmp_path, "frozen", plan, seed=2)
    assert isinstance(model, NetworkWithCRF)
    assert isinstance(with_joint, NetworkWithCRF)
    assert learned_crf(method, [joint, frozen], model.network, CLASSES).path == frozen
    assert learned_crf(method, [joint, frozen], with_joint.network, CLASSES).path == joint
    for network in (None, NetworkPlan(classes=CLASSES, width=4).build()):
        with pytest.raises(DataError, match=r"frozen.safetensors: got a CRF whose network .* row of hot_swapping"):
            learned_crf(method, [joint, frozen], network, CLASSES)


def test_the_suite_runs_a_learned_row_on_unaries_from_files(voc: Path) -> None:
    name = "pac_crf_other_learned"
    path, _ = written(voc, "trained", plan_of(name, tuple(CLASS_NAMES)))
    output = voc / "run"
    output.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pacbench.suites.crf"]
    options = {"backend": "unfold", "output": output, "job": "job", "data-root": voc, "weights": path}
    options |= {"methods": f"unary,{name},pac_crf_32_learned"}
    command += [f"--pacbench-{option}={value}" for option, value in options.items()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=output, env=environment, capture_output=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout.decode()
    lines = read_lines(output / "records" / "job.jsonl")
    records = {line.case.split("::")[1]: line for line in lines if isinstance(line, CaseRecord)}
    quality = records[f"test_quality[{name}]"]
    assert 0 <= quality.metrics["miou"] <= 1
    assert quality.metrics["miou_gain_low"] <= quality.metrics["miou_gain_high"]
    assert not quality.parameters
    assert any(note.endswith("trained.safetensors") for note in quality.notes)
    for part in ("kernel", "steps", "total"):
        assert len(records[f"test_time[{name}-{part}]"].samples_s) >= 3
    for case in ("test_quality[pac_crf_32_learned]", "test_time[pac_crf_32_learned-total]"):
        assert records[case].outcome == "skipped"
        assert "no weights for this row" in (records[case].reason or "")
