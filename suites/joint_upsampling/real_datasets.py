"""Real data by its layout: a folder is asked for each data set that it may hold, itself or in its subfolders.

Whatever the data, the samples are pixels of the truth (`sampling`), but for the noisy Middlebury inputs, which came
with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from pacbench.data import flying_chairs, middlebury_flow, middlebury_stereo, nyu_depth, sintel
from pacbench.data.data_error import DataError
from pacbench.data.flow_samples import FlowEntry, load_flow_sample

from .datasets import Data, Item, UpsamplingDataset, scenes_to_tune

_CENTIMETRES = 100.0
_IMAGES_TO_TUNE = {"quick": 2, "standard": 4, "full": 8}
_TUNED_PART = (240, 320)

_UNKNOWN = (
    "unknown pixels are not evaluated; before sampling they are filled with the nearest known one, and joint_bilateral "
    "and bilateral_solver leave samples so filled out by their mask"
)
_FLOW_NOTE = (
    f"no border is left out; {_UNKNOWN}; the published low-resolution flow was averaged, this one is sampled, so that "
    "no unknown flow gets into it"
)


def open_folder(root: Path, profile: str) -> dict[str, Data]:
    """Every data set that a folder holds, in itself or in a subfolder, by name.

    Raises:
        DataError: none is there; the message says what was looked for. Or a list of one is broken.
    """
    found: dict[str, Data] = {}
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    for folder in folders:
        for layout in _LAYOUTS:
            if layout.is_here(folder):
                for name, data in layout.open(folder, profile).items():
                    found.setdefault(name, data)
    if not found:
        expected = "; ".join(layout.title for layout in _LAYOUTS)
        raise DataError(f"{root}: got no data set for joint upsampling, expected one of: {expected}")
    return found


def centre(item: Item) -> Item:
    """The middle of an image, at most 240 x 320 pixels: enough to tune on."""
    rows, columns = (
        slice(max(0, (size - most) // 2), max(0, (size - most) // 2) + min(size, most))
        for size, most in zip(item.known.shape, _TUNED_PART, strict=True)
    )
    return Item(item.id, item.guide[:, rows, columns], item.truth[:, rows, columns], item.known[rows, columns])


def spread(ids: tuple[str, ...], count: int) -> tuple[str, ...]:
    """`count` of the ids, evenly spread over their order."""
    if count >= len(ids):
        return ids
    return tuple(ids[index * len(ids) // count] for index in range(count))


def _load_nyu(root: Path, item_id: str) -> Item:
    sample = nyu_depth.load_sample(root, item_id)
    return Item(item_id, sample.image, sample.depth[None] * _CENTIMETRES, sample.known)


def _nyu(root: Path, profile: str) -> dict[str, Data]:
    load = partial(_load_nyu, root)
    tested = nyu_depth.split_ids(root, "test")
    trained = tuple(name for name in nyu_depth.split_ids(root, "train") if name not in tested)
    name = "NYU Depth V2, depth in cm"
    note = (
        f"{len(tested)} frames of the test split" if (root / nyu_depth.FILE).is_file() else
        f"{len(tested)} frames of the test split, their depth from 8-bit files (quantised by about 0.7 cm RMS)"
    )  # fmt: skip
    few = spread(trained, _IMAGES_TO_TUNE[profile])
    tuning = UpsamplingDataset(
        f"{name}, centres of train frames", few, lru_cache(maxsize=16)(lambda item_id: centre(load(item_id))), note
    )
    return {"nyu": Data(UpsamplingDataset(f"{name}, {len(tested)} test frames", tested, load, note), tuning)}


def _stereo(root: Path, profile: str) -> dict[str, Data]:
    def load(name: str) -> Item:
        scene = middlebury_stereo.load_scene(root, name)
        given = {factor: values[None] for factor, values in scene.noisy.items()}
        return Item(name, scene.image, scene.disparity[None], scene.known, given)

    names = middlebury_stereo.scene_names(root)
    unit = "disparity in levels of 8-bit files"
    noisy_note = (
        "low resolution and noise as published with the data; its samples lie at the centres of blocks, half a pixel "
        f"beyond where joint_bilateral and the rows on bilinear_aligned take them; {_UNKNOWN}"
    )
    noisy = UpsamplingDataset(f"Middlebury with noise, {unit}", names, load, noisy_note, sampled=False)
    tuning = scenes_to_tune("depth", profile)
    return {
        "middlebury": Data(UpsamplingDataset(f"Middlebury, {unit}", names, load, _UNKNOWN), tuning),
        "middlebury_noisy": Data(noisy, tuning),
    }


def _flow_set(name: str, entries: Iterable[FlowEntry]) -> UpsamplingDataset:
    by_id: Mapping[str, FlowEntry] = {entry.id: entry for entry in entries}

    def load(item_id: str) -> Item:
        sample = load_flow_sample(by_id[item_id])
        return Item(item_id, sample.image, sample.flow, sample.known)

    return UpsamplingDataset(name, tuple(by_id), load, _FLOW_NOTE, "flow", border=0)


def _sintel(root: Path, profile: str) -> dict[str, Data]:
    name = f"MPI Sintel{' (clean)' if (root / 'training').is_dir() else ''}, flow in pixels"
    if not sintel.has_split(root):
        found = _flow_set(f"{name}, every frame found", sintel.entries(root, None))
        return {"sintel": Data(found, scenes_to_tune("flow", profile))}
    trained = sintel.entries(root, "train")
    few = spread(tuple(entry.id for entry in trained), _IMAGES_TO_TUNE[profile])
    whole = _flow_set(f"{name}, centres of train frames", [entry for entry in trained if entry.id in few])
    tuning = replace(whole, load=lambda item_id: centre(whole.load(item_id)))
    return {"sintel": Data(_flow_set(f"{name}, val frames", sintel.entries(root, "val")), tuning)}


def _middlebury_flow(root: Path, profile: str) -> dict[str, Data]:
    found = _flow_set("Middlebury, flow in pixels", middlebury_flow.entries(root))
    return {"middlebury_flow": Data(found, scenes_to_tune("flow", profile))}


def _chairs(root: Path, profile: str) -> dict[str, Data]:
    found = _flow_set("Flying Chairs, flow in pixels", flying_chairs.entries(root))
    return {"chairs": Data(found, scenes_to_tune("flow", profile))}


@dataclass(frozen=True)
class _Layout:
    title: str
    is_here: Callable[[Path], bool]
    open: Callable[[Path, str], dict[str, Data]]


_LAYOUTS = (
    _Layout(f"NYU Depth V2 ({nyu_depth.FILE}, or rgb, depth and depth_scale.csv)", nyu_depth.is_here, _nyu),
    _Layout("Middlebury stereo (SCENE/disp_gt.png)", middlebury_stereo.is_here, _stereo),
    _Layout("Middlebury flow (other-gt-flow, or SCENE/flow10.flo)", middlebury_flow.is_here, _middlebury_flow),
    _Layout("MPI Sintel (training/flow, or frame_NNNN.flo)", sintel.is_here, _sintel),
    _Layout("Flying Chairs (NNNNN_flow.flo)", flying_chairs.is_here, _chairs),
)


def _nyu_to_train_on(root: Path) -> UpsamplingDataset | None:
    if not nyu_depth.is_here(root):
        return None
    tested = nyu_depth.split_ids(root, "test")
    trained = tuple(name for name in nyu_depth.split_ids(root, "train") if name not in tested)
    return UpsamplingDataset("NYU Depth V2, depth in cm, train frames", trained, partial(_load_nyu, root), "")


def _sintel_to_train_on(root: Path) -> UpsamplingDataset | None:
    if not (sintel.is_here(root) and sintel.has_split(root)):
        return None
    return _flow_set("MPI Sintel (clean), flow in pixels, train frames", sintel.entries(root, "train"))


def _chairs_to_train_on(root: Path) -> UpsamplingDataset | None:
    if not flying_chairs.is_here(root):
        return None
    return _flow_set("Flying Chairs, flow in pixels", flying_chairs.entries(root))


TRAINING: Mapping[str, Callable[[Path], UpsamplingDataset | None]] = {
    "nyu": _nyu_to_train_on,
    "sintel": _sintel_to_train_on,
    "chairs": _chairs_to_train_on,
}
"""What networks can be trained on, by name: None where a folder does not hold it, or nothing apart from its test."""
