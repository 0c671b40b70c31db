"""FCN-8s and the small FCN: published names and sizes, crops, upsampling, PacFCN."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from pacbench.data.weights import load_weights
from pacbench.models import FCN8s, NetworkWithCRF, SmallFCN, pac_crf, pac_fcn
from pacbench.models.bilinear import fill_bilinear
from pacbench.models.small_fcn import parameter_count
from pacbench.registry import get_backend

VGG = {"conv1": (3, 64, 64), "conv2": (64, 128, 128), "conv3": (128, 256, 256, 256), "conv4": (256, 512, 512, 512)}
VGG["conv5"] = (512, 512, 512, 512)


def published_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published weights, written down from the paper's network."""
    shapes: dict[str, tuple[int, ...]] = {}
    for stage, widths in VGG.items():
        for number, (before, after) in enumerate(itertools.pairwise(widths), start=1):
            shapes[f"{stage}_{number}.weight"] = (after, before, 3, 3)
            shapes[f"{stage}_{number}.bias"] = (after,)
    tops = {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1), "score_fr": (classes, 4096, 1, 1)}
    tops |= {"score_pool3": (classes, 256, 1, 1), "score_pool4": (classes, 512, 1, 1)}
    for name, shape in tops.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]
    for name, size in {"upscore2": 4, "upscore8": 16, "upscore_pool4": 4}.items():
        shapes[f"{name}.weight"] = (classes, classes, size, size)
    return shapes


def test_fcn8s_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        model = FCN8s(21)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == published_shapes(21)


@pytest.fixture(scope="module")
def thin_fcn8s() -> FCN8s:
    """FCN-8s with fc6 and fc7 of 8 channels: the same geometry for a hundredth of the work."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = FCN8s(3)
    model.fc6, model.fc7, model.score_fr = nn.Conv2d(512, 8, 7), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 3, 1)
    empty = model.to_empty(device="cpu")
    empty.bgr_mean = torch.tensor((104.00698793, 116.66876762, 122.67891434))[:, None, None]
    empty._reset_parameters()
    return empty.eval()


def test_published_weights_load_from_a_pth_file(thin_fcn8s: FCN8s, tmp_path: Path) -> None:
    weights = {name: torch.randn_like(value) for name, value in thin_fcn8s.state_dict().items()}
    torch.save(weights, tmp_path / "fcn8s.pth")
    loaded = load_weights(tmp_path / "fcn8s.pth")
    before = {name: value.clone() for name, value in thin_fcn8s.state_dict().items()}
    assert not any(thin_fcn8s.load_state_dict(loaded))
    assert torch.equal(thin_fcn8s.conv3_2.weight, weights["conv3_2.weight"])
    thin_fcn8s.load_state_dict(before)


@pytest.mark.parametrize("size", [(33, 50), (64, 40)])
def test_fcn8s_scores_lie_where_their_pixels_are(thin_fcn8s: FCN8s, size: tuple[int, int]) -> None:
    """A bright square moves the score of pool 3 most where it lies: the crops fit the padding of 100."""
    image = torch.zeros(1, 3, *size)
    state = {name: value.clone() for name, value in thin_fcn8s.state_dict().items()}
    with torch.no_grad():
        nn.init.constant_(thin_fcn8s.score_pool3.weight, 1.0)
        for name in ("score_pool4", "score_fr"):
            nn.init.zeros_(getattr(thin_fcn8s, name).weight)
        row, column = 20, 28
        bright = image.clone()
        bright[:, :, row - 2 : row + 2, column - 2 : column + 2] = 255
        change = (thin_fcn8s(bright) - thin_fcn8s(image)).abs().sum(1)[0]
    thin_fcn8s.load_state_dict(state)
    assert change.shape == size
    grid = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    centre = [float((change * axis).sum() / change.sum()) for axis in grid]
    assert abs(centre[0] - row) < 4
    assert abs(centre[1] - column) < 4


def test_fcn8s_takes_rgb_and_subtracts_the_mean_in_bgr(thin_fcn8s: FCN8s) -> None:
    seen: list[torch.Tensor] = []
    handle = thin_fcn8s.conv1_1.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        thin_fcn8s(torch.tensor([1.0, 2.0, 3.0])[None, :, None, None].expand(1, 3, 9, 9))
    handle.remove()
    expected = torch.tensor([3 - 104.00698793, 2 - 116.66876762, 1 - 122.67891434])
    torch.testing.assert_close(seen[0][0, :, 4, 4], expected)


@pytest.mark.parametrize("factor", [2, 8])
def test_bilinear_filter_interpolates(factor: int) -> None:
    layer = nn.ConvTranspose2d(2, 2, 2 * factor, factor, factor // 2, bias=False)
    fill_bilinear(layer)
    values = torch.randn(1, 2, 5, 6)
    expected = F.interpolate(values, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(factor, -factor)
    torch.testing.assert_close(layer(values)[..., inner, inner], expected[..., inner, inner])
    grouped = nn.ConvTranspose2d(2, 2, 2 * factor, factor, factor // 2, bias=False, groups=2)
    fill_bilinear(grouped)
    torch.testing.assert_close(grouped(values), layer(values))
    with pytest.raises(ValueError, match="fill_bilinear: got kernel_size"):
        fill_bilinear(nn.ConvTranspose2d(2, 3, 4))


def test_small_fcn_has_about_0_6_million_parameters() -> None:
    assert 0.55e6 < parameter_count(SmallFCN(11)) < 0.65e6


@pytest.mark.parametrize("size", [(180, 240), (37, 65), (9, 11)])
def test_small_fcn_takes_any_size(size: tuple[int, int]) -> None:
    assert SmallFCN(5, width=4).eval()(torch.rand(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize("backend", ["unfold", "native"])
@pytest.mark.parametrize("published", [False, True], ids=["small", "fcn8s"])
def test_pac_fcn_begins_as_the_network_it_was(published: bool, backend: str, thin_fcn8s: FCN8s) -> None:
    if reasons := get_backend(backend).unavailable_reasons():
        pytest.skip("; ".join(map(str, reasons)))
    torch.manual_seed(0)
    network = (copy.deepcopy(thin_fcn8s) if published else SmallFCN(4, width=8).eval()).double()
    if published:  # whose scores start as zero
        for layer in (network.score_fr, network.score_pool4, network.score_pool3):
            nn.init.normal_(layer.weight, std=1e-3)
    image = torch.rand(1, 3, 48, 64, dtype=torch.float64) * 255
    swapped = pac_fcn(network, guide_scale=0.0, backend=backend)
    assert [type(getattr(swapped, name)).__name__ for name in ("conv3_3", "conv4_3", "conv5_3")] == [
        "SwappedConv2d"
    ] * 3
    with torch.no_grad():
        assert network(image).abs().max() > 0.1
        torch.testing.assert_close(swapped(image), network(image), rtol=0, atol=1e-10)
        moved = pac_fcn(network, guide_scale=1.0, backend=backend)
        assert (moved(image) - network(image)).abs().max() > 1e-2
    assert swapped.state_dict().keys() == network.state_dict().keys()


def test_pac_fcn_scales_are_of_the_network(thin_fcn8s: FCN8s) -> None:
    assert pac_fcn(thin_fcn8s).conv3_3.source.scale == 1e-4
    assert pac_fcn(SmallFCN(2, width=2)).conv3_3.source.scale == 0.1


def test_network_with_crf_trains_both() -> None:
    torch.manual_seed(0)
    model = NetworkWithCRF(pac_fcn(SmallFCN(3, width=2)), pac_crf(3, (2, 4)))
    scores = model(torch.rand(1, 3, 20, 24) * 255)
    assert scores.shape == (1, 3, 20, 24)
    scores.square().mean().backward()
    named = dict(model.named_parameters())
    for name in ("network.conv3_3.weight", "network.conv1_1.weight", "crf.messengers.1.weight", "crf.unary_weight"):
        assert float(named[name].grad.abs().sum()) > 0
