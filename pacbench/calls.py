"""A call: an operator with its arguments, checked; what dispatch, capabilities and messages speak about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .adapting_kernel import AdaptingKernel
from .geometry import Window

if TYPE_CHECKING:
    from torch import Tensor

OPERATORS: tuple[str, ...] = (
    "packernel2d",
    "pacconv2d",
    "pacconv_transpose2d",
    "pacpool2d",
    "guided_pacconv2d",
    "guided_pacconv_transpose2d",
    "guided_pacpool2d",
    "mean_field_update",
)

OPTIONS: tuple[str, ...] = (
    "stride",
    "padding",
    "dilation",
    "output_padding",
    "rectangular_window",
    "transposed_kernel",
    "mask",
    "normalize_kernel",
    "channel_wise",
    "shared_filters",
    "inv_kernel",
    "asymmetric_kernel",
    "smooth_kernel",
)
"""What a call may ask beyond the plain Gaussian operator; a backend declares which of them it computes."""


@dataclass(frozen=True, eq=False)
class Call:
    """An operator and its arguments, checked and with defaults filled in.

    Attributes:
        operator: One of :data:`OPERATORS`.
        tensors: The tensor arguments in the operator's order; None for an optional one that was not given.
        window: Where the taps lie.
        adapting: The adapting kernel, for `packernel2d` and the guided operators.
        shared_filters: One spatial filter for all channels, for the convolutions and the mean-field update.
        message_weight: What the message is multiplied by, for the mean-field update.
    """

    operator: str
    tensors: Mapping[str, Tensor | None]
    window: Window
    adapting: AdaptingKernel | None = None
    shared_filters: bool | None = None
    message_weight: float | None = None

    def keywords(self) -> dict[str, Any]:
        """The arguments of the backend's method of that name."""
        keywords: dict[str, Any] = {**self.tensors, "window": self.window}
        if self.adapting is not None:
            keywords["adapting"] = self.adapting
        if self.shared_filters is not None:
            keywords["shared_filters"] = self.shared_filters
        if self.message_weight is not None:
            keywords["message_weight"] = self.message_weight
        return keywords

    def given_tensors(self) -> dict[str, Tensor]:
        """Every tensor of the call by name, those of the adapting kernel among them."""
        given = {name: tensor for name, tensor in self.tensors.items() if tensor is not None}
        if self.adapting is not None:
            for name in ("smooth_kernel", "inv_alpha", "inv_lambda"):
                tensor = getattr(self.adapting, name)
                if tensor is not None:
                    given[name] = tensor
        return given

    @property
    def leading(self) -> Tensor:
        """The tensor whose device and dtype name the call: the input, the guide of `packernel2d`, or the base."""
        tensor = next(iter(self.tensors.values()))
        if tensor is None:
            raise ValueError(f"{self.operator}: got None as first argument, expected a tensor")
        return tensor

    @property
    def device_type(self) -> str:
        """Device type of the leading tensor, such as ``cpu`` or ``cuda``."""
        return self.leading.device.type

    @property
    def dtype(self) -> str:
        """Name of the leading tensor's dtype, such as ``float32``."""
        return str(self.leading.dtype).removeprefix("torch.")

    def options(self) -> list[str]:
        """The options of :data:`OPTIONS` that this call uses, in their order."""
        window, adapting = self.window, self.adapting
        used = {
            "stride": window.stride != (1, 1),
            "padding": window.padding != (0, 0),
            "dilation": window.dilation != (1, 1),
            "output_padding": window.output_padding != (0, 0),
            "rectangular_window": any(
                pair[0] != pair[1]
                for pair in (window.kernel_size, window.stride, window.padding, window.dilation, window.output_padding)
            ),
            "transposed_kernel": self.operator == "packernel2d" and window.transposed,
            "mask": self.tensors.get("mask") is not None,
            "shared_filters": bool(self.shared_filters),
        }
        kernel = self.tensors.get("kernel")
        if adapting is not None:
            used |= {
                "normalize_kernel": adapting.normalize,
                "channel_wise": adapting.channel_wise,
                "inv_kernel": adapting.form == "inv",
                "asymmetric_kernel": adapting.asymmetric,
                "smooth_kernel": adapting.smooth_kernel is not None,
            }
        elif self.operator == "pacpool2d" and kernel is not None:
            used["channel_wise"] = kernel.shape[1] != 1
        return [option for option in OPTIONS if used.get(option)]

    def describe(self) -> str:
        """One line: the operator, each tensor's shape, dtype and device, and the options in use."""
        tensors = ", ".join(
            f"{name}={tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')} {tensor.device.type}"
            for name, tensor in self.given_tensors().items()
        )
        options = self.options()
        return f"{self.operator}({tensors}{'; ' + ', '.join(options) if options else ''})"
