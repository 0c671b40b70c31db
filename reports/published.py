"""The published results of the paper, kept apart from anything that a run measures."""

from __future__ import annotations

from . import number_format as written
from .cells import Cell, Column, SummaryTable, words

SOURCE = (
    "Su, Jampani, Sun, Gallo, Learned-Miller and Kautz: Pixel-Adaptive Convolutional Neural Networks, "
    "CVPR 2019, table of CRFs (PASCAL VOC 2012 test)."
)
NOT_COMPARABLE = (
    "These numbers are not comparable with a run's: the paper scores the VOC 2012 test set with learned "
    "weights and times its authors' programs on their hardware, while a run scores the images that its own "
    "table names, on the machine that its header names."
)
ON_VAL = (
    "On PASCAL VOC 2012 val the authors' program has these mIoU (README of NVlabs/pacnet): FCN-8s 65.51, PAC-CRF,32 "
    "68.52, PAC-CRF,16-64 68.90, PacFCN 67.44, PacFCN and PAC-CRF 69.87."
)
UNARY_MIOU = 67.20
_ROWS: tuple[tuple[str, str, float, float], ...] = (
    ("Full-CRF", "full_crf", 2.45, 629.0),
    ("BCL-CRF", "bcl_crf", 2.33, 2600.0),
    ("Conv-CRF", "conv_crf_11 and conv_crf_7", 1.57, 38.0),
    ("PAC-CRF,32", "pac_crf_32", 2.21, 39.0),
    ("PAC-CRF,16-64", "pac_crf_16_64", 2.62, 78.0),
)


def published_table() -> SummaryTable:
    """Gain in mIoU over the FCN unary and time per image, as the paper prints them."""
    return SummaryTable(
        name="published",
        title="Published results, for orientation",
        caption=f"PASCAL VOC 2012 test: gain in points over the unary FCN's {UNARY_MIOU:.2f} mIoU, and time in "
        "ms for one image, as printed in the paper; not measured by this run.",
        columns=(
            Column("method", "method", numeric=False),
            Column("row_here", "row here", numeric=False),
            Column("gain_points", "gain"),
            Column("time_ms", "time ms"),
        ),
        rows=tuple(
            (
                words(name),
                words(ours),
                Cell(text=written.points(gain), value=gain),
                Cell(text=f"{time:.0f}", value=time),
            )
            for name, ours, gain, time in _ROWS
        ),
        remarks=(f"Source: {SOURCE}", ON_VAL, NOT_COMPARABLE),
    )
