"""The tables of the suite `operators`: counts by hand, and calls that are what the tables say."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from pacbench.backends.unfold import UnfoldBackend
from pacbench.suites.operators.cases import CASES, CASES_OF_PROFILE, KERNEL_PREDICTION, SMALL_CASES
from pacbench.suites.operators.models import MODELS, SMALL_MODELS
from pacbench.suites.operators.workload import pac_operator, plain_operator, tensors, timed_call

BY_NAME = {case.name: case for case in CASES + SMALL_CASES}


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("W1", 2 * 32 * 32 * 25 * 256 * 256),
        ("W2", 2 * 64 * 64 * 9 * 128 * 128),
        ("W3", 5 * 2 * 21 * 21 * 25 * 375 * 500),
        ("W4", 2 * 21 * 25 * 375 * 500),
        ("W4b", 2 * 21 * 121 * 375 * 500),
        # Along an axis 128 inputs x 5 taps = 640 products, three of which fall outside the 256 outputs.
        ("W5", 2 * 32 * 32 * 637 * 637),
    ],
)
def test_operations_are_those_counted_by_hand(name, forward):
    assert BY_NAME[name].flops("forward") == forward
    assert BY_NAME[name].flops("forward_backward") == 3 * forward


def test_plain_average_pooling_only_adds():
    assert BY_NAME["W4"].plain_twin.flops("forward") == 21 * 25 * 375 * 500
    assert BY_NAME["W1"].plain_twin.flops("forward") == BY_NAME["W1"].flops("forward")


def test_bytes_are_those_counted_by_hand():
    pixels = 128 * 128
    arguments = 64 * pixels + 16 * pixels + 64 * 64 * 9 + 64
    output = 64 * pixels
    assert BY_NAME["W2"].compulsory_bytes("forward") == 4 * (arguments + output)
    assert BY_NAME["W2"].compulsory_bytes("forward_backward") == 4 * (2 * (arguments + output) + arguments)


def test_no_gradient_to_the_guide_is_counted_where_there_is_none():
    case = BY_NAME["W3"]
    arguments, guide, output = 21 * 187500 + 3 * 187500 + 21 * 21 * 25 + 21, 3 * 187500, 21 * 187500
    assert case.compulsory_bytes("forward_backward") == 4 * (2 * (arguments + output) + arguments - guide)


def test_kernel_prediction_is_counted_by_hand_and_reads_its_filters():
    pixels = 375 * 500
    assert KERNEL_PREDICTION.flops("forward") == 2 * 21 * 25 * pixels
    assert KERNEL_PREDICTION.compulsory_bytes("forward") == 4 * (21 + 25 + 21) * pixels
    assert KERNEL_PREDICTION.differentiated == ("input", "kernel")
    assert KERNEL_PREDICTION.plain_twin.shapes == {"input": (1, 21, 375, 500)}


def test_kernel_prediction_is_the_sum_that_it_names():
    case = next(case for case in CASES_OF_PROFILE["quick"] if case.name == "KP-small")
    given = tensors(case)
    filters = given["kernel"].flatten(2, 3)
    torch.testing.assert_close(filters.sum(2), torch.ones(1, 1, *case.image))
    columns = F.unfold(given["input"], 5, padding=2).view(1, 21, 25, *case.image)
    torch.testing.assert_close(pac_operator(case, given, UnfoldBackend()), (columns * filters).sum(2))


def test_shapes_are_those_of_the_workloads():
    shapes = {case.name: (case.shapes["input"], case.shapes["guide"], case.output_shape) for case in CASES}
    assert shapes == {
        "W1": ((1, 32, 256, 256), (1, 16, 256, 256), (1, 32, 256, 256)),
        "W2": ((1, 64, 128, 128), (1, 16, 128, 128), (1, 64, 128, 128)),
        "W3": ((1, 21, 375, 500), (1, 3, 375, 500), (1, 21, 375, 500)),
        "W4": ((1, 21, 375, 500), (1, 3, 375, 500), (1, 21, 375, 500)),
        "W4b": ((1, 21, 375, 500), (1, 3, 375, 500), (1, 21, 375, 500)),
        "W5": ((1, 32, 128, 128), (1, 16, 256, 256), (1, 32, 256, 256)),
    }
    assert BY_NAME["W3"].window.dilation == (32, 32)
    assert BY_NAME["W3"].messages == 5


@pytest.mark.parametrize("case", CASES + SMALL_CASES, ids=lambda case: case.name)
def test_taps_inside_the_image_are_those_that_a_convolution_of_ones_meets(case):
    window, ones = case.window, torch.ones(1, 1, *case.image)
    weight = torch.ones(1, 1, *window.kernel_size)
    if window.transposed:
        met = F.conv_transpose2d(ones, weight, None, window.stride, window.padding, window.output_padding)
        assert case.share_of_taps_inside == 1
        assert case.flops("forward") == 2 * 32 * 32 * float(met.sum(dtype=torch.float64))
    else:
        met = F.conv2d(ones, weight, None, window.stride, window.padding, window.dilation)
        taps = weight.numel() * met.numel()
        assert case.share_of_taps_inside == pytest.approx(float(met.sum(dtype=torch.float64)) / taps)


@pytest.mark.parametrize("case", SMALL_CASES, ids=lambda case: case.name)
def test_a_constant_guide_makes_the_plain_operator(case):
    given = tensors(case) | {"guide": torch.zeros(case.shapes["guide"])}
    expected = dict(given)
    if case.window.transposed:
        expected["weight"] = given["weight"].flip(2, 3)
    plain = plain_operator(case, expected)
    if case.pooling:
        plain = plain * case.window.kernel_size[0] * case.window.kernel_size[1]
    output = pac_operator(case, given, UnfoldBackend())
    assert tuple(output.shape) == case.output_shape
    torch.testing.assert_close(output, plain, rtol=1e-4, atol=1e-4)


def test_the_guide_matters():
    case = BY_NAME["W2-small"]
    given = tensors(case)
    assert not torch.allclose(pac_operator(case, given, UnfoldBackend()), plain_operator(case, given), atol=1e-2)


def test_forward_is_timed_without_and_backward_with_gradients():
    case = replace(BY_NAME["W2-small"], image=(8, 9))
    seen = []

    def run(given):
        seen.append({name: torch.is_grad_enabled() and tensor.requires_grad for name, tensor in given.items()})
        return pac_operator(case, given, UnfoldBackend())

    timed_call(run, case, "forward", tensors(case))()
    output = timed_call(run, case, "forward_backward", tensors(case))()
    assert seen == [dict.fromkeys(case.shapes, False), dict.fromkeys(case.shapes, True)]
    assert not output.requires_grad


def test_the_quick_profile_times_the_same_operators_on_smaller_images():
    quick, standard = CASES_OF_PROFILE["quick"], CASES_OF_PROFILE["standard"]
    assert [case.name for case in quick] == [f"{case.name}-small" for case in standard]
    for small, case in zip(quick, standard, strict=True):
        assert (small.operator, small.channels, small.outputs, small.guide_channels, small.messages) == (
            case.operator, case.channels, case.outputs, case.guide_channels, case.messages,
        )  # fmt: skip
        assert small.window.kernel_size == case.window.kernel_size
        assert small.flops("forward") < case.flops("forward") / 10


def test_whole_crfs_are_of_the_size_that_users_have():
    shapes = {model.name: (model.shapes["unary"], model.output_shape) for model in MODELS}
    assert set(shapes.values()) == {((1, 21, 375, 500), (1, 21, 375, 500))}
    names = ["pac_crf_32", "pac_crf_16_64", "conv_crf_11", "conv_crf_7", "full_crf", "bcl_crf", "full_crf_pydensecrf2"]
    assert list(shapes) == names
    assert [model.name for model in SMALL_MODELS] == [f"{name}-small" for name in shapes]


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("pac_crf_32", 5 * 2 * 21 * 21 * 25 * 375 * 500),
        ("pac_crf_16_64", 2 * 5 * 2 * 21 * 21 * 25 * 375 * 500),
        ("conv_crf_11", 5 * 2 * 21 * 121 * 94 * 125),
        ("conv_crf_7", 5 * 2 * 21 * 49 * 94 * 125),
        ("full_crf", None),
        ("bcl_crf", None),
        ("full_crf_pydensecrf2", None),
    ],
)
def test_operations_of_whole_crfs_are_those_of_their_messages(name, forward):
    (model,) = (model for model in MODELS if model.name == name)
    assert model.flops("forward") == forward
    learned = ("pac_crf_32", "pac_crf_16_64", "full_crf", "bcl_crf")
    assert ("forward_backward" in model.directions) == (name in learned)


@pytest.mark.parametrize("model", [model for model in SMALL_MODELS if model.messages], ids=lambda m: m.name)
def test_a_whole_crf_updates_the_unary(model):
    given = model.tensors()
    output = model.run(UnfoldBackend())(given)
    assert tuple(output.shape) == model.output_shape
    assert not torch.allclose(output, given["unary"], atol=1e-2)
    assert torch.equal(output, model.run(UnfoldBackend())(model.tensors())), "the same in every process"


def test_gradients_of_a_pac_crf_reach_the_unary_and_every_filter_but_not_the_guide():
    (model,) = (model for model in SMALL_MODELS if model.name == "pac_crf_16_64-small")
    assert model.differentiated == ("unary", "weight_0", "weight_1")
    leaves = {name: tensor.requires_grad_(name != "guide") for name, tensor in model.tensors().items()}
    gradients = torch.autograd.grad(model.run(UnfoldBackend())(leaves).sum(), [leaves[n] for n in model.differentiated])
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
