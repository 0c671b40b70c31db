"""Weights to keep: ``python -m pacbench.suites.joint_upsampling.ship_weights OUT FOLDER …``.

Each FOLDER is one that `pacbench train upsample` wrote. Its weights go to OUT as float16, under the name of what they
are for, with what made them beside them as JSON. So the package carries some, and `reports/reference` others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from pacbench.data.weights import load_weights
from pacbench.training.outcome import DESCRIPTION, WEIGHTS, write_weights

from .networks import trained_for


def ship(folder: Path, out: Path) -> Path:
    """Write one network's weights; the file that was written."""
    task = trained_for(folder / WEIGHTS)
    state = {name: value.to(torch.float16) for name, value in load_weights(folder / WEIGHTS).items()}
    path = out / f"{task}.safetensors"
    write_weights(path, state, {"task": task})
    path.chmod(0o644)
    said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    path.with_suffix(".json").write_text(json.dumps(said) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    for name in sys.argv[2:]:
        sys.stdout.write(f"{ship(Path(name), Path(sys.argv[1]))}\n")
