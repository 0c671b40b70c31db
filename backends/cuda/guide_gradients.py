"""Gradients of what an adapting kernel is made of, from those of the kernel, in bands of output pixels.

The gradient of K has k² values a pixel. It is held for one band at a time, so that its memory is bounded whatever the
image's size; bands are added in their order.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor

from .contractions import sum_partials
from .launching import Launches, ceil_div, tiles

MOST_BYTES_OF_A_BAND = 32 * 2**20
GUIDE_CHANNELS = 4
"""Guide channels of a thread, as in `kernels/guide_gradient.cuh`."""

MADE_OF = ("guide", "centres", "inv_alpha", "inv_lambda")


class Band(NamedTuple):
    """Some output pixels: whole images, or rows of one; the fields are named as those of the call."""

    first_image: int
    images: int
    first_row: int
    rows: int


def everything(launches: Launches) -> Launches:
    """The launches with all output pixels as their band."""
    sizes = launches.sizes
    return launches.but(first_image=0, images=sizes["batch"], first_row=0, rows=sizes["out_height"])


def bands(launches: Launches, most_bytes: int) -> list[Band]:
    """The bands of all output pixels whose gradients of K take at most so many bytes each, or are one row."""
    sizes = launches.sizes
    batch, height = sizes["batch"], sizes["out_height"]
    rows = max(1, most_bytes // (_values_of_a_row(launches) * launches.wide.itemsize))
    if rows >= height:
        step = rows // height
        return [Band(first, min(step, batch - first), 0, height) for first in range(0, batch, step)]
    return [
        Band(image, 1, first, min(rows, height - first)) for image in range(batch) for first in range(0, height, rows)
    ]


def _values_of_a_row(launches: Launches) -> int:
    sizes = launches.sizes
    return sizes["kernel_channels"] * sizes["kernel_height"] * sizes["kernel_width"] * sizes["out_width"]


class GuideGradients:
    """Gradients to those of MADE_OF that are asked for.

    Attributes:
        bands: The bands, each of which must be given to `add` in this order.
        buffer: Memory for the gradient of K in one band.
    """

    def __init__(self, launches: Launches, asked: Collection[str]) -> None:
        self._launches = launches
        guide = launches.given("guide")
        self.bands = bands(launches, MOST_BYTES_OF_A_BAND)
        largest = max((band.images * band.rows for band in self.bands), default=0)
        self.buffer = guide.new_empty((largest * _values_of_a_row(launches),))
        self._made = {
            name: launches.given(name).new_empty(launches.given(name).shape) for name in MADE_OF if name in asked
        }
        blocks = sum(self._blocks(band) for band in self.bands)
        self._partials = guide.new_empty((blocks, 2)) if {"inv_alpha", "inv_lambda"} & self._made.keys() else None
        self._blocks_done = 0

    def _blocks(self, band: Band) -> int:
        sizes = self._launches.sizes
        return tiles((band.rows, sizes["out_width"])) * band.images * sizes["kernel_channels"]

    def add(self, band: Band, gradient: Tensor, *, narrow: bool, whole: bool) -> None:
        """Add a band.

        Args:
            band: One of `bands`.
            gradient: Of K: of the band, or `whole`, of all output pixels. May be `buffer`.
            narrow: Whether it is in the stored dtype.
            whole: See above.
        """
        sizes = self._launches.sizes
        launches = self._launches.but({"gradient": gradient, "partials": self._partials}, **band._asdict())
        chain = launches.but(narrow_kernel=int(narrow), whole_gradient=int(whole), partial_offset=2 * self._blocks_done)
        chain.run("distance_gradient", self._blocks(band), self.buffer)
        self._blocks_done += self._blocks(band)
        of_distance = launches.but({"gradient": self.buffer}, accumulate=int(band.first_row > 0))
        if "guide" in self._made:
            step = (sizes["guide_stride_height"], sizes["guide_stride_width"])
            covering = tiles((sizes["guide_height"], sizes["guide_width"]), step) * band.images
            blocks = covering * ceil_div(sizes["guide_channels"], GUIDE_CHANNELS)
            of_distance.run("guide_gradient", blocks, self._made["guide"], of_wide=True)
        if "centres" in self._made:
            blocks = tiles((band.rows, sizes["out_width"])) * band.images * sizes["guide_channels"]
            of_distance.run("centre_gradient", blocks, self._made["centres"], of_wide=True)

    def finished(self) -> dict[str, Tensor]:
        """The gradients, in the dtype that is computed in, after the last band."""
        channels = self._launches.sizes["kernel_channels"]
        for offset, name in enumerate(("inv_alpha", "inv_lambda")):
            if name in self._made and self._partials is not None:
                of_channel = self._made[name].numel() > 1
                self._sum(self._partials, self._made[name], channels if of_channel else 1, offset)
        return self._made

    def _sum(self, partials: Tensor, target: Tensor, channels: int, offset: int) -> None:
        """Partials are [block][2], a kernel channel a block in turn."""
        layout = {"slabs": partials.shape[0] // channels, "slab_stride": 2 * channels, "element_stride": 2}
        wide = Launches(self._launches.launcher, self._launches.wide, self._launches.tensors, self._launches.sizes)
        sum_partials(wide, partials, target, partial_offset=offset, **layout)
