"""Faults in derivatives; outputs are right."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.autograd.forward_ad import unpack_dual

from .planting import Faulty, tensors_of, with_gradient


class _Swapped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, one, other):
        return one.view_as(one), other.view_as(other)

    @staticmethod
    def backward(ctx, of_one, of_other):
        return of_other, of_one


class SwappedGradients(Faulty):
    """The input gets the guide's gradient and the guide the input's, where their shapes allow it."""

    def guided_pacconv2d(self, input, guide, *others, **keywords):
        if input.shape == guide.shape and input.dtype == guide.dtype:
            input, guide = _Swapped.apply(input, guide)
        return super().guided_pacconv2d(input, guide, *others, **keywords)


class _ChangedGradients(Faulty):
    """One gradient, or all, changed."""

    of: tuple[str, ...] = ("input", "guide", "kernel", "weight", "bias")

    def change(self, gradient):
        raise NotImplementedError

    def arguments(self, operator, given):
        return given | {
            name: with_gradient(tensor, self.change) for name, tensor in tensors_of(given).items() if name in self.of
        }


class TransposedWeightGradient(_ChangedGradients):
    of = ("weight",)

    def change(self, gradient):
        return gradient.transpose(2, 3) if gradient.shape[2] == gradient.shape[3] else gradient


class TwoPercentBiasOfGradient(_ChangedGradients):
    def change(self, gradient):
        return gradient * 1.02


class ZeroGuideGradient(_ChangedGradients):
    of = ("guide",)

    def change(self, gradient):
        return torch.zeros_like(gradient)


class UnwrittenGradient(_ChangedGradients):
    """The first row of each image's gradient is allocated and never written."""

    of = ("input", "guide")

    def change(self, gradient):
        result = torch.empty_like(gradient)
        result[..., 1:, :] = gradient[..., 1:, :]
        return result


class NoisyGradient(_ChangedGradients):
    """As by atomic additions in changing order; within every tolerance."""

    of = ("input",)

    def change(self, gradient):
        return gradient * (1 + 1e-13 * torch.randn_like(gradient))


class ConstantFirstDerivative(_ChangedGradients):
    """Declares derivatives of any order; the first is taken for a constant."""

    def change(self, gradient):
        return gradient.detach()


class UndeclaredConstantFirstDerivative(ConstantFirstDerivative):
    """Declares first derivatives only; the second is wrong instead of an error."""

    of = ("guide",)
    capabilities = replace(Faulty.capabilities, derivative_order=1)


class DroppedTangent(Faulty):
    """In forward mode the output is a constant, as that of a `torch.library` op is."""

    def output(self, operator, output, given):
        return unpack_dual(output).primal


class NoGraph(Faulty):
    """Declares gradients and records nothing."""

    def output(self, operator, output, given):
        return output.detach()


class MissingNormaliserGradient(Faulty):
    """K / Σ K is differentiated as if Σ K were constant."""

    def packernel2d(self, guide, mask, *, window, adapting):
        kernel, output_mask = super().packernel2d(guide, mask, window=window, adapting=adapting)
        if adapting.normalize:
            plain, _ = super().packernel2d(guide, None, window=window, adapting=replace(adapting, normalize=False))
            kernel = plain * (kernel / plain).detach()
        return kernel, output_mask


class ZeroExponentGradient(Faulty):
    """No gradient reaches inv_lambda."""

    def arguments(self, operator, given):
        if operator != "packernel2d" or given["adapting"].inv_lambda is None:
            return given
        exponent = with_gradient(given["adapting"].inv_lambda, torch.zeros_like)
        return given | {"adapting": replace(given["adapting"], inv_lambda=exponent)}


class ModifiedIncomingGradient(Faulty):
    """Backward works in the memory of the gradient that it is given."""

    def output(self, operator, output, given):
        def change(gradient):
            kept = gradient.clone()
            gradient.data.mul_(2)
            return kept

        return with_gradient(output, change)


class _Recomputing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, backend, options, *tensors):
        ctx.backend, ctx.options = backend, options
        ctx.kept = tensors  # instead of ctx.save_for_backward
        return super(KeptOnContext, backend).pacconv2d(*tensors, **options)

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            tensors = [None if tensor is None else tensor.detach().requires_grad_() for tensor in ctx.kept]
            output = super(KeptOnContext, ctx.backend).pacconv2d(*tensors, **ctx.options)
            given = [tensor for tensor in tensors if tensor is not None]
            found = iter(torch.autograd.grad(output, given, gradient))
        return None, None, *[None if tensor is None else next(found) for tensor in tensors]


class KeptOnContext(Faulty):
    """Keeps tensors on the autograd context by hand: a freed graph still answers, with whatever they hold by then."""

    capabilities = replace(Faulty.capabilities, derivative_order=1)

    def packernel2d(self, guide, mask, *, window, adapting):
        kernel, output_mask = super().packernel2d(guide, mask, window=window, adapting=adapting)
        return _KeptKernel.apply(kernel.detach(), guide, (self, mask, window, adapting)), output_mask

    def pacconv2d(self, input, kernel, weight, bias, *, window, shared_filters):
        options = {"window": window, "shared_filters": shared_filters}
        return _Recomputing.apply(self, options, input, kernel, weight, bias)


class _KeptKernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernel, guide, call):
        ctx.kept, ctx.call = guide, call
        return kernel.clone()

    @staticmethod
    def backward(ctx, gradient):
        backend, mask, window, adapting = ctx.call
        with torch.enable_grad():
            guide = ctx.kept.detach().requires_grad_()
            kernel, _ = super(KeptOnContext, backend).packernel2d(guide, mask, window=window, adapting=adapting)
            return None, torch.autograd.grad(kernel, guide, gradient)[0], None
