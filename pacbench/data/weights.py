"""Learned weights from files: safetensors, or what `torch.save` wrote, never unpickling anything but tensors."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pacbench.data.data_error import DataError

_UNREADABLE = (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict, on the CPU.

    Args:
        path: A `.safetensors` file; anything else is read by `torch.load(weights_only=True)`, which covers the
            published `.pth` files. A checkpoint that holds its state_dict under ``state_dict`` or ``model`` is opened.

    Raises:
        DataError: the file is missing, broken, or holds something else than named tensors; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: got no file, expected weights as .safetensors or as torch.save wrote them")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: got a file that cannot be read as weights ({reason}), expected named tensors"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise DataError(f"{path}: got {type(loaded).__name__}, expected named tensors (a state_dict)")
    return dict(loaded)
