"""Data sets for joint upsampling: their layouts, their splits, and what is said of broken ones."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
import torch

from pacbench.data import flying_chairs, middlebury_flow, middlebury_stereo, nyu_depth, sintel
from pacbench.data.data_error import DataError
from pacbench.data.flow_samples import load_flow_sample

RNG = np.random.default_rng(0)


def write_image(path, height=6, width=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), RNG.integers(0, 256, (height, width, 3), np.uint8))


def write_flo(path, height=6, width=8, value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    flow = RNG.random((height, width, 2)) if value is None else np.full((height, width, 2), value)
    path.write_bytes(struct.pack("<fii", 202021.25, width, height) + flow.astype("<f4").tobytes())


def write_grey(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.asarray(values, np.uint8))


@pytest.fixture
def nyu_folder(tmp_path):
    for name in ("00000", "01000", "01004"):
        write_image(tmp_path / "rgb" / f"{name}.jpg")
        write_grey(tmp_path / "depth" / f"{name}.png", np.arange(48).reshape(6, 8))
    (tmp_path / "train.txt").write_text("00000\n")
    (tmp_path / "test.txt").write_text("01000\n01004\n\n")
    (tmp_path / "depth_scale.csv").write_text("id,dmax_m\n00000,5.1\n01000,2.55\n01004,1\n")
    return tmp_path


def test_nyu_from_a_folder(nyu_folder):
    assert nyu_depth.is_here(nyu_folder)
    assert nyu_depth.split_ids(nyu_folder, "train") == ("00000",)
    assert nyu_depth.split_ids(nyu_folder, "test") == ("01000", "01004")
    sample = nyu_depth.load_sample(nyu_folder, "01000")
    assert tuple(sample.image.shape) == (3, 6, 8)
    np.testing.assert_allclose(sample.depth.numpy(), (np.arange(48).reshape(6, 8) + 0.5) / 100, rtol=1e-6)
    assert bool(sample.known.all())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "depth_scale.csv").write_text("id,dmax_m\n01000,wide\n"), "line 2: got"),
        (lambda root: (root / "depth_scale.csv").write_text("id,dmax_m\n01000,-1\n"), "a dmax_m above 0"),
        (lambda root: (root / "depth_scale.csv").write_text("id,dmax_m\n01004,1\n"), "got no line of frame 01000"),
        (lambda root: (root / "depth" / "01000.png").write_bytes(b"\x89PNG"), "cannot be decoded"),
        (lambda root: (root / "rgb" / "01000.jpg").unlink(), "got no file"),
        (lambda root: write_image(root / "rgb" / "01000.jpg", 7, 8), "expected one size"),
        (lambda root: write_image(root / "depth" / "01000.png"), "expected a palette"),
    ],
    ids=["scale", "negative", "no_scale", "cut", "no_image", "sizes", "colour"],
)
def test_a_broken_nyu_folder_is_named(nyu_folder, spoil, message):
    spoil(nyu_folder)
    with pytest.raises(DataError, match=message):
        nyu_depth.load_sample(nyu_folder, "01000")


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "got an empty list"), ("01000\n01000\n", "again, expected each ID once"), ("../x\n", "expected letters")],
)
def test_a_broken_list_is_named(nyu_folder, content, message):
    (nyu_folder / "test.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        nyu_depth.split_ids(nyu_folder, "test")


def test_a_folder_without_nyu_is_named(tmp_path, nyu_folder):
    with pytest.raises(DataError, match="got split 'val', expected one of train, test"):
        nyu_depth.split_ids(nyu_folder, "val")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="got no NYU Depth V2, expected nyu_depth_v2_labeled"):
        nyu_depth.split_ids(tmp_path / "empty", "test")


@pytest.fixture
def nyu_mat(tmp_path):
    h5py = pytest.importorskip("h5py")
    images = RNG.integers(0, 256, (nyu_depth.FRAMES, 3, 4, 3), np.uint8)  # columns first, as MATLAB stores them
    depths = RNG.random((nyu_depth.FRAMES, 4, 3), np.float32) + 1
    depths[1000, 2, 1] = np.nan
    depths[1000, 0, 0] = 0
    with h5py.File(tmp_path / nyu_depth.FILE, "w") as file:
        file["images"], file["depths"] = images, depths
    return tmp_path, images, depths


def test_nyu_from_the_published_file(nyu_mat):
    root, images, depths = nyu_mat
    train, test = (nyu_depth.split_ids(root, split) for split in ("train", "test"))
    assert (len(train), len(test), train[0], train[-1], test[0], test[-1]) == (
        1000, 449, "00000", "00999", "01000", "01448",
    )  # fmt: skip
    sample = nyu_depth.load_sample(root, "01000")
    np.testing.assert_array_equal(sample.image.numpy(), images[1000].transpose(0, 2, 1))
    assert not bool(sample.known[1, 2])
    assert not bool(sample.known[0, 0])
    assert int(sample.known.sum()) == 10
    known = sample.known.numpy()
    np.testing.assert_array_equal(sample.depth.numpy()[known], depths[1000].T[known])
    assert bool(torch.isfinite(sample.depth).all())
    for name in ("01449", "x", "-1"):
        with pytest.raises(DataError, match="expected 0 to 1448"):
            nyu_depth.load_sample(root, name)


def test_a_broken_published_file_is_named(nyu_mat):
    import h5py

    root, images, depths = nyu_mat
    path = root / nyu_depth.FILE
    with h5py.File(path, "w") as file:
        file["images"], file["depths"] = images[:5], depths[:5]
    with pytest.raises(DataError, match="got 5 frames, expected 1449"):
        nyu_depth.split_ids(root, "test")
    with h5py.File(path, "w") as file:
        file["images"], file["depths"] = images[:5], depths[0]
    with pytest.raises(DataError, match="as depths, expected an array of 3 axes"):
        nyu_depth.split_ids(root, "test")
    path.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DataError, match="expected a MATLAB"):
        nyu_depth.split_ids(root, "test")


@pytest.fixture
def sintel_root(tmp_path):
    for sequence in ("alley_1", "market_2"):
        for number in (1, 2):
            write_image(tmp_path / "training" / "clean" / sequence / f"frame_{number:04d}.png")
            write_flo(tmp_path / "training" / "flow" / sequence / f"frame_{number:04d}.flo")
    return tmp_path


def test_sintel_in_its_published_layout(sintel_root):
    found = sintel.entries(sintel_root, None)
    assert [entry.id for entry in found] == [
        "alley_1/frame_0001", "alley_1/frame_0002", "market_2/frame_0001", "market_2/frame_0002",
    ]  # fmt: skip
    sample = load_flow_sample(found[2])
    assert tuple(sample.image.shape) == (3, 6, 8)
    assert tuple(sample.flow.shape) == (2, 6, 8)
    assert not sintel.has_split(sintel_root)
    (sintel_root / sintel.SPLIT_FILE).write_text("1\n2\n2\n1\n")
    assert [entry.id for entry in sintel.entries(sintel_root, "val")] == ["alley_1/frame_0002", "market_2/frame_0001"]
    assert len(sintel.entries(sintel_root, "train")) == 2


def test_broken_sintel_is_named(sintel_root, tmp_path):
    with pytest.raises(DataError, match="got split 'test'"):
        sintel.entries(sintel_root, "test")
    with pytest.raises(DataError, match="got pass 'dirty'"):
        sintel.entries(sintel_root, None, "dirty")
    with pytest.raises(DataError, match=r"final.*got no file, expected the frame of"):
        sintel.entries(sintel_root, None, "final")
    for marks in ("1\n2\n", "1\n2\n3\n1\n", "a b c d"):
        (sintel_root / sintel.SPLIT_FILE).write_text(marks)
        with pytest.raises(DataError, match=sintel.SPLIT_FILE):
            sintel.entries(sintel_root, "val")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="got no frame with flow"):
        sintel.entries(tmp_path / "none", None)


@pytest.mark.parametrize("published", [True, False])
def test_middlebury_flow(tmp_path, published):
    for scene in ("Venus", "Grove2"):
        images, flows = ("other-data", "other-gt-flow") if published else (".", ".")
        write_image(tmp_path / images / scene / "frame10.png")
        write_flo(tmp_path / flows / scene / "flow10.flo")
    assert middlebury_flow.is_here(tmp_path)
    found = middlebury_flow.entries(tmp_path)
    assert [entry.id for entry in found] == ["Grove2", "Venus"]
    assert load_flow_sample(found[0]).id == "Grove2"
    found[1].image.unlink()
    with pytest.raises(DataError, match=r"frame10\.png: got no file, expected the image of"):
        middlebury_flow.entries(tmp_path)


@pytest.mark.parametrize(
    ("flow", "image"), [("data/00001_flow.flo", "data/00001_img1.ppm"), ("7-gt.flo", "7-img0.ppm")]
)
def test_flying_chairs(tmp_path, flow, image):
    write_image(tmp_path / image)
    write_flo(tmp_path / flow)
    assert flying_chairs.is_here(tmp_path)
    (entry,) = flying_chairs.entries(tmp_path)
    assert load_flow_sample(entry).id in ("00001", "7")
    (tmp_path / image).unlink()
    with pytest.raises(DataError, match="got no file, expected the image of"):
        flying_chairs.entries(tmp_path)
    (tmp_path / flow).unlink()
    with pytest.raises(DataError, match="got no pair"):
        flying_chairs.entries(tmp_path)


def test_flow_that_does_not_fit_or_is_unknown_is_named(tmp_path):
    write_image(tmp_path / "frame_0001.png")
    write_flo(tmp_path / "frame_0001.flo", 6, 9)
    (entry,) = sintel.entries(tmp_path, None)
    with pytest.raises(DataError, match=r"got a flow of \(6, 9\), expected the image's \(6, 8\)"):
        load_flow_sample(entry)
    write_flo(tmp_path / "frame_0001.flo", value=2e9)
    with pytest.raises(DataError, match="nowhere known"):
        load_flow_sample(entry)


def test_middlebury_stereo(tmp_path):
    truth = RNG.integers(1, 200, (6, 8))
    truth[2, 3] = 0
    write_image(tmp_path / "art" / "color.png")
    write_grey(tmp_path / "art" / "disp_gt.png", truth)
    write_grey(tmp_path / "art" / "noisy_lr_04x.png", RNG.integers(0, 200, (2, 2)))
    assert middlebury_stereo.scene_names(tmp_path) == ("art",)
    scene = middlebury_stereo.load_scene(tmp_path, "art")
    np.testing.assert_array_equal(scene.disparity.numpy(), truth)
    assert not bool(scene.known[2, 3])
    assert {factor: tuple(values.shape) for factor, values in scene.noisy.items()} == {4: (2, 2)}
    write_grey(tmp_path / "art" / "noisy_lr_04x.png", RNG.integers(0, 200, (2, 3)))
    with pytest.raises(DataError, match=r"got \(2, 3\) pixels, expected \(2, 2\) for 6 x 8"):
        middlebury_stereo.load_scene(tmp_path, "art")
    (tmp_path / "art" / "noisy_lr_04x.png").rename(tmp_path / "art" / "noisy_lr_x.png")
    with pytest.raises(DataError, match="got a name without a factor"):
        middlebury_stereo.load_scene(tmp_path, "art")
    write_grey(tmp_path / "art" / "disp_gt.png", np.zeros((6, 8)))
    with pytest.raises(DataError, match="nowhere known"):
        middlebury_stereo.load_scene(tmp_path, "art")
    write_grey(tmp_path / "art" / "disp_gt.png", truth[:5])
    with pytest.raises(DataError, match="got 5 x 8 pixels, expected the image's 6 x 8"):
        middlebury_stereo.load_scene(tmp_path, "art")
