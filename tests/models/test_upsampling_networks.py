"""The networks for joint upsampling: published names and sizes, what they compute, and what they refuse."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation

from pacbench.backends.unfold import UnfoldBackend
from pacbench.models.deep_joint_filter import DJF, DJFWide
from pacbench.models.msg_net import MSGNet
from pacbench.models.pac_joint_upsample import PacJointUpsample, PacJointUpsampleLite
from pacbench.models.upsampling import NETWORKS, build_network


def random_filters(network, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, fan) ** 0.5)
    return network.double()


def inputs(factor, channels=1, guide_channels=3, size=(4, 5)):
    generator = torch.Generator().manual_seed(1)
    target = torch.rand((2, channels, *size), generator=generator, dtype=torch.float64)
    guide = torch.rand((2, guide_channels, *(factor * side for side in size)), generator=generator, dtype=torch.float64)
    return target, guide


def pac_by_definition(state, target, guide, factor, features):
    """Su et al., supplement: every layer written out on the state_dict's own names."""
    convolve = lambda x, name: F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=2)  # noqa: E731
    x = convolve(F.relu(convolve(F.relu(convolve(target, "branch_t.conv1")), "branch_t.conv2")), "branch_t.conv3")
    g = convolve(F.relu(convolve(F.relu(convolve(guide, "branch_g.conv1")), "branch_g.conv2")), "branch_g.conv3")
    steps = factor.bit_length() - 1
    for step in range(steps):
        own = g[:, step * features : (step + 1) * features]
        if step < steps - 1:
            own = F.interpolate(own, scale_factor=2.0 ** (step + 1) / factor, mode="bilinear", align_corners=False)
        weight, bias = state[f"up_convts.{step}.weight"], state[f"up_convts.{step}.bias"]
        n, c, height, width = x.shape
        spread = x.new_zeros(n, c, 2 * height + 4, 2 * width + 4)  # zeros between the samples, two at each side
        spread[:, :, 2:-2:2, 2:-2:2] = x
        around = F.pad(own, (2, 2, 2, 2))
        result = bias.view(1, -1, 1, 1).expand(n, -1, 2 * height, 2 * width).clone()
        for dy in range(5):
            for dx in range(5):
                window = (slice(dy, dy + 2 * height), slice(dx, dx + 2 * width))
                kernel = torch.exp(-0.5 * (around[:, :, *window] - own).square().sum(1, keepdim=True))
                result += kernel * torch.einsum("co,nchw->nohw", weight[:, :, dy, dx], spread[:, :, *window])
        x = F.relu(result)
    return convolve(F.relu(convolve(x, "branch_f.conv1")), "branch_f.conv2")


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_pac_is_the_published_network(factor):
    network = random_filters(PacJointUpsample(factor, backend=UnfoldBackend()))
    target, guide = inputs(factor)
    expected = pac_by_definition(network.state_dict(), target, guide, factor, 16)
    torch.testing.assert_close(network(target, guide), expected)


@pytest.mark.parametrize(("factor", "features"), [(4, 12), (8, 12), (16, 10)])
def test_pac_lite_is_the_published_network(factor, features):
    network = random_filters(PacJointUpsampleLite(factor, backend=UnfoldBackend()))
    target, guide = inputs(factor, size=(2, 3))
    expected = pac_by_definition(network.state_dict(), target, guide, factor, features)
    torch.testing.assert_close(network(target, guide), expected)


def test_published_names_and_shapes():
    shapes = {name: tuple(value.shape) for name, value in PacJointUpsample(8).state_dict().items()}
    assert shapes["branch_t.conv1.weight"] == (32, 1, 5, 5)
    assert shapes["branch_g.conv3.weight"] == (48, 32, 5, 5)
    assert [shapes[f"up_convts.{step}.weight"] for step in range(3)] == [(32, 32, 5, 5)] * 3
    assert shapes["branch_f.conv2.bias"] == (1,)
    assert {name.split(".")[0] for name in shapes} == {"branch_t", "branch_g", "up_convts", "branch_f"}
    lite = {name: tuple(value.shape) for name, value in PacJointUpsampleLite(8).state_dict().items()}
    assert lite["up_convts.2.weight"] == (16, 16, 5, 5)
    assert lite["branch_f.conv1.weight"] == (20, 16, 5, 5)
    djf = {name: tuple(value.shape) for name, value in DJF(8).state_dict().items()}
    assert djf["branch_t.0.weight"] == (96, 1, 9, 9)
    assert djf["branch_g.2.weight"] == (48, 96, 1, 1)
    assert djf["branch_joint.4.weight"] == (1, 32, 5, 5)
    assert DJFWide(8).state_dict()["branch_joint.0.weight"].shape == (256, 2, 9, 9)


def test_djf_is_its_definition():
    network = random_filters(DJF(3))
    target, guide = inputs(3, size=(6, 7))
    state = network.state_dict()

    def branch(x, name, padding):
        for number, pad in zip((0, 2, 4), padding, strict=True):
            x = F.conv2d(x, state[f"{name}.{number}.weight"], state[f"{name}.{number}.bias"], padding=pad)
            x = x if number == 4 else F.relu(x)
        return x

    large = F.interpolate(target, size=(18, 21), mode="bilinear", align_corners=False)
    both = torch.cat([branch(large, "branch_t", (2, 2, 2)), branch(guide, "branch_g", (2, 2, 2))], 1)
    torch.testing.assert_close(network(target, guide), branch(both, "branch_joint", (4, 0, 2)))


def test_msg_net_adds_high_frequencies_to_the_bicubic_low_ones():
    """With a last layer of zeros it is the bicubic enlargement of the 3 x 3 mean, whatever the guide."""
    network = random_filters(MSGNet(4))
    torch.nn.init.zeros_(network.last[1].weight)
    torch.nn.init.zeros_(network.last[1].bias)
    target, guide = inputs(4)
    mean = F.avg_pool2d(F.pad(target, (1, 1, 1, 1), mode="replicate"), 3, 1)
    torch.testing.assert_close(network(target, guide), F.interpolate(mean, scale_factor=4.0, mode="bicubic"))


def test_msg_net_has_the_published_layers():
    sizes = sorted(tuple(value.shape) for name, value in MSGNet(4).named_parameters() if value.ndim == 4)
    first = [(49, 1, 7, 7), (32, 49, 5, 5), (32, 32, 5, 5), (64, 1, 5, 5), (64, 32, 5, 5)]
    doubled = [(32, 64, 5, 5), (32, 32, 5, 5), (32, 32, 5, 5), (32, 64, 5, 5), (32, 32, 5, 5), (32, 32, 5, 5)]
    published = [*first, *doubled, (1, 32, 5, 5)]
    assert sizes == sorted(published)


@pytest.mark.parametrize("name", NETWORKS)
def test_two_channels_are_one_and_one_under_the_same_guide(name):
    network = random_filters(build_network(name, 4, backend=UnfoldBackend()))
    target, guide = inputs(4, channels=2)
    apart = torch.cat([network(target[:, channel : channel + 1], guide) for channel in range(2)], dim=1)
    torch.testing.assert_close(network(target, guide), apart)
    assert network(target, guide).shape == (2, 2, 16, 20)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_parameter(name):
    network = random_filters(build_network(name, 8, backend=UnfoldBackend()))
    network(*inputs(8, size=(2, 2))).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key


@pytest.mark.parametrize("name", NETWORKS)
def test_a_guide_that_does_not_fit_is_refused(name):
    network = build_network(name, 4).double()
    target, guide = inputs(4)
    with pytest.raises(ValueError, match=r"got a guide \(2, 1, 16, 20\), expected \(2, 3, 16, 20\)"):
        network(target, guide[:, :1])
    with pytest.raises(ValueError, match=r"got a guide \(2, 3, 15, 20\), expected"):
        network(target, guide[:, :, :-1])
    with pytest.raises(ValueError, match="got a target"):
        network(target[0], guide)


@pytest.mark.parametrize("network", [PacJointUpsample, MSGNet])
@pytest.mark.parametrize("factor", [1, 3, 6, 0, -2])
def test_a_factor_that_is_no_power_of_two_is_refused(network, factor):
    with pytest.raises(ValueError, match=f"got factor {factor}, expected a power of two, 2 or more"):
        network(factor)


def test_pac_lite_is_published_for_three_factors():
    with pytest.raises(ValueError, match="got factor 2, expected one of 4, 8, 16"):
        PacJointUpsampleLite(2)
    with pytest.raises(ValueError, match="got factor 1, expected 2 or more"):
        DJF(1)
    with pytest.raises(ValueError, match="method: got 'pak', expected one of"):
        build_network("pak", 4)


@pytest.mark.parametrize("network", [lambda: MSGNet(4, guide_channels=1), lambda: DJF(4, guide_channels=1)])
def test_a_network_can_be_made_for_grey_guides(network):
    target, guide = inputs(4, guide_channels=1)
    assert network().double()(target, guide).shape == (2, 1, 16, 20)


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@pytest.mark.parametrize("name", ["pac", "pac_lite"])
def test_pac_started_as_interpolation_interpolates_under_a_flat_guide(name, factor):
    if name == "pac_lite" and factor == 2:
        pytest.skip("there is no lite model for factor 2")
    torch.manual_seed(0)
    network = build_network(name, factor, backend="unfold", start="interpolation").double()
    target, guide = inputs(factor, channels=2, size=(9, 10))
    whole = network(target, torch.full_like(guide, 0.5))
    height, width = (factor * (side - 1) + 1 for side in target.shape[2:])
    expected = F.interpolate(target, size=(height, width), mode="bilinear", align_corners=True)
    first = (factor - 1) // 2
    inner = slice(max(8, 2 * factor), -max(8, 2 * factor))  # the guide's branch sees zeros around the image
    result = whole[:, :, first : first + height, first : first + width]
    torch.testing.assert_close(result[:, :, inner, inner], expected[:, :, inner, inner], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["djf", "djf_wide"])
def test_djf_started_as_interpolation_is_bilinear_upsampling(name):
    torch.manual_seed(0)
    network = build_network(name, 3, start="interpolation").double()
    target, guide = inputs(3, channels=2)
    expected = F.interpolate(target, scale_factor=3.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(target, guide)[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], rtol=0, atol=0)


def test_a_start_leaves_the_other_channels_random_and_is_refused_where_there_is_none():
    torch.manual_seed(0)
    random = build_network("pac", 4)
    torch.manual_seed(0)
    started = build_network("pac", 4, start="interpolation")
    assert torch.equal(started.branch_g.conv1.weight, random.branch_g.conv1.weight)
    assert torch.equal(started.up_convts[1].weight[:, 1:], random.up_convts[1].weight[:, 1:])
    assert torch.equal(started.branch_t.conv2.weight[1:], random.branch_t.conv2.weight[1:])
    with pytest.raises(ValueError, match="msg_net: got start 'interpolation', expected 'random'"):
        build_network("msg_net", 4, start="interpolation")
