"""The motorcycle pair from the scikit-image wheel."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from pacbench.data import stereo
from pacbench.data.data_error import DataError


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_no_network")
def test_the_pair_loads_without_network_and_masks_what_is_unknown() -> None:
    pair = stereo.motorcycle()
    assert pair.left.shape == pair.right.shape == (3, 500, 741)
    assert pair.left.max() <= 255
    assert pair.left.max() > 200
    assert pair.disparity.shape == pair.known.shape == (500, 741)
    assert torch.isfinite(pair.disparity).all()
    assert (pair.disparity[~pair.known] == 0).all()
    assert 0.9 < pair.known.float().mean() < 0.95
    assert pair.disparity[pair.known].min() > 7
    assert pair.disparity.max() < 60


def test_the_disparity_maps_the_right_image_onto_the_left() -> None:
    """left(x, y) is right(x - disparity, y): the sign, the unit and the view are right."""
    pair = stereo.motorcycle()
    height, width = pair.disparity.shape

    def error(sign: float) -> float:
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        source = torch.stack([2 * (x + sign * pair.disparity) / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
        warped = functional.grid_sample(pair.right[None], source[None], align_corners=True)[0]
        inside = pair.known & (source[..., 0].abs() <= 1)
        return float((warped - pair.left)[:, inside].abs().mean())

    assert error(-1.0) < 0.5 * error(0.0)
    assert error(-1.0) < 0.5 * error(1.0)


def test_an_installation_without_the_files_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stereo.resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"motorcycle_left\.png: got no file, expected the one that scikit-image"):
        stereo.motorcycle()
