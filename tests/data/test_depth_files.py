"""Readers of depth: right values, and malformed files named with what was got and expected."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.data.depth_files import read_depth_png, read_pfm

DEPTH = np.random.default_rng(0).random((5, 7)).astype(np.float32) * 9 + 1


def pfm(values=DEPTH, *, header="Pf\n7 5\n-1.0\n", order="<"):
    return header.encode() + values[::-1].astype(f"{order}f4").tobytes()


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written


@pytest.mark.parametrize("steps", [256.0, 1000.0])
def test_a_16_bit_png_is_divided_by_its_steps_and_0_is_unknown(write, steps):
    pixels = np.rint(DEPTH * steps).astype(np.uint16)
    pixels[3, 4] = 0
    found = read_depth_png(write("a.png", cv2.imencode(".png", pixels)[1].tobytes()), steps)
    np.testing.assert_allclose(found.values.numpy(), pixels / np.float32(steps), rtol=1e-6)
    np.testing.assert_array_equal(found.known.numpy(), pixels > 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xd8\xff\xe0", "expected a PNG file"),
        (cv2.imencode(".png", np.ones((9, 9), np.uint16))[1].tobytes()[:-20], "expected a whole PNG file"),
        (cv2.imencode(".png", np.ones((9, 9), np.uint8))[1].tobytes(), "got a picture of 8 bits, grey, expected 16"),
        (cv2.imencode(".png", np.ones((9, 9, 3), np.uint16))[1].tobytes(), "16 bits, colour, expected 16 bits, grey"),
    ],
    ids=["jpeg", "cut", "8_bit", "colour"],
)
def test_a_malformed_depth_png_is_named(write, content, message):
    path = write("bad.png", content)
    with pytest.raises(DataError) as caught:
        read_depth_png(path, 256)
    assert str(caught.value).startswith(f"{path}: got ")
    assert message in str(caught.value)


@pytest.mark.parametrize("steps", [0, -1, float("nan")])
def test_steps_that_are_none_are_refused(write, steps):
    with pytest.raises(DataError, match="expected a number above 0"):
        read_depth_png(write("a.png", b""), steps)


@pytest.mark.parametrize(("header", "order"), [("Pf\n7 5\n-1.0\n", "<"), ("Pf 7 5 1\r\n", ">"), ("Pf\n7 5\n-2\n", "<")])
def test_a_pfm_file_is_read_from_its_last_row_in_its_byte_order(write, header, order):
    found = read_pfm(write("a.pfm", pfm(header=header, order=order)))
    np.testing.assert_array_equal(found.values.numpy(), DEPTH)
    assert bool(found.known.all())


def test_pfm_is_read_as_opencv_reads_it(write):
    path = write("a.pfm", pfm())
    np.testing.assert_array_equal(read_pfm(path).values.numpy(), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_unknown(write, hole):
    values = DEPTH.copy()
    values[0, 6] = hole
    found = read_pfm(write("a.pfm", pfm(values)))
    assert not bool(found.known[0, 6])
    assert int(found.known.sum()) == 34
    assert bool(torch.isfinite(found.values).all())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the header of a .pfm file"),
        (b"P5\n7 5\n255\n" + b"\0" * 35, "expected the header of a .pfm file"),
        (b"Pf\n7 5", "expected the header of a .pfm file"),
        (pfm(header="PF\n7 5\n-1\n"), "got a colour .pfm file"),
        (pfm(header="Pf\n7 5\n0\n"), "as the scale"),
        (pfm(header="Pf\n7 5\nnan\n"), "as the scale"),
        (pfm(header="Pf\n7 5\nwide\n"), "as the scale"),
        (pfm(header="Pf\n0 5\n-1\n"), "got an image of 0 x 5 pixels"),
        (pfm(header="Pf\n99999999999 5\n-1\n"), "got an image of 99999999999 x 5 pixels"),
        (pfm()[:-4], "got 136 bytes after the header, expected 140 for its 7 x 5 pixels"),
        (pfm() + b"\0", "got 141 bytes after the header, expected 140"),
    ],
)
def test_a_malformed_pfm_is_named(write, content, message):
    path = write("bad.pfm", content)
    with pytest.raises(DataError) as caught:
        read_pfm(path)
    assert str(caught.value).startswith(f"{path}: got ")
    assert message in str(caught.value)
