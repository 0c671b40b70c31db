"""The arguments of a PAC-CRF: their types, and the checks that name what does not fit before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from torch import Tensor

from pacbench.blurring import blurred_size
from pacbench.nn.pairwise_kernel import PairwiseKernel

FinalOutput = Literal["log_Q", "softmax", "log_softmax"]
EdgeFeatures = Tensor | Sequence[Tensor] | Mapping[int, Tensor]
EdgeKernels = Tensor | Sequence[Tensor | None]

FINAL_OUTPUTS: tuple[str, ...] = get_args(FinalOutput)


def check_options(channels: int, num_steps: int, final_output: str, least_steps: int) -> None:
    """Raise a ValueError for a number or a name out of its range."""
    if channels < 1:
        raise ValueError(f"PacCRF: got channels={channels}, expected at least 1")
    if num_steps < least_steps:
        raise ValueError(f"PacCRF: got num_steps={num_steps}, expected at least {least_steps}")
    if final_output not in FINAL_OUTPUTS:
        raise ValueError(
            f"PacCRF: got final_output={final_output!r}, expected one of {', '.join(map(repr, FINAL_OUTPUTS))}"
        )


def each_kernel(kernels: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
    """Keyword arguments of each pairwise kernel."""
    if kernels is None:
        return []
    return [kernels] if isinstance(kernels, Mapping) else kernels


def feature_of(edge_feat: EdgeFeatures | None, i: int, count: int) -> Tensor:
    """The edge features (N, G, H, W) of kernel i, of so many."""
    if isinstance(edge_feat, Tensor):
        feature = edge_feat
    elif edge_feat is None:
        raise ValueError(f"PacCRF: got no edge features, expected some: pairwise kernel {i} adapts to them")
    else:
        indices = edge_feat.keys() if isinstance(edge_feat, Mapping) else range(len(edge_feat))
        if i not in indices:
            raise ValueError(
                f"PacCRF: got edge features for kernels {list(indices)}, expected one for each of the {count} kernels"
            )
        feature = edge_feat[i]
    if feature.dim() != 4:
        raise ValueError(f"PacCRF: edge features of kernel {i} are {tuple(feature.shape)}, expected (N, G, H, W)")
    return feature


def check_features(edge_feat: EdgeFeatures | None, kernels: Sequence[PairwiseKernel], unary: Tensor) -> None:
    """Raise a ValueError where the edge features of a kernel are not of the unary's batch and size."""
    for i, kernel in enumerate(kernels):
        if not kernel.adapts:
            continue
        feature = feature_of(edge_feat, i, len(kernels))
        if feature.shape[0] != unary.shape[0] or feature.shape[2:] != unary.shape[2:]:
            raise ValueError(
                f"PacCRF: edge features of kernel {i} are {tuple(feature.shape)}, expected "
                f"({unary.shape[0]}, G, {unary.shape[2]}, {unary.shape[3]}) as the unary is {tuple(unary.shape)}"
            )


def check_beliefs(name: str, values: Tensor, channels: int, unary: Tensor | None) -> None:
    """Raise a ValueError where values are not (N, channels, H, W), or not of the unary's shape."""
    if values.dim() != 4 or values.shape[1] != channels:
        raise ValueError(f"PacCRF: {name} is {tuple(values.shape)}, expected (N, {channels}, H, W)")
    if unary is not None and values.shape != unary.shape:
        raise ValueError(f"PacCRF: {name} is {tuple(values.shape)}, expected {tuple(unary.shape)} as the unary is")


def checked_kernels(
    edge_kernel: EdgeKernels, kernels: Sequence[PairwiseKernel], unary: Tensor
) -> Sequence[Tensor | None]:
    """The adapting kernel of each pairwise kernel; a ValueError where one is missing or of another shape."""
    given = [edge_kernel] * len(kernels) if isinstance(edge_kernel, Tensor) else edge_kernel
    if len(given) != len(kernels):
        raise ValueError(f"PacCRF: got {len(given)} edge kernels, expected {len(kernels)}")
    for i, (kernel, adapting) in enumerate(zip(kernels, given, strict=True)):
        size = blurred_size((unary.shape[2], unary.shape[3]), kernel.blur)
        expected = (unary.shape[0], 1, kernel.kernel_size, kernel.kernel_size, *size)
        if kernel.adapts and (adapting is None or tuple(adapting.shape) != expected):
            got = "missing" if adapting is None else tuple(adapting.shape)
            raise ValueError(f"PacCRF: edge kernel {i} is {got}, expected {expected}")
    return given
