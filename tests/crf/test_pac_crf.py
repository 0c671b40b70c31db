from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from pacbench.compat import paccrf
from pacbench.nn.pac_crf import PacCRF, PacCRFLoose

FOUR = [
    {"kernel_size": 5, "dilation": 16, "compat_type": "4d"},
    {"kernel_size": 3, "compat_type": "2d"},
    {"kernel_size": 3, "compat_type": "potts", "spatial_filter": False},
    {"kernel_size": 3, "compat_type": "na"},
]


def test_state_dict_keys_are_the_references() -> None:
    keys = ["unary_weight", "compat.1.weight"]
    keys += [name for i in range(4) for name in (f"messengers.{i}.weight", f"pairwise_weights.{i}")]
    assert sorted(PacCRF(21, 5, pairwise_kernels=FOUR).state_dict()) == sorted(keys)
    loose = [f"steps.{t}.{key}" for t in range(2) for key in keys]
    assert sorted(PacCRFLoose(21, 2, pairwise_kernels=FOUR).state_dict()) == sorted(loose)
    fixed = PacCRF(21, 5, fixed_weighting=True, pairwise_kernels=FOUR[0])
    assert sorted(fixed.state_dict()) == ["messengers.0.weight", "pairwise_weights.0"]


def test_shapes_and_starting_values() -> None:
    state = PacCRF(4, 5, perturbed_init=False, unary_weight=0.7, pairwise_kernels=FOUR).state_dict()
    assert state["messengers.0.weight"].shape == (4, 4, 5, 5)
    assert state["messengers.1.weight"].shape == (1, 1, 3, 3)
    assert float(state["unary_weight"]) == pytest.approx(0.7)
    four = state["messengers.0.weight"]
    assert torch.count_nonzero(four[:, :, 2, 2]) == 0
    assert torch.count_nonzero(four.diagonal(dim1=0, dim2=1)) == 0
    line = torch.exp(-0.5 * (torch.arange(-2, 3) / 1.25) ** 2)
    gaussian = torch.outer(line, line) / line.sum() ** 2 * 25
    torch.testing.assert_close(four[0, 1, 0], gaussian[0])
    assert state["messengers.2.weight"].flatten().tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    torch.testing.assert_close(state["compat.1.weight"][:, :, 0, 0], 1 - torch.eye(4))
    assert float(state["pairwise_weights.2"]) == -1.0  # Potts: the sign is flipped


def test_perturbed_start_is_near_the_unperturbed() -> None:
    torch.manual_seed(0)
    crfs = (PacCRF(4, 5, perturbed_init=flag, pairwise_kernels=FOUR[:2]) for flag in (True, False))
    perturbed, exact = (crf.state_dict() for crf in crfs)
    for key in ("messengers.0.weight", "messengers.1.weight", "compat.1.weight"):
        difference = (perturbed[key] - exact[key]).abs()
        assert 0 < float(difference.max()) <= 0.000501


def test_reset_restores_the_starting_values() -> None:
    crf = PacCRF(3, 2, perturbed_init=False, pairwise_kernels=FOUR[:3])
    start = copy.deepcopy(crf.state_dict())
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.add_(1.0)
    crf.reset_parameters()
    for key, value in crf.state_dict().items():
        torch.testing.assert_close(value, start[key])


def test_edge_features_once_in_a_sequence_or_by_index() -> None:
    torch.manual_seed(0)
    crf = PacCRF(3, 2, pairwise_kernels=[{"blur": 2}, {"dilation": 2}], backend="unfold")
    unary, features = torch.randn(1, 3, 7, 9), torch.randn(1, 3, 7, 9)
    given: dict[int, torch.Tensor] = {0: features, 1: features}
    expected = crf(unary, features)
    assert torch.equal(crf(unary, [features, features]), expected)
    assert torch.equal(crf(unary, given), expected)
    assert list(given) == [0, 1]
    assert given[0] is features


def test_one_kernel_for_all() -> None:
    torch.manual_seed(0)
    crf = PacCRF(3, 2, pairwise_kernels=[{}, {"pairwise_weight": 0.5}], backend="unfold")
    unary, features = torch.randn(1, 3, 7, 9), torch.randn(1, 3, 7, 9)
    kernels = crf.compute_edge_kernels(features)
    assert kernels[0] is kernels[1]
    assert kernels[0] is not None
    assert torch.equal(crf(unary, None, kernels[0]), crf(unary, features))


def test_steps_continue_from_log_q() -> None:
    torch.manual_seed(0)
    twice, once = (PacCRF(3, steps, pairwise_kernels={}, backend="unfold") for steps in (2, 1))
    once.load_state_dict(twice.state_dict())
    unary, features = torch.randn(1, 3, 7, 9), torch.randn(1, 3, 7, 9)
    torch.testing.assert_close(once(unary, features, logQ=once(unary, features)), twice(unary, features))


def test_final_outputs() -> None:
    torch.manual_seed(0)
    unary, features = torch.randn(1, 3, 7, 9), torch.randn(1, 3, 7, 9)
    results = {}
    for output in ("log_Q", "softmax", "log_softmax"):
        crf = PacCRF(3, 2, output, perturbed_init=False, pairwise_kernels={}, backend="unfold")
        results[output] = crf(unary, features)
    torch.testing.assert_close(results["softmax"], results["log_Q"].softmax(1))
    torch.testing.assert_close(results["log_softmax"], results["log_Q"].log_softmax(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, r"PacCRF: got channels=0, expected at least 1"),
        ({"num_steps": -1}, r"PacCRF: got num_steps=-1, expected at least 0"),
        ({"final_output": "logits"}, r"PacCRF: got final_output='logits', expected one of 'log_Q'"),
        ({"pairwise_kernels": {"kernel_size": 4}}, r"PacCRF: got kernel_size=4, expected an odd positive number"),
        ({"pairwise_kernels": {"blur": 0}}, r"PacCRF: got blur=0, expected at least 1"),
        ({"pairwise_kernels": [{"dilation": 0}]}, r"PacCRF: got dilation=0, expected at least 1"),
        ({"pairwise_kernels": {"compat_type": "3d"}}, r"PacCRF: got compat_type='3d', expected one of '4d', '2d', 'po"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PacCRF(**({"channels": 3, "num_steps": 2} | options))


def test_bad_shapes() -> None:
    crf = PacCRF(3, 2, pairwise_kernels=[{"blur": 2}, {}], backend="unfold")
    unary, features = torch.zeros(1, 3, 6, 8), torch.zeros(1, 2, 6, 8)
    with pytest.raises(ValueError, match=r"PacCRF: unary is \(1, 4, 6, 8\), expected \(N, 3, H, W\)"):
        crf(torch.zeros(1, 4, 6, 8), features)
    with pytest.raises(ValueError, match=r"edge features of kernel 0 are \(1, 2, 3, 4\), expected \(1, G, 6, 8\)"):
        crf(unary, torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match="got no edge features"):
        crf(unary, None)
    with pytest.raises(ValueError, match=r"got edge features for kernels \[0\], expected one for each of the 2"):
        crf(unary, [features])
    with pytest.raises(ValueError, match=r"logQ is \(1, 3, 6, 7\), expected \(1, 3, 6, 8\)"):
        crf(unary, features, logQ=torch.zeros(1, 3, 6, 7))
    with pytest.raises(ValueError, match="got 1 edge kernels, expected 2"):
        crf(unary, None, [torch.zeros(1, 1, 3, 3, 6, 8)])
    with pytest.raises(ValueError, match=r"edge kernel 0 is \(1, 1, 3, 3, 6, 8\), expected \(1, 1, 3, 3, 3, 4\)"):
        crf(unary, None, torch.zeros(1, 1, 3, 3, 6, 8))


def test_inputs_are_not_modified() -> None:
    crf = PacCRF(3, 2, pairwise_kernels=[{"blur": 2}, {}], backend="unfold")
    unary, features = torch.randn(1, 3, 6, 8), torch.randn(1, 2, 6, 8)
    before = unary.clone(), features.clone()
    crf(unary, features)
    assert torch.equal(unary, before[0])
    assert torch.equal(features, before[1])


def test_compat_module_has_the_references_signature() -> None:
    assert set(paccrf.__all__) == {"PacCRF", "PacCRFLoose", "create_YXRGB", "create_position_feats"}
    for kind in (paccrf.PacCRF, paccrf.PacCRFLoose):
        crf = kind(3, 2, "softmax", False, True, True, 0.5, {"kernel_size": 3, "dilation": 2})
        result = crf(torch.randn(1, 3, 6, 8), torch.randn(1, 2, 6, 8))
        torch.testing.assert_close(result.sum(1), torch.ones(1, 6, 8))
        assert crf.num_pairwise_kernels() == 1
        crf.add_pairwise_kernel(kernel_size=3, blur=2, compat_type="potts")
        assert crf.num_pairwise_kernels() == 2


def test_a_loose_crf_with_equal_steps_is_the_tied_one() -> None:
    torch.manual_seed(0)
    tied = PacCRF(3, 3, pairwise_kernels=FOUR[1:], backend="unfold")
    loose = PacCRFLoose(3, 3, pairwise_kernels=FOUR[1:], backend="unfold")
    for step in loose.steps:
        step.load_state_dict(tied.state_dict())
    unary, features = torch.randn(2, 3, 7, 9), torch.randn(2, 3, 7, 9)
    torch.testing.assert_close(loose(unary, features), tied(unary, features))


def test_empty_batch() -> None:
    crf = PacCRF(3, 2, pairwise_kernels=[{"blur": 2}, {}], backend="unfold")
    assert crf(torch.zeros(0, 3, 6, 8), torch.zeros(0, 2, 6, 8)).shape == (0, 3, 6, 8)


def test_the_options_are_printed() -> None:
    text = repr(PacCRF(3, 2, pairwise_kernels={"dilation": 4}))
    assert "channels=3, num_steps=2, final_output='log_Q'" in text
    assert "dilation=4" in text
