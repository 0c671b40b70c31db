"""What a backend declares once: marks, the README's matrix, `pacbench backends` and dispatch come from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .calls import OPERATORS, OPTIONS, Call

if TYPE_CHECKING:
    from torch import Tensor

Direction = Literal["forward", "backward"]

DIFFERENTIABLE: tuple[str, ...] = (
    "input",
    "guide",
    "kernel",
    "weight",
    "bias",
    "smooth_kernel",
    "inv_alpha",
    "inv_lambda",
)
"""The tensor arguments that have a gradient; a mask has none. Base and beliefs count as input."""

COUNTED_AS: Mapping[str, str] = {"base": "input", "beliefs": "input"}
"""Arguments of the mean-field update whose gradient is declared under another name."""

TOLERANCES: Mapping[tuple[str, Direction], float] = {
    ("float64", "forward"): 1e-12,
    ("float64", "backward"): 1e-11,
    ("float32", "forward"): 2e-6,
    ("float32", "backward"): 5e-6,
    ("float16", "forward"): 2e-3,
    ("float16", "backward"): 4e-3,
    ("bfloat16", "forward"): 1e-2,
    ("bfloat16", "backward"): 2e-2,
}
"""Largest error allowed by default, relative to the largest value of the float64 reference."""

TOLERANCE_CEILING: Mapping[str, float] = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 4e-2}
"""No backend may declare more than this: a gate that accepts everything says nothing."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a backend cannot run here, and what would mend it."""

    text: str
    mend: str

    def __str__(self) -> str:
        return f"{self.text}; to mend it: {self.mend}"


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        devices: Device types, such as ``("cpu", "cuda")``.
        dtypes: Names of dtypes of input and weight, such as ``("float64", "float32")``.
        operators: Which of :data:`pacbench.calls.OPERATORS` it computes; `mean_field_update` comes with `pacconv2d`,
            whether it is listed or not.
        options: Which of :data:`pacbench.calls.OPTIONS` it computes.
        gradients: Arguments that it differentiates with respect to (see :meth:`differentiates`); empty for a
            forward-only backend.
        derivative_order: How many times outputs can be differentiated; None for any number, and by
            forward mode and `torch.func` too.
        deterministic: Whether the same call gives the same bits twice in one process.
        tolerances: Largest relative error per (dtype, direction), where it differs from :data:`TOLERANCES`.
        priority: Preference per device type when no backend was asked for; a device that is not listed is
            served only on request.
    """

    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    operators: tuple[str, ...] = OPERATORS
    options: tuple[str, ...] = OPTIONS
    gradients: tuple[str, ...] = DIFFERENTIABLE
    derivative_order: int | None = 1
    deterministic: bool = True
    tolerances: Mapping[tuple[str, Direction], float] = field(default_factory=dict)
    priority: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _expect_known("operators", self.operators, OPERATORS)
        if "pacconv2d" in self.operators and "mean_field_update" not in self.operators:
            object.__setattr__(self, "operators", (*self.operators, "mean_field_update"))
        _expect_known("options", self.options, OPTIONS)
        _expect_known("gradients", self.gradients, DIFFERENTIABLE)
        for (dtype, direction), tolerance in self.tolerances.items():
            _expect_known("tolerances", (dtype,), tuple(TOLERANCE_CEILING))
            if not 0 <= tolerance <= TOLERANCE_CEILING[dtype]:
                raise ValueError(
                    f"Capabilities: got tolerance {tolerance} for {dtype} {direction}, "
                    f"expected at most {TOLERANCE_CEILING[dtype]}"
                )

    def tolerance(self, dtype: str, direction: Direction) -> float:
        """Largest error allowed, relative to the largest value of the reference."""
        declared = self.tolerances.get((dtype, direction))
        return TOLERANCES[dtype, direction] if declared is None else declared

    def differentiates(self, argument: str) -> bool:
        """Whether outputs are differentiated with respect to an operator's argument; base and beliefs go with input."""
        return COUNTED_AS.get(argument, argument) in self.gradients

    def not_supported_reasons(self, call: Call) -> list[str]:
        """Every reason why the declaration does not cover the call; empty if it does."""
        import torch

        reasons = []
        given = call.given_tensors()
        if call.operator not in self.operators:
            reasons.append(f"operator {call.operator} is not among {', '.join(self.operators)}")
        if call.device_type not in self.devices:
            reasons.append(f"device {call.device_type} is not among {', '.join(self.devices)}")
        if call.dtype not in self.dtypes:
            reasons.append(f"dtype {call.dtype} is not among {', '.join(self.dtypes)}")
        reasons += [f"option {option} is not supported" for option in call.options() if option not in self.options]
        reasons += [
            f"gradient to {name} is not supported"
            for name, tensor in given.items()
            if torch.is_grad_enabled()
            and tensor.requires_grad
            and COUNTED_AS.get(name, name) in DIFFERENTIABLE
            and not self.differentiates(name)
        ]
        if self.derivative_order is not None and any(map(is_transformed, given.values())):
            reasons.append("forward-mode derivatives are not supported, nor other transforms of torch.func")
        return reasons


def is_transformed(tensor: Tensor) -> bool:
    """Whether a derivative is taken forwards through a tensor, or a transform of `torch.func` (grad, vmap) sees it.

    Not asked while `torch.compile` traces.
    """
    import torch
    from torch.autograd.forward_ad import unpack_dual

    if torch.compiler.is_compiling():
        return False
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return True
    return unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def _expect_known(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"Capabilities: got {what} {', '.join(unknown)}, expected a subset of {', '.join(known)}")
