"""Hot-swapping: convolutions of a trained network become pixel-adaptive ones (Su et al., CVPR 2019, section 6).

The weights stay; the guide is the output of an earlier layer, resized and scaled. With a guide that is constant the
adapting kernel is 1 everywhere and the network is the one it was, so a small scale starts fine-tuning near it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..backend import Backend
from .guide_source import ForgetGuide, GuideSource, KeepGuide
from .layers import GuidedOutput, PacConv2d, PacConvTranspose2d

Model = TypeVar("Model", bound=nn.Module)


class SwappedConv2d(PacConv2d):
    """What `hot_swap` puts in the place of an `nn.Conv2d`: same weights, guide from its source."""

    source: GuideSource
    layer_name: str

    def forward(
        self,
        input: Tensor,
        guide: Tensor | None = None,
        kernel: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> GuidedOutput:
        """As `PacConv2d`; without guide and kernel the guide comes from the source, at the input's size."""
        if guide is None and kernel is None:
            guide = self.source.at((input.shape[2], input.shape[3]), self.layer_name)
        return super().forward(input, guide, kernel, mask)


class SwappedConvTranspose2d(PacConvTranspose2d):
    """What `hot_swap` puts in the place of an `nn.ConvTranspose2d`: same weights, guide from its source.

    The filter is kept as torch stores it and is flipped in use, as the pixel-adaptive operator correlates where
    torch convolves.
    """

    source: GuideSource
    layer_name: str

    def forward(
        self,
        input: Tensor,
        guide: Tensor | None = None,
        kernel: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> GuidedOutput:
        """As `PacConvTranspose2d`; without guide and kernel the guide comes from the source, at the output's size."""
        from .. import functional

        window = (self.stride, self.padding, self.output_padding, self.dilation, self.shared_filters)
        flipped = self.weight.flip((2, 3))
        if kernel is not None:
            return functional.pacconv_transpose2d(input, kernel, flipped, self.bias, *window, backend=self.backend)
        if guide is None:
            sizes = zip(
                (input.shape[2], input.shape[3]), self.stride, self.padding, self.output_padding,
                self.dilation, self.kernel_size, strict=True,
            )  # fmt: skip
            height, width = ((n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, s, p, o, d, k in sizes)
            guide = self.source.at((height, width), self.layer_name)
        output: GuidedOutput = functional.guided_pacconv_transpose2d(
            input, guide, flipped, self.bias, *window, mask=mask, **self._kernel_options()
        )
        return output


def hot_swap(
    model: Model,
    layers: Sequence[str],
    *,
    guide: str,
    guide_scale: float = 1.0,
    detach_guide: bool = False,
    kernel_type: str = "gaussian",
    normalize_kernel: bool = False,
    backend: str | Backend | None = None,
    inplace: bool = False,
) -> Model:
    """Replace convolutions of any model by pixel-adaptive ones.

    Args:
        model: Any model whose layers run in one pass of `model(...)`, one pass at a time (not two in two threads).
        layers: Names, as in `model.named_modules()`, of `nn.Conv2d` or `nn.ConvTranspose2d` layers with odd windows,
            one group and zero padding of at most half a window (half a window exactly for a transposed one).
        guide: Name of the layer whose output (N, G, H, W) is the guide. It must run before the others; where it runs
            more than once in a pass, its last output counts.
        guide_scale: What the guide is multiplied with.
        detach_guide: Let no gradient flow through the guide.
        kernel_type: See `pacbench.functional.packernel2d`, like the next one.
        normalize_kernel: Divide the adapting kernel by its sum. Without it, a constant guide changes nothing.
        backend: The backend that serves the swapped layers.
        inplace: Change `model` itself; else it is copied, and shares nothing with the result.

    Returns:
        The model with its layers swapped: same class, same state_dict keys, the very parameters of the original (or
        of its copy). The guide is resized to each layer's input (to its output, where that is transposed); see
        `pacbench.nn.guide_source.resized`.

    Raises:
        ValueError: a layer that is not there, is no convolution or is one that cannot be swapped.
    """
    names = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not names:
        raise ValueError("hot_swap: got no layer, expected at least one name")
    for name in names:
        _expect_swappable(model, name)
    _layer(model, guide, "guide")
    if any(guide == name or guide.startswith(f"{name}.") for name in names):
        raise ValueError(f"hot_swap: guide {guide!r} is itself to be swapped, expected an earlier layer")
    swapped = model if inplace else copy.deepcopy(model)
    source = GuideSource(guide, float(guide_scale), detach_guide)
    for name in names:
        old = swapped.get_submodule(name)
        new = _swapped(cast("nn.Conv2d | nn.ConvTranspose2d", old), kernel_type, normalize_kernel, backend)
        new.source, new.layer_name = source, name
        _replace_everywhere(swapped, old, new)
    swapped.get_submodule(guide).register_forward_hook(KeepGuide(source))
    swapped.register_forward_pre_hook(ForgetGuide(source))
    swapped.register_forward_hook(ForgetGuide(source), always_call=True)
    return swapped


def _layer(model: nn.Module, name: str, what: str) -> nn.Module:
    try:
        found = model.get_submodule(name) if name else None
    except AttributeError:
        found = None
    if found is None:
        known = [known for known, _ in model.named_modules() if known]
        raise ValueError(f"hot_swap: got {what} {name!r}, expected one of {', '.join(known) or 'no layer at all'}")
    return found


def _expect_swappable(model: nn.Module, name: str) -> None:
    layer = _layer(model, name, "layer")
    if type(layer) not in (nn.Conv2d, nn.ConvTranspose2d):
        raise ValueError(
            f"hot_swap: layer {name!r} is a {type(layer).__name__}, expected an nn.Conv2d or nn.ConvTranspose2d"
        )
    layer = cast("nn.Conv2d | nn.ConvTranspose2d", layer)
    if layer.groups != 1:
        raise ValueError(f"hot_swap: layer {name!r} has {layer.groups} groups, expected 1")
    if layer.padding_mode != "zeros":
        raise ValueError(f"hot_swap: layer {name!r} has padding_mode {layer.padding_mode!r}, expected 'zeros'")
    if any(size % 2 == 0 for size in layer.kernel_size):
        raise ValueError(f"hot_swap: layer {name!r} has kernel_size {layer.kernel_size}, expected odd sizes")
    if parametrize.is_parametrized(layer) or any(layer._forward_pre_hooks):
        raise ValueError(
            f"hot_swap: layer {name!r} computes its weight anew at each pass (a parametrization or a hook), expected "
            "a plain parameter; remove it first"
        )
    padding, half = _padding(layer), _half_window(layer)
    if isinstance(layer, nn.ConvTranspose2d):
        if padding != half:
            raise ValueError(
                f"hot_swap: transposed layer {name!r} has padding {padding}, expected half its window, {half}, so that "
                "the window is centred on the pixel whose guide it compares"
            )
    elif any(own > most for own, most in zip(padding, half, strict=True)):
        raise ValueError(
            f"hot_swap: layer {name!r} has padding {padding}, expected at most half its window, {half}: farther out, "
            "windows are centred where there is no guide"
        )


def _half_window(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    half = [(size - 1) * spacing // 2 for size, spacing in zip(layer.kernel_size, layer.dilation, strict=True)]
    return half[0], half[1]


def _padding(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    if isinstance(layer.padding, str):
        return _half_window(layer) if layer.padding == "same" else (0, 0)
    rows, columns = layer.padding
    return rows, columns


def _swapped(
    layer: nn.Conv2d | nn.ConvTranspose2d, kernel_type: str, normalize_kernel: bool, backend: str | Backend | None
) -> SwappedConv2d | SwappedConvTranspose2d:
    size = cast("tuple[int, int]", layer.kernel_size)
    stride, dilation = cast("tuple[int, int]", layer.stride), cast("tuple[int, int]", layer.dilation)
    new: SwappedConv2d | SwappedConvTranspose2d
    with torch.random.fork_rng(devices=[]):  # the filler's random numbers are thrown away: do not use up the caller's
        if isinstance(layer, nn.ConvTranspose2d):
            new = SwappedConvTranspose2d(
                layer.in_channels, layer.out_channels, size, stride, _padding(layer),
                cast("tuple[int, int]", layer.output_padding), dilation, layer.bias is not None,
                kernel_type, normalize_kernel=normalize_kernel, backend=backend,
            )  # fmt: skip
        else:
            new = SwappedConv2d(
                layer.in_channels, layer.out_channels, size, stride, _padding(layer), dilation,
                layer.bias is not None, kernel_type, normalize_kernel=normalize_kernel, backend=backend,
            )  # fmt: skip
    new.to(device=layer.weight.device, dtype=layer.weight.dtype)
    new.weight, new.bias = layer.weight, cast("nn.Parameter | None", layer.bias)
    new.train(layer.training)
    new._forward_hooks, new._backward_hooks = layer._forward_hooks, layer._backward_hooks
    return new


def _replace_everywhere(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """A layer that is used under several names is replaced under all of them."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)
