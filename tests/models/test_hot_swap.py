"""hot_swap: any model, weights kept, guides from an earlier layer, at the right place and size."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from pacbench.nn import hot_swap
from pacbench.nn.guide_source import resized

IMAGE = (2, 3, 17, 22)


class Branches(nn.Module):
    """Convolutions of several kinds, a strided and a transposed one among them, and a guide that is finer."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.plain = nn.Conv2d(4, 6, 3, padding=1)
        self.strided = nn.Conv2d(6, 6, 5, stride=2, padding=2, bias=False)
        self.dilated = nn.Conv2d(6, 6, 3, padding="same", dilation=2)
        self.point = nn.Conv2d(6, 4, 1)
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=(0, 1))
        self.grouped = nn.Conv2d(4, 4, 3, groups=2)
        self.even = nn.Conv2d(4, 4, 2)
        self.far = nn.Conv2d(4, 4, 3, padding=5)
        self.mirrored = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.beside = nn.ConvTranspose2d(4, 4, 3, padding=0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.pool(self.early(image))
        features = torch.relu(self.strided(torch.relu(self.plain(features))))
        return self.up(self.point(torch.relu(self.dilated(features))))


LAYERS = ("plain", "strided", "dilated", "point", "up")


@pytest.fixture
def model() -> Branches:
    torch.manual_seed(0)
    return Branches().double()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(IMAGE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backend", ["unfold", "native"])
@pytest.mark.parametrize("layers", [LAYERS, *[(layer,) for layer in LAYERS]], ids="-".join)
def test_a_constant_guide_changes_nothing(model, image, layers, backend) -> None:
    swapped = hot_swap(model, layers, guide="early", guide_scale=0.0, backend=backend)
    torch.testing.assert_close(swapped(image), model(image), rtol=0, atol=1e-10)
    with torch.no_grad():  # any other constant, not only 0
        for parameter in (swapped.early[0].weight, model.early[0].weight):
            parameter.zero_()
        for parameter in (swapped.early[0].bias, model.early[0].bias):
            parameter.fill_(2.5)
        for name in layers:
            getattr(swapped, name).source.scale = 1.0
    torch.testing.assert_close(swapped(image), model(image), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_guide_that_varies_changes_the_output(model, image, layer) -> None:
    swapped = hot_swap(model, [layer], guide="early", guide_scale=30.0)
    difference = float((swapped(image) - model(image)).detach().abs().max())
    if layer == "point":  # a window of one tap compares a pixel with itself: K is 1 whatever the guide is
        assert difference < 1e-10
    else:
        assert difference > 1e-3


def test_the_result_is_what_the_layer_gives_with_the_resized_guide(model, image) -> None:
    """By hand: guide of the pooled size, scaled after its in-place ReLU."""
    swapped = hot_swap(model, ["plain"], guide="early", guide_scale=2.0, backend="unfold")
    features = model.early(image)
    pooled = model.pool(features)
    guide = 2.0 * F.avg_pool2d(features, 2, ceil_mode=True)
    ones = F.unfold(guide, 3, padding=1).view(2, 4, 9, -1) - guide.flatten(2)[:, :, None]
    kernel = torch.exp(-0.5 * ones.square().sum(1))
    taps = F.unfold(pooled, 3, padding=1).view(2, 4, 9, -1) * kernel[:, None]
    by_hand = torch.einsum("nckp,ock->nop", taps, model.plain.weight.flatten(2)) + model.plain.bias[:, None]
    seen: list[torch.Tensor] = []
    swapped.plain.register_forward_hook(lambda *args: seen.append(args[2]))
    swapped(image)
    torch.testing.assert_close(seen[0].flatten(2), by_hand)


def test_weights_are_the_originals_and_either_state_dict_loads(model, image) -> None:
    swapped = hot_swap(model, LAYERS, guide="early", guide_scale=0.0)
    assert swapped.state_dict().keys() == model.state_dict().keys()
    fresh = Branches().double()
    swapped.load_state_dict(fresh.state_dict())
    torch.testing.assert_close(swapped(image), fresh(image))
    fresh.load_state_dict(hot_swap(model, LAYERS, guide="early").state_dict())
    torch.testing.assert_close(fresh(image), model(image))


def test_in_place_keeps_the_very_parameters(model) -> None:
    before = dict(model.named_parameters())
    state = torch.random.get_rng_state()
    assert hot_swap(model, LAYERS, guide="early", inplace=True) is model
    assert torch.equal(torch.random.get_rng_state(), state)
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(after[name] is parameter for name, parameter in before.items())


def test_a_copy_leaves_the_original_alone(model, image) -> None:
    expected = model(image)
    swapped = hot_swap(model, LAYERS, guide="early", guide_scale=1.0)
    with torch.no_grad():
        swapped.plain.weight.zero_()
    assert type(model.plain) is nn.Conv2d
    assert torch.equal(model(image), expected)


def test_mode_dtype_and_frozen_parameters_are_kept(model) -> None:
    model.plain.weight.requires_grad_(False)
    swapped = hot_swap(model.eval().float(), ["plain"], guide="early")
    assert not swapped.plain.training
    assert swapped.plain.weight.dtype == torch.float32
    assert not swapped.plain.weight.requires_grad


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_work_and_are_apart(model, image, how) -> None:
    swapped = hot_swap(model, LAYERS, guide="early", guide_scale=1.0)
    expected = swapped(image)
    if how == "deepcopy":
        other = copy.deepcopy(swapped)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(swapped))  # noqa: S301 - our own bytes
    else:
        file = io.BytesIO()
        torch.save(swapped, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    torch.testing.assert_close(other(image), expected)
    assert other.plain.source is other.up.source
    assert other.plain.source is not swapped.plain.source


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_reach_the_guide_unless_detached(image, detach) -> None:
    torch.manual_seed(0)
    net = nn.ModuleDict({"features": nn.Conv2d(3, 2, 1), "other": nn.Conv2d(3, 4, 3, padding=1)}).double()

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = net

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.parts["features"](image)
            return self.parts["other"](image)

    swapped = hot_swap(Two(), ["parts.other"], guide="parts.features", detach_guide=detach)
    swapped(image).square().sum().backward()
    gradient = swapped.parts["features"].weight.grad
    assert (gradient is None) if detach else float(gradient.abs().max()) > 1e-6


@pytest.mark.parametrize("backend", ["unfold", "native"])
def test_gradients_of_swapped_layers_are_numerical_ones(backend) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.ConvTranspose2d(2, 1, 3, padding=1)
    )
    swapped = hot_swap(model.double(), ["1", "2"], guide="0", backend=backend)
    names, values = zip(*swapped.named_parameters(), strict=True)

    def run(image: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(swapped, dict(zip(names, parameters, strict=True)), (image,))

    image = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (image, *values))


def test_no_tensor_outlives_its_pass(model, image) -> None:
    swapped = hot_swap(model, ["plain"], guide="early")
    swapped(image)
    assert swapped.plain.source.guide is None
    with pytest.raises(RuntimeError):
        swapped(image[:, :2])
    assert swapped.plain.source.guide is None


def test_a_guide_that_comes_later_is_an_error(model, image) -> None:
    swapped = hot_swap(model, ["plain"], guide="dilated")
    for _ in range(2):  # a second pass must not find the guide of the first
        with pytest.raises(RuntimeError, match=r"hot_swap: layer 'plain' runs before its guide 'dilated', expected"):
            swapped(image)


def test_a_shared_layer_is_replaced_under_all_its_names(image) -> None:
    shared = nn.Conv2d(3, 3, 3, padding=1)
    swapped = hot_swap(nn.Sequential(nn.Identity(), shared, nn.ReLU(), shared).double(), ["1"], guide="0")
    assert swapped[1] is swapped[3]
    assert type(swapped[3]).__name__ == "SwappedConv2d"
    swapped(image)


@pytest.mark.parametrize("layers", [("plain", "strided"), ("up",)], ids="-".join)
def test_compiled_without_a_graph_break(model, image, layers) -> None:
    swapped = hot_swap(model, layers, guide="early", guide_scale=1.0)
    torch._dynamo.reset()
    compiled = torch.compile(swapped, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(image), swapped(image))
    compiled(image).sum().backward()
    assert swapped.early[0].weight.grad is not None
    assert swapped.plain.weight.grad is not None


@pytest.mark.parametrize(
    ("layers", "guide", "message"),
    [
        (["plane"], "early", "got layer 'plane', expected one of early, early.0"),
        (["plain"], "earlier", "got guide 'earlier', expected one of early, early.0"),
        ([], "early", "got no layer, expected at least one name"),
        (["pool"], "early", "layer 'pool' is a MaxPool2d, expected an nn.Conv2d or nn.ConvTranspose2d"),
        (["grouped"], "early", "layer 'grouped' has 2 groups, expected 1"),
        (["even"], "early", r"layer 'even' has kernel_size \(2, 2\), expected odd sizes"),
        (["far"], "early", r"layer 'far' has padding \(5, 5\), expected at most half its window, \(1, 1\)"),
        (["mirrored"], "early", "layer 'mirrored' has padding_mode 'reflect', expected 'zeros'"),
        (["beside"], "early", r"transposed layer 'beside' has padding \(0, 0\), expected half its window, \(1, 1\)"),
        (["plain"], "plain", "guide 'plain' is itself to be swapped"),
    ],
)
def test_what_cannot_be_swapped_is_named(model, layers, guide, message) -> None:
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=f"^hot_swap: {message}"):
        hot_swap(model, layers, guide=guide, inplace=True)
    assert type(model.plain) is nn.Conv2d
    assert before.keys() == model.state_dict().keys()


def test_parametrized_and_swapped_layers_are_refused(model) -> None:
    torch.nn.utils.parametrizations.weight_norm(model.plain)
    with pytest.raises(ValueError, match=r"hot_swap: layer 'plain' .*expected"):
        hot_swap(model, ["plain"], guide="early")
    swapped = hot_swap(model, ["strided"], guide="early")
    with pytest.raises(ValueError, match="layer 'strided' is a SwappedConv2d, expected"):
        hot_swap(swapped, ["strided"], guide="early")


def test_a_guide_that_is_no_picture_is_an_error(image) -> None:
    net = nn.Sequential(nn.Identity(), nn.Conv2d(3, 3, 3, padding=1)).double()
    swapped = hot_swap(net, ["1"], guide="0")
    with pytest.raises(ValueError, match=r"hot_swap: guide '0' gives \(3, 17, 22\), expected a tensor \(N, G, H, W\)"):
        swapped(image[0])


def test_guides_are_pooled_as_the_network_pools() -> None:
    guide = torch.arange(35.0).reshape(1, 1, 5, 7)
    up = resized(guide, (3, 4))  # ceil: the last row and column are means of what is there
    assert up[0, 0].tolist()[0] == [4.0, 6.0, 8.0, 9.5]
    assert up[0, 0, 2].tolist() == [28.5, 30.5, 32.5, 34.0]
    assert torch.equal(resized(guide, (2, 3)), F.avg_pool2d(guide, 2))  # floor
    assert resized(guide, (5, 7)) is guide
    assert torch.equal(resized(guide, (4, 5)), F.adaptive_avg_pool2d(guide, (4, 5)))
    assert torch.equal(resized(guide, (10, 14)), F.interpolate(guide, (10, 14), mode="bilinear"))
