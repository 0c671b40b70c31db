"""The arguments of the ops by name: one description that schemas, tracing, derivatives and kernels read.

The fields stand in the order of the ops' arguments. Every tensor has a gradient but the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, get_type_hints

from torch import Tensor

from .encoding import AdaptingCode, WindowCode


class ConvolutionOperands(NamedTuple):
    """Of a convolution, a transposed one, one with shared filters or, without a weight, a pooling.

    Attributes:
        input: (N, C, H, W).
        guide: (N, G, H, W), or of the output's size for a transposed operator; None where the kernel is given.
        centres: f_i, where it is not the guide itself.
        mask: (N, 1, H, W).
        kernel: (N, 1 or C, k_h, k_w, H', W'), where it is given.
        weight: The filter.
        bias: (O,).
        inv_alpha: A parameter of the adapting kernel, or one a channel.
        inv_lambda: Likewise.
        window: As `WindowCode` writes it.
        adapting: As `AdaptingCode` writes it.
        shared_filters: Whether all channels share one filter.
    """

    input: Tensor
    guide: Tensor | None
    centres: Tensor | None
    mask: Tensor | None
    kernel: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    inv_alpha: Tensor | None
    inv_lambda: Tensor | None
    window: Sequence[int]
    adapting: Sequence[int]
    shared_filters: bool

    @property
    def window_code(self) -> WindowCode:
        """The window."""
        return WindowCode(*self.window)

    @property
    def adapting_code(self) -> AdaptingCode:
        """The adapting kernel's form."""
        return AdaptingCode(*self.adapting)

    @property
    def mixes_channels(self) -> bool:
        """Whether the filter mixes channels: neither pooling nor shared filters."""
        return self.weight is not None and not self.shared_filters

    @property
    def kernel_channels(self) -> int:
        """Channels of K, given or not."""
        if self.kernel is not None:
            return self.kernel.shape[1]
        return self.input.shape[1] if self.adapting_code.channel_wise else 1

    def output_shape(self) -> tuple[int, ...]:
        """(N, O, H', W'); its sizes may be symbols."""
        window = self.window_code
        batch, channels, height, width = self.input.shape
        if self.weight is not None and not self.shared_filters:
            channels = self.weight.shape[1 if window.transposed else 0]
        return batch, channels, *window.output_size(height, width)


class KernelOperands(NamedTuple):
    """Of the adapting kernel alone; see `ConvolutionOperands`."""

    guide: Tensor
    centres: Tensor | None
    mask: Tensor | None
    inv_alpha: Tensor | None
    inv_lambda: Tensor | None
    window: Sequence[int]
    adapting: Sequence[int]

    @property
    def window_code(self) -> WindowCode:
        """The window."""
        return WindowCode(*self.window)

    @property
    def adapting_code(self) -> AdaptingCode:
        """The adapting kernel's form."""
        return AdaptingCode(*self.adapting)

    def output_shape(self) -> tuple[int, ...]:
        """(N, 1 or G, k_h, k_w, H', W'); its sizes may be symbols."""
        window, guide = self.window_code, self.guide.shape
        channels = guide[1] if self.adapting_code.channel_wise else 1
        size = window.kernel_output_size(guide[2], guide[3])
        return guide[0], channels, window.kernel_height, window.kernel_width, *size


class MessageOperands(NamedTuple):
    """Of a mean-field update, but for the base that the message is added to.

    Attributes:
        beliefs: (N, C, H, W); their softmax over channels is what is convolved.
        kernel: (N, 1, k_h, k_w, H, W).
        weight: (C, C, k_h, k_w).
        window: As `WindowCode` writes it.
        message_weight: What the message is multiplied by.
    """

    beliefs: Tensor
    kernel: Tensor
    weight: Tensor
    window: Sequence[int]
    message_weight: float

    @property
    def window_code(self) -> WindowCode:
        """The window."""
        return WindowCode(*self.window)


Operands: TypeAlias = ConvolutionOperands | KernelOperands | MessageOperands

_SCHEMA_TYPES: Mapping[Any, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    Sequence[int]: "int[]",
    bool: "bool",
    float: "float",
}


def _hints(of: type[Operands]) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(of).items() if name in of._fields}


_TENSORS: Mapping[Any, tuple[str, ...]] = {
    of: tuple(name for name, hint in _hints(of).items() if hint in (Tensor, Tensor | None))
    for of in (ConvolutionOperands, KernelOperands, MessageOperands)
}
_DIFFERENTIATED: Mapping[Any, tuple[str, ...]] = {
    of: tuple(name for name in names if name != "mask") for of, names in _TENSORS.items()
}


def schema(of: type[Operands]) -> str:
    """The arguments as an op's schema lists them."""
    return ", ".join(f"{_SCHEMA_TYPES[hint]} {name}" for name, hint in _hints(of).items())


def tensor_count(of: type[Operands]) -> int:
    """How many of the arguments are tensors; they stand before all others."""
    return len(_TENSORS[of])


def tensors_of(operands: Operands) -> dict[str, Any]:
    """The arguments that are tensors, by name; None for those that are not given."""
    return dict(zip(_TENSORS[type(operands)], operands, strict=False))


def differentiated(of: type[Operands]) -> tuple[str, ...]:
    """Names of the tensors that have a gradient, in the order of the backward op's results."""
    return _DIFFERENTIATED[of]


def wanted_tensors(operands: Operands, wanted: Sequence[bool]) -> dict[str, Tensor]:
    """The tensors whose gradients are wanted, by name.

    Args:
        operands: Of the call.
        wanted: One flag for each of `differentiated`.

    Raises:
        ValueError: a gradient is wanted to a tensor that is not there.
    """
    names = [name for name, want in zip(differentiated(type(operands)), wanted, strict=True) if want]
    found: dict[str, Tensor] = {}
    for name in names:
        tensor = getattr(operands, name)
        if tensor is None:
            raise ValueError(f"gradients: got one wanted to {name}, which is not given, expected tensors only")
        found[name] = tensor
    return found
