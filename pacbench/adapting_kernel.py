"""The adapting kernel K(f_i, f_j): which function of the guide scales each tap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

_KERNEL_TYPE = re.compile(
    r"(?P<form>gaussian|inv_(?P<alpha>[-+.\deE]+)_(?P<lambda>[-+.\deE]+))(?P<asym>_asym)?(?P<fixed>_fixed)?"
)
_SMOOTH_KERNEL_TYPE = re.compile(r"none|gaussian|(?P<form>average|full)_(?P<size>\d+)")


@dataclass(frozen=True, slots=True)
class KernelType:
    """A parsed `kernel_type` string: ``gaussian`` or ``inv_{alpha}_{lambda}``, then ``_asym`` and ``_fixed``."""

    form: Literal["gaussian", "inv"]
    asymmetric: bool = False
    fixed: bool = False
    alpha: float = 0.0
    exponent: float = 0.0

    @classmethod
    def parse(cls, text: str, operator: str) -> KernelType:
        """Read a `kernel_type`.

        Raises:
            ValueError: the text is no kernel type.
        """
        expected = (
            f"{operator}: got kernel_type {text!r}, expected 'gaussian' or 'inv_{{alpha}}_{{lambda}}', "
            "each with an optional '_asym' and then '_fixed'"
        )
        match = _KERNEL_TYPE.fullmatch(text) if isinstance(text, str) else None
        if match is None or (match["alpha"] is None and match["fixed"]):
            raise ValueError(expected)
        if match["alpha"] is None:
            return cls("gaussian", asymmetric=match["asym"] is not None)
        try:
            alpha, exponent = float(match["alpha"]), float(match["lambda"])
        except ValueError as error:
            raise ValueError(expected) from error
        return cls("inv", match["asym"] is not None, match["fixed"] is not None, alpha, exponent)


def smooth_kernel_size(smooth_kernel_type: str, operator: str) -> int | None:
    """Width of a smoothing kernel by its type, None for ``none``.

    Raises:
        ValueError: the text is no smooth kernel type, or its width is even.
    """
    match = _SMOOTH_KERNEL_TYPE.fullmatch(smooth_kernel_type) if isinstance(smooth_kernel_type, str) else None
    if match is None:
        raise ValueError(
            f"{operator}: got smooth_kernel_type {smooth_kernel_type!r}, "
            "expected 'none', 'gaussian', 'average_{size}' or 'full_{size}'"
        )
    if smooth_kernel_type == "none":
        return None
    size = 3 if match["size"] is None else int(match["size"])
    if size % 2 == 0:
        raise ValueError(f"{operator}: got smooth_kernel_type {smooth_kernel_type!r}, expected an odd size")
    return size


@dataclass(frozen=True, eq=False)
class AdaptingKernel:
    """A fully specified adapting kernel, arguments checked and defaults filled in.

    Attributes:
        form: ``gaussian``: exp(-d²/2); ``inv``: inv_alpha + (d² + 1e-4)^(inv_lambda / 2).
        asymmetric: d uses max(f_j - f_i, 0).
        channel_wise: One kernel per guide channel (d² is not summed over channels).
        normalize: K is divided by its sum over the window's taps inside the image.
        smooth_kernel: (1, 1, s_h, s_w): f_i is the guide filtered with it, zero padded. None: f_i is the guide.
        inv_alpha: (1,) or (G,), for ``inv``.
        inv_lambda: (1,) or (G,), for ``inv``.
    """

    form: Literal["gaussian", "inv"] = "gaussian"
    asymmetric: bool = False
    channel_wise: bool = False
    normalize: bool = False
    smooth_kernel: Tensor | None = None
    inv_alpha: Tensor | None = None
    inv_lambda: Tensor | None = None
