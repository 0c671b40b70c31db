"""The networks for joint upsampling, by the names that tables and commands use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from pacbench.backend import Backend
from pacbench.errors import UnknownNameError
from pacbench.models.deep_joint_filter import DJF, DJFWide
from pacbench.models.msg_net import MSGNet
from pacbench.models.pac_joint_upsample import PacJointUpsample, PacJointUpsampleLite

Start = Literal["random", "interpolation"]


@dataclass(frozen=True)
class UpsamplingNetwork:
    """A network that upsamples under a guide.

    Attributes:
        title: As it is told.
        source: Where it was published.
        build: From the factor and a backend.
        uses_backend: Whether it has pixel-adaptive operators.
    """

    title: str
    source: str
    build: Callable[[int, str | Backend | None], nn.Module]
    uses_backend: bool = False


_PAC = "Su et al., Pixel-Adaptive Convolutional Neural Networks, CVPR 2019, section 4 and supplement"
_DJF = "Li et al., Deep Joint Image Filtering, ECCV 2016"

NETWORKS: Mapping[str, UpsamplingNetwork] = {
    "msg_net": UpsamplingNetwork(
        "MSG-Net (DMSG)",
        "Hui et al., Depth Map Super-Resolution by Deep Multi-Scale Guidance, ECCV 2016",
        lambda factor, _: MSGNet(factor),
    ),
    "djf": UpsamplingNetwork("DJF", _DJF, lambda factor, _: DJF(factor)),
    "djf_wide": UpsamplingNetwork("DJF, wide", f"{_DJF}; widened by Su et al.", lambda factor, _: DJFWide(factor)),
    "pac_lite": UpsamplingNetwork(
        "PAC lite", _PAC, lambda factor, backend: PacJointUpsampleLite(factor, backend=backend), uses_backend=True
    ),
    "pac": UpsamplingNetwork(
        "PAC", _PAC, lambda factor, backend: PacJointUpsample(factor, backend=backend), uses_backend=True
    ),
}


def build_network(
    name: str, factor: int, *, backend: str | Backend | None = None, start: Start = "random"
) -> nn.Module:
    """A network of one channel under a colour guide.

    Its filters are as torch initialises them; those of the start "interpolation" carry the samples to the output beside
    that (`start_as_interpolation` of DJF and PacJointUpsample; MSG-Net adds to an interpolation anyway).

    Raises:
        UnknownNameError: no network of that name.
        ValueError: it knows no such factor or start.
    """
    if name not in NETWORKS:
        raise UnknownNameError("method", name, NETWORKS)
    network = NETWORKS[name].build(factor, backend)
    if start == "interpolation":
        if not isinstance(network, DJF | PacJointUpsample):
            raise ValueError(f"{name}: got start {start!r}, expected 'random'")
        network.start_as_interpolation()
    return network


def task_name(method: str, kind: str, factor: int) -> str:
    """What weights are for, as their files say it: `pac_lite-depth-x8`."""
    return f"{method}-{kind}-x{factor}"
