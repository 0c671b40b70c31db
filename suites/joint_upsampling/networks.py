"""The learned methods: their networks, and where their weights come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from pacbench.backend import Backend
from pacbench.data.data_error import DataError
from pacbench.data.weights import load_weights
from pacbench.models.upsampling import build_network, task_name

from .learned import Learned

SHIPPED = Path(__file__).parent / "weights"
"""Networks trained on the embedded train scenes; `weights/README.md` has the commands."""


class NoWeightsError(Exception):
    """There are no weights for a learned method here; the message says how to get some."""


def with_weights(
    method: str, kind: str, factor: int, backend: Backend | None, given: Iterable[Path], *, embedded: bool
) -> list[tuple[Learned, Path]]:
    """A learned method, once for each of its trainings, with the file that the weights are from.

    Args:
        method: Its name.
        kind: What is upsampled, ``depth`` or ``flow``.
        factor: The factor.
        backend: Who computes its pixel-adaptive operators.
        given: Files that `pacbench train upsample` wrote; each says what it is for. All that are for this are taken:
            they are trainings from several seeds.
        embedded: Whether the data is embedded, so that the shipped weights, which learnt from such, may be used.

    Raises:
        NoWeightsError: there are none.
        ValueError: the network knows no such factor.
        DataError: a file is broken, or its tensors are not the network's.
    """
    build_network(method, factor, backend=backend)  # an unfit factor is said whatever the weights are
    wanted = task_name(method, kind, factor)
    paths = [path for path in dict.fromkeys(given) if trained_for(path) == wanted]
    shipped = SHIPPED / f"{wanted}.safetensors"
    if not paths and embedded and shipped.is_file():
        paths = [shipped]
    if not paths:
        raise NoWeightsError(
            f"no weights: train them on {kind} with `pacbench train upsample --method {method} --factor {factor} "
            "--data-root DIR --output OUT`, then give `--weights OUT/weights.safetensors`"
        )
    return [(_loaded(method, factor, backend, path), path) for path in paths]


def _loaded(method: str, factor: int, backend: Backend | None, path: Path) -> Learned:
    network = build_network(method, factor, backend=backend)
    state = {key: value.to(torch.float32) for key, value in load_weights(path).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise DataError(f"{path}: got tensors of another network than {method} at factor {factor} ({first})") from error
    return Learned(network.eval().requires_grad_(False))


def trained_for(path: Path) -> str:
    """What a weights file says it was trained for; empty where it says nothing.

    Raises:
        DataError: it is no safetensors file.
    """
    try:
        with safe_open(path, "pt") as file:
            return str((file.metadata() or {}).get("task", ""))
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected safetensors") from error


def untrained(method: str, factor: int, backend: Backend | None) -> Learned:
    """A learned method with filters that have learnt nothing: it takes as long as with those that have."""
    return Learned(build_network(method, factor, backend=backend).eval().requires_grad_(False))


def parameters(network: nn.Module) -> int:
    """How many numbers a network has learnt."""
    return sum(parameter.numel() for parameter in network.parameters())
