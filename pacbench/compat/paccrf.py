"""The public names of the reference's `paccrf` module, with its signatures, on pacbench's operators.

A program written for the reference changes its import. `native_impl` chose between two ways of computing the
same thing; it is accepted and has no effect: `pacbench.use_backend` chooses the implementation here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pacbench.crf.edge_features import create_position_feats, create_YXRGB
from pacbench.nn import pac_crf

__all__ = ["PacCRF", "PacCRFLoose", "create_YXRGB", "create_position_feats"]


class PacCRF(pac_crf.PacCRF):
    """`pacbench.nn.PacCRF` with the reference's order of arguments."""

    def __init__(
        self,
        channels: int,
        num_steps: int,
        final_output: str = "log_Q",
        perturbed_init: bool = True,
        native_impl: bool = False,
        fixed_weighting: bool = False,
        unary_weight: float = 1.0,
        pairwise_kernels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            channels, num_steps, final_output, perturbed_init, fixed_weighting, unary_weight, pairwise_kernels
        )
        self.native_impl = native_impl


class PacCRFLoose(pac_crf.PacCRFLoose):
    """`pacbench.nn.PacCRFLoose` with the reference's order of arguments."""

    def __init__(
        self,
        channels: int,
        num_steps: int,
        final_output: str = "log_Q",
        perturbed_init: bool = True,
        native_impl: bool = False,
        fixed_weighting: bool = False,
        unary_weight: float = 1.0,
        pairwise_kernels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            channels, num_steps, final_output, perturbed_init, fixed_weighting, unary_weight, pairwise_kernels
        )
        self.native_impl = native_impl
