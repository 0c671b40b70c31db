"""Readers of optical flow: right values, and malformed files named with what was got and expected."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.data.flow_files import read_flo, read_kitti_flow

FLOW = np.random.default_rng(0).normal(0, 20, (5, 7, 2)).astype(np.float32)


def flo(flow=FLOW, *, magic=202021.25, size=None):
    height, width = flow.shape[:2]
    return struct.pack("<fii", magic, *(size or (width, height))) + flow.astype("<f4").tobytes()


def kitti(flow=FLOW, valid=True):
    pixels = np.zeros((*flow.shape[:2], 3), np.uint16)
    pixels[:, :, 2] = np.rint(flow[:, :, 0] * 64 + 32768)  # OpenCV's order is blue, green, red
    pixels[:, :, 1] = np.rint(flow[:, :, 1] * 64 + 32768)
    pixels[:, :, 0] = valid
    return cv2.imencode(".png", pixels)[1].tobytes()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


def test_flo_is_read_as_opencv_reads_it(write):
    path = write("a.flo", flo())
    found = read_flo(path)
    np.testing.assert_array_equal(found.vectors.permute(1, 2, 0).numpy(), cv2.readOpticalFlow(str(path)))
    assert bool(found.known.all())


@pytest.mark.parametrize("unknown", [1.1e9, -2e9, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("component", [0, 1])
def test_unknown_flow_is_masked(write, unknown, component):
    flow = FLOW.copy()
    flow[2, 3, component] = unknown
    found = read_flo(write("a.flo", flo(flow)))
    assert not bool(found.known[2, 3])
    assert int(found.known.sum()) == 34
    assert found.vectors[:, 2, 3].tolist() == [0, 0]
    assert bool(torch.isfinite(found.vectors).all())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got a file that begins with b''"),
        (flo()[:10], "expected b'PIEH' of a .flo file"),
        (flo(magic=202021.0), "expected b'PIEH' of a .flo file"),
        (flo()[:-1], "got 291 bytes, expected 292 for the 7 x 5 pixels"),
        (flo() + b"\0", "got 293 bytes, expected 292"),
        (flo(size=(5, 5)), "got 292 bytes, expected 212"),
        (flo(size=(0, 5)), "got an image of 0 x 5 pixels by its header, expected 1 to 65535"),
        (flo(size=(-7, 5)), "got an image of -7 x 5 pixels"),
        (flo(size=(2**31 - 1, 2**31 - 1)), "got an image of 2147483647 x 2147483647 pixels"),
        (flo(size=(60_000, 60_000)), "268435456 at most"),
    ],
)
def test_a_malformed_flo_is_named(write, content, message):
    path = write("bad.flo", content)
    with pytest.raises(DataError) as caught:
        read_flo(path)
    assert str(caught.value).startswith(f"{path}: got ")
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.flo: got no file, expected a \.flo file"):
        read_flo(tmp_path / "none.flo")
    with pytest.raises(DataError, match="cannot be read"):
        read_flo(tmp_path)


def test_kitti_flow_is_a_64th_of_a_pixel_and_has_a_mask(write):
    valid = np.ones(FLOW.shape[:2], np.uint16)
    valid[1, 2] = 0
    found = read_kitti_flow(write("a.png", kitti(valid=valid)))
    expected = np.where(valid[..., None], np.rint(FLOW * 64) / 64, 0)
    np.testing.assert_array_equal(found.vectors.permute(1, 2, 0).numpy(), expected)
    np.testing.assert_array_equal(found.known.numpy(), valid == 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GIF89a", "got a file that begins with b'GIF89a'"),
        (kitti()[:-30], "expected a whole PNG file"),
        (kitti()[:-12], "expected a whole PNG file"),
        (kitti()[:40], "expected a whole PNG file"),
        (cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes(), "got a picture of 8 bits, colour"),
        (cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes(), "got a picture of 16 bits, grey"),
        (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, 2, 0, 0, 0))
            + chunk(b"IEND", b""),
            "got an image of 2147483647 x 2147483647 pixels",
        ),
        (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)) + chunk(b"IEND", b""),
            "got pixels that cannot be decoded",
        ),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "as the first chunk"),
    ],
    ids=["gif", "cut", "no_end", "header_only", "8_bit", "grey", "absurd", "no_pixels", "no_header"],
)
def test_a_malformed_kitti_png_is_named(write, content, message):
    path = write("bad.png", content)
    with pytest.raises(DataError) as caught:
        read_kitti_flow(path)
    assert str(caught.value).startswith(f"{path}: got ")
    assert message in str(caught.value)


def test_a_changed_byte_is_found(write):
    content = bytearray(kitti())
    content[60] ^= 1
    with pytest.raises(DataError, match="wrong checksum"):
        read_kitti_flow(write("bad.png", bytes(content)))
