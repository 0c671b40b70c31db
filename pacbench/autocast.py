"""What torch's autocast does to the operators: which dtypes they compute in, and that a backend never sees it on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import dispatch
from .backend import Backend
from .calls import Call

_SIXTEEN_BIT = frozenset({torch.float16, torch.bfloat16})


def is_on(tensor: Tensor) -> bool:
    """Whether autocast is on for the tensor's device; some devices (meta) have none."""
    device_type = tensor.device.type
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def narrowed(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, weight and bias as autocast passes them to `F.conv2d`: in its dtype, float64 apart."""
    if not isinstance(input, Tensor) or not is_on(input):
        return input, weight, bias
    dtype = torch.get_autocast_dtype(input.device.type)

    def cast(tensor: Any) -> Any:
        eligible = isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.dtype != torch.float64
        return tensor.to(dtype) if eligible else tensor

    return cast(input), cast(weight), cast(bias)


def widened(tensor: Tensor) -> Tensor:
    """The tensor as autocast passes it to what it computes in float32: that, in the place of 16 bits."""
    if isinstance(tensor, Tensor) and tensor.dtype in _SIXTEEN_BIT and is_on(tensor):
        return tensor.float()
    return tensor


def run(call: Call, backend: str | Backend | None) -> Any:
    """Dispatch a call, autocast off around the backend; see `pacbench.dispatch.run`."""
    if is_on(call.leading):
        with torch.autocast(call.device_type, enabled=False):
            return dispatch.run(call, backend)
    return dispatch.run(call, backend)
