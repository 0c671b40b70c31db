"""What a training leaves: weights as safetensors, what made them as JSON, and the history of its measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from pacbench import __version__

from .checkpoint import write_whole
from .settings import TrainingSettings
from .task import Task

WEIGHTS = "weights.safetensors"
DESCRIPTION = "weights.json"
HISTORY = "history.jsonl"


def write_outcome(
    folder: Path,
    task: Task,
    settings: TrainingSettings,
    model: nn.Module,
    history: Sequence[Mapping[str, float | str]],
    metrics: Mapping[str, float],
) -> None:
    """Write the three files, each whole or not at all."""
    state = {name: value.detach().cpu().contiguous() for name, value in task.exported(model.state_dict()).items()}
    write_weights(folder / WEIGHTS, state, {"task": task.name, **task.header()})
    lines = "".join(json.dumps(line) + "\n" for line in history)
    write_whole(folder / HISTORY, lambda path: path.write_text(lines, encoding="utf-8"))
    said: dict[str, Any] = {
        "task": task.name,
        "what": dict(task.describe()),
        "stages": [{"name": stage.name, "steps": stage.steps, "rates": dict(stage.rates)} for stage in task.stages()],
        "settings": asdict(settings),
        "metrics": dict(metrics),
        "pacbench": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    text = json.dumps(said, indent=1) + "\n"
    write_whole(folder / DESCRIPTION, lambda path: path.write_text(text, encoding="utf-8"))


def write_weights(path: Path, state: Mapping[str, Tensor], said: Mapping[str, str]) -> None:
    """Write tensors as safetensors, with a few words in the file's header; the same bytes for the same arguments."""
    written = _in_order(save(dict(state), metadata=dict(said)))
    write_whole(path, lambda half: half.write_bytes(written))


def _in_order(written: bytes) -> bytes:
    """The words of a safetensors header in order: the library puts them down in any, another one each time."""
    size = int.from_bytes(written[:8], "little")
    header = json.loads(written[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
    return len(text).to_bytes(8, "little") + text + written[8 + size :]
