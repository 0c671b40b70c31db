"""Weights from files: only tensors, and a clear error for everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pacbench.data.data_error import DataError
from pacbench.data.weights import load_weights
from pacbench.nn import PacCRF

KERNEL = {"kernel_size": 5, "dilation": 2}


def state() -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in PacCRF(4, 2, pairwise_kernels=KERNEL).state_dict().items()}


@pytest.mark.parametrize("name", ["crf.safetensors", "crf.pth", "checkpoint.pth"])
def test_weights_load_into_a_crf(name: str, tmp_path: Path) -> None:
    saved, path = state(), tmp_path / name
    if name.endswith(".safetensors"):
        save_file(saved, path)
    else:
        torch.save({"state_dict": saved, "epoch": 3} if name.startswith("checkpoint") else saved, path)
    crf = PacCRF(4, 2, pairwise_kernels=KERNEL)
    crf.load_state_dict(load_weights(path))
    for key, tensor in crf.state_dict().items():
        assert torch.equal(tensor, saved[key])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_broken_file_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"\x80\x02nonsense")
    with pytest.raises(DataError, match=f"broken{suffix}: got a file that cannot be read as weights"):
        load_weights(path)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(DataError, match=r"evil\.pth: got a file that cannot be read as weights"):
        load_weights(tmp_path / "evil.pth")


def test_other_things_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pth: got no file"):
        load_weights(tmp_path / "none.pth")
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(DataError, match=r"list\.pth: got list, expected named tensors"):
        load_weights(tmp_path / "list.pth")
