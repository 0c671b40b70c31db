from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.suites.crf.dataset import EXTENTS, Extent, Item, embedded_scenes, open_dataset, voc_folder
from pacbench.suites.crf.panels import label_colours, panel

SIZE = (12, 16)  # as in conftest.py
EXTENT = Extent(SIZE, 2, 3, 2)


def test_embedded_splits_share_no_scene() -> None:
    dataset = embedded_scenes(EXTENT)
    assert dataset.tuning.ids == ("train_0000", "train_0001")
    assert dataset.evaluation.ids == ("val_0000", "val_0001", "val_0002")
    item = dataset.evaluation.first()
    assert item.image.shape == (1, 3, *SIZE)
    assert item.unary.shape == (1, dataset.num_classes, *SIZE)
    assert item.labels.shape == SIZE
    assert dataset.name == "embedded scenes 12x16"


def test_every_profile_opens() -> None:
    for profile in EXTENTS:
        assert len(open_dataset(profile, None).evaluation.ids) >= 6


def test_voc_folder(voc: Path) -> None:
    dataset = voc_folder(voc, EXTENT)
    assert dataset.num_classes == 21
    assert dataset.evaluation.ids == ("d", "e")
    assert len(dataset.tuning.ids) == 2
    assert not set(dataset.tuning.ids) & set(dataset.evaluation.ids), "nothing evaluated may be tuned on"
    assert dataset.tuning.name == "train"
    assert dataset.evaluation.first().unary.shape == (1, 21, *SIZE)


def test_all_of_the_tuning_split_where_no_count_is_given(voc: Path) -> None:
    assert voc_folder(voc, EXTENTS["full"]).tuning.ids == ("a", "b", "c")


def test_a_bad_item_is_named_and_the_rest_goes_on(voc: Path) -> None:
    (voc / "VOC2012" / "SegmentationClass" / "d.png").unlink()
    good, bad = [], []
    for item in voc_folder(voc, EXTENT).evaluation.items():
        (good if isinstance(item, Item) else bad).append(item)
    assert [item.id for item in good if isinstance(item, Item)] == ["e"]
    assert len(bad) == 1
    assert "SegmentationClass/d.png" in str(bad[0])


def test_a_missing_unary_is_named(voc: Path) -> None:
    (voc / "unary" / "e.npy").unlink()
    with pytest.raises(DataError, match=r"unary/e\.npz: got no file"):
        voc_folder(voc, EXTENT).evaluation.load("e")


def test_nothing_usable_is_an_error(voc: Path) -> None:
    for path in (voc / "VOC2012" / "JPEGImages").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"JPEGImages/d\.jpg: got no file"):
        voc_folder(voc, EXTENT).evaluation.first()


def test_no_split_to_tune_on_is_an_error(voc: Path) -> None:
    (voc / "VOC2012" / "ImageSets" / "Segmentation" / "train.txt").unlink()
    with pytest.raises(DataError, match="got no split 'train'"):
        voc_folder(voc, EXTENT)


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        open_dataset("quick", tmp_path / "nowhere")


def test_panel_is_a_png() -> None:
    item = embedded_scenes(EXTENT).evaluation.first()
    assert panel(item, item.labels).startswith(b"\x89PNG")


def test_label_colours_are_those_of_voc() -> None:
    colours = label_colours(torch.tensor([[0, 1, 15, 255]]))
    assert colours.tolist() == [[[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]]
