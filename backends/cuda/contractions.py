"""Launches of the kernels that meet the input: outputs, and gradients of input, kernel, filter and bias."""

from __future__ import annotations

from torch import Tensor

from .instances import MODULATED_CHANNELS, TARGET_CHANNELS, TILED_SIZES
from .launching import MOST_SHARED_UNASKED, THREADS, Launches, ceil_div, tiles

PIXELS_OF_A_SLAB = 1024
"""Output pixels that one block of a sum over all of them adds up, at least."""

MOST_SLABS = 256
"""Parts of such a sum: enough for every multiprocessor."""

MOST_PARTIALS = 2**24
"""Values that the parts of one sum may hold together."""

FILTER_TILE = (32, 16)
"""Output and input channels of a block of `filter_gradient`, as in `kernels/filter_gradient.cuh`."""


TILE = (32, 4)
"""Threads of a block of `contract_tiled`, as in `kernels/contraction_tiled.cuh`."""

STAGED = 4
"""Channels that such a block stages at once."""


def mixes_channels(launches: Launches) -> bool:
    """Whether the operator's filter mixes channels: neither pooling nor shared filters."""
    return launches.tensors["weight"] is not None and not launches.sizes["shared_filters"]


def contract(launches: Launches, target: Tensor, *, backward: bool) -> None:
    """The output, added to the base where there is one, or the gradient of the input, into `target`."""
    sizes = launches.sizes
    up = bool(sizes["transposed"]) != backward
    step = (sizes["stride_height"], sizes["stride_width"]) if up else (1, 1)
    covering = tiles((target.shape[2], target.shape[3]), step) * target.shape[0]
    launches = launches.but({"bias": None, "base": None} if backward else None, backward=int(backward))
    if not mixes_channels(launches):
        alone, together = MODULATED_CHANNELS
        channels = alone if sizes["kernel_channels"] > 1 else together
        launches.run("modulate", covering * ceil_div(sizes["in_channels"], channels), target, channels)
        return
    channels = _target_channels(target.shape[1])
    packed = _packed(launches, target.shape[1], channels)
    shared = _shared_of_tiles(launches, channels)
    if shared <= MOST_SHARED_UNASKED:
        size = sizes["kernel_height"]
        height, width = target.shape[2], target.shape[3]
        blocks = ceil_div(width, TILE[0]) * ceil_div(height, TILE[1] * _pixels_of_thread(size))
        blocks *= target.shape[0] * (packed.sizes["padded"] // channels)
        packed.run("contract_tiled", blocks, target, size, channels, shared=shared)
        return
    packed.run("contract", covering * (packed.sizes["padded"] // channels), target, channels)


def kernel_gradient(launches: Launches, target: Tensor, *, narrow: bool) -> None:
    """The gradient of the adapting kernel, of the band of output pixels that the sizes name, into `target`."""
    sizes = launches.sizes
    step = (sizes["stride_height"], sizes["stride_width"]) if sizes["transposed"] else (1, 1)
    blocks = tiles((sizes["rows"], sizes["out_width"]), step) * sizes["images"]
    launches = launches.but(narrow_kernel=int(narrow), backward=0)
    if not mixes_channels(launches):
        launches.run("shared_kernel_gradient", blocks * sizes["kernel_channels"], target)
        return
    channels = _target_channels(sizes["out_channels"])
    _packed(launches, sizes["out_channels"], channels).run("kernel_gradient", blocks, target, channels)


def filter_gradient(launches: Launches, target: Tensor) -> None:
    """The gradient of the weight into `target`."""
    sizes = launches.sizes
    taps = sizes["kernel_height"] * sizes["kernel_width"]
    if mixes_channels(launches):
        of_out, of_in = ceil_div(sizes["out_channels"], FILTER_TILE[0]), ceil_div(sizes["in_channels"], FILTER_TILE[1])
        _sum_over_pixels(launches, "filter_gradient", target, taps * of_out * of_in)
    else:
        _sum_over_pixels(launches, "shared_filter_gradient", target, taps)


def bias_gradient(launches: Launches, target: Tensor) -> None:
    """The gradient of the bias into `target`."""
    _sum_over_pixels(launches, "channel_sums", target, target.numel())


def _sum_over_pixels(launches: Launches, kernel: str, target: Tensor, blocks_of_a_slab: int) -> None:
    """A sum over all output pixels in slabs, and then over the slabs, in their order."""
    sizes, elements = launches.sizes, target.numel()
    if not elements:
        return
    pixels = sizes["batch"] * sizes["out_height"] * sizes["out_width"]
    slabs = min(ceil_div(pixels, PIXELS_OF_A_SLAB), MOST_SLABS, max(1, MOST_PARTIALS // elements))
    slabs = max(1, slabs)
    partials = target.new_empty((slabs, elements), dtype=launches.wide)
    launches.but(slabs=slabs).run(kernel, slabs * blocks_of_a_slab, partials)
    sum_partials(launches, partials, target, slabs=slabs, slab_stride=elements, element_stride=1)


def sum_partials(launches: Launches, partials: Tensor, target: Tensor, **layout: int) -> None:
    """Sums of parts into `target`; the layout is that of `kernels/sums.cuh`."""
    elements = target.numel()
    summing = launches.but({"partials": partials}, elements=elements, **layout)
    summing.run("sum_partials", ceil_div(elements, THREADS), target)


def _target_channels(channels: int) -> int:
    """How many target channels a thread computes: few where there are few."""
    few, many = TARGET_CHANNELS
    return few if channels <= 2 * few else many


def _pixels_of_thread(size: int) -> int:
    return 2 if size < 7 else 1


def _shared_of_tiles(launches: Launches, channels: int) -> int:
    """Bytes of shared memory of `contract_tiled`, more than there are where it does not serve the call."""
    sizes = launches.sizes
    size = sizes["kernel_height"]
    strides = {sizes["stride_height"], sizes["stride_width"]}
    if (
        strides != {1}
        or size != sizes["kernel_width"]
        or size not in TILED_SIZES
        or launches.tensors["centres"] is not None
    ):
        return MOST_SHARED_UNASKED + 1
    width = TILE[0] + (size - 1) * sizes["dilation_width"]
    height = TILE[1] * _pixels_of_thread(size) + (size - 1) * sizes["dilation_height"]
    return STAGED * (size * size * channels + width * height) * launches.wide.itemsize


def _packed(launches: Launches, channels: int, multiple: int) -> Launches:
    """The launches with the weight packed for that many target channels."""
    weight = launches.given("weight")
    padded = ceil_div(channels, multiple) * multiple
    count = weight.numel() // max(channels, 1) * padded
    packed = weight.new_empty((count,), dtype=launches.wide)
    launches = launches.but({"filter": packed}, padded=padded, elements=count)
    launches.run("pack_filter", ceil_div(count, THREADS), packed)
    return launches
