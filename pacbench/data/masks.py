"""What every reader of images with masks checks: sizes that agree, labels that are classes, names that are names."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.image_files import read_colour, read_indices

VOID = 255
IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg")
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+")


def find_image(folder: Path, item_id: str) -> Path:
    """The picture of an ID, whatever its suffix; DataError where the ID is no plain file name or there is none."""
    if not _NAME.fullmatch(item_id):
        raise DataError(f"{folder}: got the ID {item_id!r}, expected letters, digits, _, - and single dots")
    paths = [folder / f"{item_id}{suffix}" for suffix in IMAGE_SUFFIXES]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise DataError(f"{paths[0]}: got no file, expected {item_id}.jpg or {item_id}.png in {folder}")
    return found


def read_pair(image_path: Path, mask_path: Path, num_classes: int, void: int = VOID) -> tuple[Tensor, Tensor]:
    """An image float32 (3, H, W) and its mask int64 (H, W), in which the file's `void` has become 255.

    Raises:
        DataError: a missing or broken file, sizes that differ, a label that is neither a class nor void.
    """
    image, labels = read_colour(image_path), read_indices(mask_path)
    check_labels(mask_path, image, labels, num_classes, void)
    return image, labels.masked_fill(labels == void, VOID)


def check_labels(mask_path: Path, image: Tensor, labels: Tensor, num_classes: int, void: int = VOID) -> None:
    """Raise a DataError where a mask does not fit its image or holds a label that is neither a class nor void."""
    if labels.shape != image.shape[1:]:
        raise DataError(
            f"{mask_path}: got a mask of {labels.shape[0]} x {labels.shape[1]}, expected the image's "
            f"{image.shape[1]} x {image.shape[2]}"
        )
    wrong = ((labels >= num_classes) | (labels < 0)) & (labels != void)
    if bool(wrong.any()):
        values = sorted(set(labels[wrong].tolist()))
        listed = ", ".join(map(str, values[:5])) + (", …" if len(values) > 5 else "")
        raise DataError(
            f"{mask_path}: got label {listed} ({int(wrong.sum())} pixels), expected 0 to {num_classes - 1} or {void} "
            "(void)"
        )


def read_list(path: Path, what: str) -> tuple[str, ...]:
    """The lines of a list, without blanks; DataError where it cannot be read, is empty, or says a line twice."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"{path}: got no file, expected {what}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected {what}") from error
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"{path}: got an empty list, expected {what}")
    twice = sorted({line for line in lines if lines.count(line) > 1}) if len(set(lines)) < len(lines) else []
    if twice:
        raise DataError(f"{path}: got {twice[0]!r} again, expected each line once")
    return tuple(lines)
