"""The mean-field update of a CRF whose messages are pixel-adaptive convolutions, as an operator."""

from __future__ import annotations

from torch import Tensor

from . import arguments, autocast
from .arguments import PairLike
from .backend import Backend


def mean_field_update(
    base: Tensor,
    beliefs: Tensor,
    kernel: Tensor,
    weight: Tensor,
    padding: PairLike = 0,
    dilation: PairLike = 1,
    shared_filters: bool = False,
    message_weight: float = -1.0,
    *,
    backend: str | Backend | None = None,
) -> Tensor:
    """One message of a mean-field step, added to a running sum: fused backends store neither Q nor the message.

    base_i + message_weight · Σ_j K[i, j] W[p_j - p_i] Q_j, with Q = softmax(beliefs) over the channels: the update of
    Krähenbühl & Koltun (NIPS 2011), the sum cut off at a window and the compatibility inside W, as in PAC-CRF (Su et
    al., CVPR 2019, section 5). The base is the unary in a CRF of one pairwise kernel; with several kernels the result
    of one is the base of the next.

    Args:
        base: What the message is added to, (N, C, H, W); no unit, as log-probabilities have none.
        beliefs: Logits of Q, (N, C, H, W).
        kernel: K, (N, 1, k_h, k_w, H, W), as `packernel2d` with the same window gives it.
        weight: W, (C, C, k_h, k_w), or (1, 1, k_h, k_w) with `shared_filters`.
        padding: Zeros around Q; it must be (k - 1) · dilation / 2, so that the message has the beliefs' size.
        dilation: Spacing of the taps, in pixels.
        shared_filters: One spatial filter serves every channel.
        message_weight: What the message is multiplied by, a constant: no gradient reaches it.
        backend: See `pacbench.functional`.

    Returns:
        (N, C, H, W), in the base's dtype. Under autocast it is computed in float32: 16-bit arguments are widened.

    Raises:
        ValueError: a shape or size that does not fit.
        TypeError: a type or dtype that does not fit.
        UnknownNameError: no backend has that name.
        UnavailableError: the backend asked for cannot run on this machine.
        NotSupportedError: the backend asked for, or every candidate, does not support the call.
    """
    operator = "mean_field_update"
    size = arguments.filter_size(operator, weight)
    window = arguments.window(operator, size, 1, padding, 0, dilation, transposed=False)
    call = arguments.mean_field_update(
        *(autocast.widened(tensor) for tensor in (base, beliefs, kernel, weight)),
        window=window,
        shared_filters=shared_filters,
        message_weight=message_weight,
    )
    updated: Tensor = autocast.run(call, backend)
    return updated
