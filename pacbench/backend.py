"""The contract of a backend: declared capabilities and up to eight operators.

A backend that computes the four unfused operators gets the three guided ones (kernel, then operator) and the
mean-field update (softmax, convolution, sum) for nothing; a fused backend overrides them. Arguments have been checked
before a backend sees them: shapes fit, devices agree, and the call lies within the declared capabilities.

Two methods are no operators, but what Conv-CRF does around them, for a backend to fuse: `add_blurred` and
`blurred_beliefs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .adapting_kernel import AdaptingKernel
from .blurring import pool_by, upsample_by
from .calls import Call
from .capabilities import Capabilities, Reason
from .errors import UnavailableError
from .geometry import Window

if TYPE_CHECKING:
    from torch import Tensor

    from .lattice import LatticeKernels
    from .resources import ResourceRecord, Work


class Backend:
    """An implementation of pixel-adaptive convolution.

    Subclasses set `name`, `summary` and `capabilities` and implement the operators that they declare. One instance
    serves a process; it must not keep results between calls.

    Attributes:
        emulated: Whether kernels are interpreted or emulated, some hundred times slower than where they belong: the
            whole gate is then spread over the machine's cores where pytest-xdist is installed.
        directional_derivatives: Whether a call takes so long that the gate checks derivatives along random directions,
            and against those of `unfold`, instead of element by element.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    emulated: bool = False
    directional_derivatives: bool = False

    def unavailable_reasons(self) -> list[Reason]:
        """Why this backend cannot run on this machine (package, compiler, device), each with the mend."""
        return []

    def not_supported_reasons(self, call: Call) -> list[str]:
        """All reasons why this backend cannot compute the call; the declaration's, unless a subclass adds some."""
        return self.capabilities.not_supported_reasons(call)

    def registered_op(self, call: Call) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]] | None:
        """The `torch.library` op that serves the call, its arguments and keywords, for `opcheck`.

        None where plain torch functions serve it.
        """
        del call
        return None

    def resource_budget_file(self) -> Path | None:
        """The committed budget of the backend's compiled GPU kernels; None where there are none."""
        return None

    def compiled_resources(self, targets: Sequence[str] | None = None) -> tuple[str, list[ResourceRecord]]:
        """Compile the backend's GPU kernels, without a GPU, and read what they take from their machine code.

        Args:
            targets: Architectures such as ``sm_90``; by default those of the budget.

        Returns:
            The compiler's name and version, and one record for each kernel, variant and target.

        Raises:
            UnavailableError: there are no such kernels, or the compiler is not here.
        """
        raise UnavailableError(f"backend {self.name}: has no compiled GPU kernels (asked for {targets})")

    def lattice_kernels(self) -> LatticeKernels:
        """The permutohedral lattice, for the CRFs that filter on one (`pacbench.crf`).

        Raises:
            UnavailableError: this backend has none, or it cannot run here; the message says how to mend it.
        """
        raise UnavailableError(f"backend {self.name}: has no permutohedral lattice")

    def planned_work(self) -> list[Work]:
        """FLOPs and bytes of the backend's GPU kernels on named workloads, for predictions; no GPU is needed.

        Raises:
            UnavailableError: there are no such kernels.
        """
        raise UnavailableError(f"backend {self.name}: has no compiled GPU kernels whose work could be predicted")

    def packernel2d(
        self, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """Adapting kernel (N, 1 or G, k_h, k_w, H', W') of a guide (N, G, H, W), and the output mask.

        The output mask (bool, N, 1, H', W') is True where any tap of the window is valid; None without a mask.
        """
        raise NotImplementedError(f"{self.name} declares no packernel2d")

    def pacconv2d(
        self,
        input: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *,
        window: Window,
        shared_filters: bool,
    ) -> Tensor:
        """Convolution whose filter is scaled at each pixel by a given kernel."""
        raise NotImplementedError(f"{self.name} declares no pacconv2d")

    def pacconv_transpose2d(
        self,
        input: Tensor,
        kernel: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *,
        window: Window,
        shared_filters: bool,
    ) -> Tensor:
        """Transposed convolution whose filter is scaled at each output pixel by a given kernel."""
        raise NotImplementedError(f"{self.name} declares no pacconv_transpose2d")

    def pacpool2d(self, input: Tensor, kernel: Tensor, *, window: Window) -> Tensor:
        """Sum over the window, scaled at each pixel by a given kernel."""
        raise NotImplementedError(f"{self.name} declares no pacpool2d")

    def guided_pacconv2d(
        self,
        input: Tensor,
        guide: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        *,
        window: Window,
        adapting: AdaptingKernel,
        shared_filters: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """`packernel2d` and `pacconv2d` in one; a fused backend never stores the kernel."""
        kernel, output_mask = self.packernel2d(guide, mask, window=window, adapting=adapting)
        output = self.pacconv2d(input, kernel, weight, bias, window=window, shared_filters=shared_filters)
        return output, output_mask

    def guided_pacconv_transpose2d(
        self,
        input: Tensor,
        guide: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        *,
        window: Window,
        adapting: AdaptingKernel,
        shared_filters: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """`packernel2d` and `pacconv_transpose2d` in one; a fused backend never stores the kernel."""
        kernel, output_mask = self.packernel2d(guide, mask, window=window, adapting=adapting)
        output = self.pacconv_transpose2d(input, kernel, weight, bias, window=window, shared_filters=shared_filters)
        return output, output_mask

    def guided_pacpool2d(
        self, input: Tensor, guide: Tensor, mask: Tensor | None, *, window: Window, adapting: AdaptingKernel
    ) -> tuple[Tensor, Tensor | None]:
        """`packernel2d` and `pacpool2d` in one; a fused backend never stores the kernel."""
        kernel, output_mask = self.packernel2d(guide, mask, window=window, adapting=adapting)
        return self.pacpool2d(input, kernel, window=window), output_mask

    def mean_field_update(
        self,
        base: Tensor,
        beliefs: Tensor,
        kernel: Tensor,
        weight: Tensor,
        *,
        window: Window,
        shared_filters: bool,
        message_weight: float,
    ) -> Tensor:
        """Softmax of the beliefs, `pacconv2d` of it, and the weighted sum with the base, in one.

        A fused backend stores neither the probabilities nor the message. The window has stride 1 and keeps the size
        of the image; base and beliefs may be one tensor.
        """
        message = self.pacconv2d(
            beliefs.softmax(dim=1), kernel, weight, None, window=window, shared_filters=shared_filters
        )
        return base.add(message, alpha=message_weight)

    def add_blurred(self, base: Tensor, message: Tensor, factor: int) -> Tensor:
        """The base (N, C, H, W) plus a message (N, C, ⌈H/factor⌉, ⌈W/factor⌉), upsampled as `upsample_by` does."""
        return base + upsample_by(message, factor, (base.shape[2], base.shape[3]))

    def blurred_beliefs(self, base: Tensor, message: Tensor, factor: int) -> Tensor:
        """Softmax over the channels of what `add_blurred` gives, averaged as `pool_by` does: the message's shape.

        A fused backend stores neither at the image's resolution.
        """
        return pool_by(self.add_blurred(base, message, factor).softmax(dim=1), factor)
