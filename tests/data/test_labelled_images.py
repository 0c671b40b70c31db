"""CamVid, SBD, VOC and plain folders: what is read, and what is said about what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from pacbench.data import camvid, sbd
from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import embedded_scenes, open_folder
from pacbench.data.voc_palette import palette_png, voc_palette

SIZE = (6, 8)
RNG = np.random.default_rng(0)


def picture(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def mask(path: Path, top: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    labels = RNG.integers(0, top + 1, size, dtype=np.uint8)
    labels[0, 0] = top
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)
    return labels


@pytest.fixture
def camvid_folder(tmp_path: Path) -> Path:
    for split, names in {"train": ["b", "a"], "val": ["c"]}.items():
        for name in names:
            picture(tmp_path / split / f"{name}.png")
            mask(tmp_path / f"{split}annot" / f"{name}.png", 11)
    return tmp_path


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    for name in ("one", "two", "three"):
        picture(tmp_path / "images" / f"{name}.png")
        mask(tmp_path / "labels" / f"{name}.png", 2)
    (tmp_path / "classes.txt").write_text("ground\ntree\nsky\n", encoding="utf-8")
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("one\n\ntwo \n", encoding="utf-8")
    (tmp_path / "splits" / "val.txt").write_text("three\n", encoding="utf-8")
    return tmp_path


def test_camvid(camvid_folder: Path) -> None:
    data = open_folder(camvid_folder)
    assert data.name == "CamVid"
    assert len(data.class_names) == 11
    assert data.splits == {"train": ("a", "b"), "val": ("c",)}
    item = data.load("val", "c")
    raw = np.asarray(Image.open(camvid_folder / "valannot" / "c.png")).astype(np.int64)
    assert item.labels.tolist() == np.where(raw == 11, 255, raw).tolist()
    assert item.labels[0, 0] == 255
    assert torch.equal(
        item.image, torch.from_numpy(np.array(Image.open(camvid_folder / "val" / "c.png"))).permute(2, 0, 1)
    )


def test_a_folder_of_ones_own(own_folder: Path) -> None:
    data = open_folder(own_folder)
    assert data.class_names == ("ground", "tree", "sky")
    assert data.splits == {"train": ("one", "two"), "val": ("three",)}
    item = data.load("train", "two")
    assert item.labels.tolist() == np.asarray(Image.open(own_folder / "labels" / "two.png")).tolist()
    assert item.image.shape == (3, *SIZE)


@pytest.fixture
def voc_with_sbd(tmp_path: Path) -> Path:
    """VOC: train a, val b; SBD: train b and c, val d."""
    base, other = tmp_path / "VOC2012", tmp_path / "benchmark_RELEASE" / "dataset"
    for name in "ab":
        picture(base / "JPEGImages" / f"{name}.png")
        mask(base / "SegmentationClass" / f"{name}.png", 20)
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n", encoding="utf-8")
    (lists / "val.txt").write_text("b\n", encoding="utf-8")
    (other / "cls").mkdir(parents=True)
    for name in "bcd":
        picture(other / "img" / f"{name}.jpg")
        labels = RNG.integers(0, 21, SIZE, dtype=np.uint8)
        savemat(other / "cls" / f"{name}.mat", {"GTcls": {"Segmentation": labels, "Boundaries": np.zeros(3)}})
    (other / "train.txt").write_text("b\nc\n", encoding="utf-8")
    (other / "val.txt").write_text("d\n", encoding="utf-8")
    return tmp_path


def test_voc_with_the_original_sbd_beside_it(voc_with_sbd: Path) -> None:
    data = open_folder(voc_with_sbd)
    assert data.splits == {"train": ("a", "c", "d"), "val": ("b",)}  # nothing of val, though SBD labels it
    found = sbd.find_folder(voc_with_sbd)
    assert found is not None
    image, labels = sbd.load(found, "c")
    assert torch.equal(data.load("train", "c").labels, labels)
    assert labels.dtype == torch.int64
    assert image.shape == (3, *SIZE)
    assert data.load("val", "b").labels.max() == 20


def test_the_list_of_sbd_images_comes_first(voc_with_sbd: Path) -> None:
    base = voc_with_sbd / "VOC2012"
    picture(base / "JPEGImages" / "e.png")
    mask(base / "SegmentationClass" / "e.png", 20)
    (base / "ImageSets" / "Segmentation" / "train_sbd.txt").write_text("e\nb\n", encoding="utf-8")
    data = open_folder(voc_with_sbd)
    assert data.splits["train"] == ("a", "e")
    assert data.load("train", "e").id == "e"


def test_embedded_scenes() -> None:
    data = embedded_scenes((16, 24), 2, 1)
    assert data.splits == {"train": ("train_0000", "train_0001"), "val": ("val_0000",)}
    assert data.load("val", "val_0000").labels.shape == (16, 24)
    assert data.load("train", "train_0001") is data.load("train", "train_0001")


def broken(folder: Path, how: str) -> None:
    if how == "no val":
        for path in (folder / "val").iterdir():
            path.unlink()
        (folder / "val").rmdir()
    elif how == "no mask":
        (folder / "trainannot" / "a.png").unlink()
    elif how == "no picture":
        (folder / "train" / "a.png").unlink()
    elif how == "empty":
        for path in (folder / "val" / "c.png", folder / "valannot" / "c.png"):
            path.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no val", r"val: got no folder, expected pictures NAME\.png"),
        ("no mask", r"train/a\.png: got no picture of that name in .*trainannot, expected one in both"),
        ("no picture", r"trainannot/a\.png: got no picture of that name in .*train, expected one in both"),
        ("empty", r"val: got no picture, expected NAME\.png"),
    ],
)
def test_a_broken_camvid_folder_is_named(camvid_folder: Path, how: str, message: str) -> None:
    broken(camvid_folder, how)
    with pytest.raises(DataError, match=message):
        open_folder(camvid_folder)


def test_a_broken_camvid_picture_is_named(camvid_folder: Path) -> None:
    mask(camvid_folder / "valannot" / "c.png", 12)
    with pytest.raises(
        DataError, match=r"valannot/c\.png: got label 12 \(\d+ pixels\), expected 0 to 10 or 11 \(void\)"
    ):
        camvid.load(camvid_folder, "val", "c")
    mask(camvid_folder / "valannot" / "c.png", 3, (5, 8))
    with pytest.raises(DataError, match=r"valannot/c\.png: got a mask of 5 x 8, expected the image's 6 x 8"):
        camvid.load(camvid_folder, "val", "c")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes.txt", "ground\n", r"classes\.txt: got 1 classes, expected 2 to 255"),
        ("classes.txt", "", r"classes\.txt: got an empty list, expected the name of a class in each line"),
        ("classes.txt", None, r"classes\.txt: got no file, expected the name of a class"),
        ("splits/train.txt", None, r"splits/train\.txt: got no file, expected an ID in each line; there is val"),
        ("splits/train.txt", "one\none\n", r"train\.txt: got 'one' again, expected each line once"),
        ("splits/train.txt", "one\nthree\n", r"splits: got 'three' in train and val, expected each ID in one"),
    ],
)
def test_a_broken_folder_of_ones_own_is_named(own_folder: Path, name: str, text: str | None, message: str) -> None:
    if text is None:
        (own_folder / name).unlink()
    else:
        (own_folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        open_folder(own_folder)


@pytest.mark.parametrize(
    ("item_id", "message"),
    [("../one", r"got the ID '\.\./one', expected letters"), ("four", r"four\.jpg: got no file, expected four\.jpg")],
)
def test_an_id_that_is_no_image_is_named(own_folder: Path, item_id: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_folder(own_folder).load("val", item_id)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nonsense", r"c\.mat: got a file that cannot be read"),
        (None, r"c\.mat: got no file, expected a MATLAB file"),
        ({"other": 1}, r"c\.mat: got a file that cannot be read \(KeyError: 'GTcls'\)"),
        (
            {"GTcls": {"Segmentation": np.full(SIZE, 21, np.uint8)}},
            r"c\.mat: got label 21 \(48 pixels\), expected 0 to 20",
        ),
        (
            {"GTcls": {"Segmentation": np.full(SIZE, 1.5)}},
            r"c\.mat: got float64 of shape \(6, 8\), expected whole numbers",
        ),
    ],
)
def test_a_broken_sbd_mask_is_named(voc_with_sbd: Path, content: object, message: str) -> None:
    folder = sbd.find_folder(voc_with_sbd)
    assert folder is not None
    path = folder / "cls" / "c.mat"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        savemat(path, content)
    with pytest.raises(DataError, match=message):
        sbd.load(folder, "c")


def test_a_folder_of_no_layout_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"got none of the known layouts, expected PASCAL VOC 2012 .*, CamVid .* or a folder of"
    ):
        open_folder(tmp_path)
    with pytest.raises(DataError, match="nowhere: got no folder, expected a data set"):
        open_folder(tmp_path / "nowhere")


def test_palette_pictures_hold_the_labels_and_voc_colours(tmp_path: Path) -> None:
    labels = torch.tensor([[0, 1, 2], [15, 20, 255]])
    (tmp_path / "labels.png").write_bytes(palette_png(labels))
    with Image.open(tmp_path / "labels.png") as found:
        assert found.mode == "P"
        assert np.asarray(found).tolist() == labels.tolist()
        colours = np.asarray(found.convert("RGB"))
    published = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192]]
    assert colours.reshape(-1, 3).tolist() == published
    assert voc_palette().shape == (256, 3)
    with pytest.raises(ValueError, match=r"palette_png: got labels of shape \(2,\), expected \(H, W\)"):
        palette_png(torch.zeros(2))


def test_real_camvid(shared_data: Path) -> None:
    folder = shared_data / "camvid_240x180"
    if not folder.is_dir():
        pytest.skip(f"no real samples: {folder} is not there")
    data = open_folder(folder)
    assert {name: len(ids) for name, ids in data.splits.items()} == {"train": 367, "val": 101}
    item = data.load("val", data.splits["val"][50])
    assert item.image.shape == (3, 180, 240)
    assert set(item.labels.unique().tolist()) <= {*range(11), 255}
