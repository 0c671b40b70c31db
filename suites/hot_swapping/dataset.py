"""What the networks are run on: embedded scenes, of the size that the shipped ones learned on, or a folder's val."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import LabelledImage, LabelledSet, embedded_scenes, open_folder
from pacbench.training.recipes import SCENE_SIZE

SCENES = {"quick": 8, "standard": 24, "full": 96}
_SPLIT = "val"


@dataclass(frozen=True)
class SwappingDataset:
    """The evaluated images."""

    data: LabelledSet
    embedded: bool

    @property
    def ids(self) -> tuple[str, ...]:
        """IDs of the evaluated images."""
        return self.data.splits[_SPLIT]

    def items(self) -> Iterator[LabelledImage | DataError]:
        """Each image, or the reason why there is none."""
        for item_id in self.ids:
            try:
                yield self.data.load(_SPLIT, item_id)
            except DataError as error:
                yield error

    def first(self) -> LabelledImage:
        """The first image that can be loaded; DataError where none can."""
        reasons = []
        for item in self.items():
            if isinstance(item, LabelledImage):
                return item
            reasons.append(str(item))
        raise DataError(reasons[0] if reasons else f"{self.data.name}: got no image in {_SPLIT}, expected at least one")


def open_dataset(profile: str, data_root: Path | None) -> SwappingDataset:
    """The embedded scenes, or a folder in any layout of `pacbench.data.labelled_images`; DataError for a broken one."""
    if data_root is None:
        return SwappingDataset(embedded_scenes(SCENE_SIZE, 0, SCENES[profile]), embedded=True)
    return SwappingDataset(open_folder(data_root), embedded=False)
