"""MPI Sintel (Butler et al., ECCV 2012): rendered frames with dense optical flow.

The published layout: `training/PASS/SEQUENCE/frame_NNNN.png` and `training/flow/SEQUENCE/frame_NNNN.flo`. Beside it, a
plain folder of `frame_NNNN.png` with `frame_NNNN.flo`. A file `Sintel_train_val.txt` in the root, as FlowNet's authors
publish it (one number a frame, in the order of the names: 1 train, 2 val), says which frames are tested on.
"""

from __future__ import annotations

from pathlib import Path

from pacbench.data.data_error import DataError
from pacbench.data.flow_samples import FlowEntry

SPLIT_FILE = "Sintel_train_val.txt"
PASSES = ("clean", "final", "albedo")
SPLITS = ("train", "val")


def is_here(root: Path) -> bool:
    """Whether a folder has one of the two layouts."""
    return (root / "training" / "flow").is_dir() or bool(_plain(root))


def entries(root: Path, split: str | None, render_pass: str = PASSES[0]) -> tuple[FlowEntry, ...]:
    """The frames of a split, in the order of their names.

    Args:
        root: The folder that holds `training`, or the frames themselves.
        split: ``train`` or ``val``; None for every frame, where there is no split file.
        render_pass: One of PASSES; of a plain folder there is only one.

    Raises:
        DataError: neither layout, no such split or pass, a flow without its frame, or a split file of another length.
    """
    if split is not None and split not in SPLITS:
        raise DataError(f"{root}: got split {split!r}, expected one of {', '.join(SPLITS)}")
    if render_pass not in PASSES:
        raise DataError(f"{root}: got pass {render_pass!r}, expected one of {', '.join(PASSES)}")
    found = _published(root, render_pass) if (root / "training" / "flow").is_dir() else _plain(root)
    if not found:
        raise DataError(
            f"{root}: got no frame with flow, expected training/flow/SEQUENCE/frame_NNNN.flo, or frame_NNNN.flo with "
            "frame_NNNN.png"
        )
    if split is None:
        return found
    marks = _marks(root / SPLIT_FILE, len(found))
    return tuple(entry for entry, mark in zip(found, marks, strict=True) if mark == SPLITS.index(split) + 1)


def has_split(root: Path) -> bool:
    """Whether the root says which frames are tested on."""
    return (root / SPLIT_FILE).is_file()


def _published(root: Path, render_pass: str) -> tuple[FlowEntry, ...]:
    found = []
    for flow in sorted((root / "training" / "flow").glob("*/*.flo")):
        image = root / "training" / render_pass / flow.parent.name / f"{flow.stem}.png"
        if not image.is_file():
            raise DataError(f"{image}: got no file, expected the frame of {flow}")
        found.append(FlowEntry(f"{flow.parent.name}/{flow.stem}", image, flow))
    return tuple(found)


def _plain(root: Path) -> tuple[FlowEntry, ...]:
    return tuple(
        FlowEntry(flow.stem, flow.with_suffix(".png"), flow)
        for flow in sorted(root.glob("frame_*.flo"))
        if flow.with_suffix(".png").is_file()
    )


def _marks(path: Path, frames: int) -> list[int]:
    try:
        marks = [int(float(word)) for word in path.read_text(encoding="utf-8").split()]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected a 1 or 2 a frame") from error
    if len(marks) != frames or not set(marks) <= {1, 2}:
        raise DataError(f"{path}: got {len(marks)} numbers, expected {frames}, each 1 (train) or 2 (val)")
    return marks
