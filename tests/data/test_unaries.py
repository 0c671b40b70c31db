"""Unaries from files: values, upsampling, and one clear line for each file that cannot be used."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.data.unaries import find_folder, load_unary, read_unary

CLASSES, SIZE = 3, (9, 13)


def _logits(shape: tuple[int, ...] = (CLASSES, 5, 7)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_corners_keep_their_values_and_the_middle_is_interpolated(tmp_path: Path) -> None:
    array = _logits()
    np.save(tmp_path / "a.npy", array)
    unary = read_unary(tmp_path / "a.npy", CLASSES, SIZE)
    assert unary.shape == (CLASSES, *SIZE)
    assert unary.dtype == torch.float32
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        np.testing.assert_allclose(unary[:, row, column].numpy(), array[:, row, column], rtol=1e-6)
    expected = (array[:, 0, 0] + array[:, 0, 1]) / 2
    np.testing.assert_allclose(unary[:, 0, 1].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_uint8_stands_for_log_probability(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (CLASSES, *SIZE), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", u8=array, other=np.zeros(3))
    unary = read_unary(tmp_path / "a.npz", CLASSES, SIZE)
    np.testing.assert_allclose(unary.numpy(), -0.05 * array.astype(np.float64), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_floating_dtype_is_read_as_it_is(tmp_path: Path, dtype: type) -> None:
    array = _logits((CLASSES, *SIZE)).astype(dtype)
    np.savez_compressed(tmp_path / "a.npz", logits=array)
    unary = read_unary(tmp_path / "a.npz", CLASSES, SIZE)
    np.testing.assert_allclose(unary.numpy(), array.astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (_logits((5, 7)), r"got an array of shape \(5, 7\), expected \(3, h, w\)"),
        (_logits((4, 5, 7)), r"got an array of shape \(4, 5, 7\), expected \(3, h, w\)"),
        (_logits((5, 7, 3)), r"got an array of shape \(5, 7, 3\), expected \(3, h, w\)"),
        (_logits((3, 0, 7)), r"got an array of shape \(3, 0, 7\), expected \(3, h, w\)"),
        (np.zeros((3, 5, 7), dtype=np.int64), "got an array of int64, expected floating point or uint8"),
        (np.zeros((3, 5, 7), dtype=bool), "got an array of bool, expected floating point or uint8"),
        (np.full((3, 5, 7), np.nan), "got 105 values that are not finite in float32, expected none"),
        (np.full((3, 1, 1), -np.inf, dtype=np.float32), "got 3 values that are not finite"),
    ],
    ids=["2d", "classes", "channels-last", "empty", "int64", "bool", "nan", "inf"],
)
def test_array_that_cannot_be_used(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(DataError, match=f"bad.npy: {message}"):
        read_unary(tmp_path / "bad.npy", CLASSES, SIZE)


def test_float64_beyond_float32_is_named_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", np.full((3, 1, 1), 1e300))
    with pytest.raises(DataError, match="got 3 values that are not finite in float32"):
        read_unary(tmp_path / "bad.npy", CLASSES, SIZE)


class _Trap:
    """Unpickling it would call `pytest.fail`."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("kind", ["npy", "npz", "raw pickle"])
def test_pickles_are_refused_and_never_loaded(tmp_path: Path, kind: str) -> None:
    objects = np.array([_Trap()], dtype=object)
    path = tmp_path / f"bad.{kind[:3]}"
    if kind == "npy":
        np.save(path, objects, allow_pickle=True)
    elif kind == "npz":
        np.savez(path, u8=objects)
    else:
        path = tmp_path / "bad.npy"
        path.write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(DataError, match=r"bad\.np[yz]: got a file that cannot be read \(.*\), expected a plain array"):
        read_unary(path, CLASSES, SIZE)


@pytest.mark.parametrize("keep", [0, 3, 40, 0.5, 0.97])
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_truncated_file(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"bad{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, u8=np.random.default_rng(0).integers(0, 256, (3, 20, 20), dtype=np.uint8))
    else:
        np.save(path, _logits((3, 20, 20)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(DataError, match=f"bad{suffix}: got a file that cannot be read"):
        read_unary(path, CLASSES, SIZE)


def test_npz_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, u8=np.random.default_rng(0).integers(0, 256, (3, 20, 20), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    data[300:400] = bytes(100)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"bad\.npz: got a file that cannot be read"):
        read_unary(path, CLASSES, SIZE)


def test_npz_with_several_arrays_of_which_none_is_u8(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", a=_logits(), b=_logits())
    with pytest.raises(DataError, match=r"bad\.npz: got a, b, expected one array, or one named u8"):
        read_unary(tmp_path / "bad.npz", CLASSES, SIZE)


def test_missing_file_and_escaping_id(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.npz: got no file, expected x\.npz or x\.npy"):
        load_unary(tmp_path, "x", CLASSES, SIZE)
    with pytest.raises(DataError, match=r"y\.npy: got no file, expected an \.npz or \.npy array"):
        read_unary(tmp_path / "y.npy", CLASSES, SIZE)
    for escaping in ("../x", "a/b", "..", ""):
        with pytest.raises(DataError, match="expected a plain file name"):
            load_unary(tmp_path, escaping, CLASSES, SIZE)


def test_the_folder_is_found_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got none, expected one folder unary\*"):
        find_folder(tmp_path)
    (tmp_path / "unary_a").mkdir()
    (tmp_path / "unary.txt").write_text("")
    assert find_folder(tmp_path) == tmp_path / "unary_a"
    (tmp_path / "unary_b").mkdir()
    with pytest.raises(DataError, match="got unary_a, unary_b, expected one folder"):
        find_folder(tmp_path)


def test_real_unaries_are_log_probabilities(voc_samples: Path) -> None:
    unary = load_unary(find_folder(voc_samples), "2007_000033", 21, (192, 192))
    assert unary.max() <= 0
    sums = unary.exp().sum(0)
    assert 0.9 < sums.mean() < 1.1
