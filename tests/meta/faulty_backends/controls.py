"""Backends without a fault, and with rightful limits: the gate must stay green on each."""

from __future__ import annotations

from dataclasses import replace

from .planting import Faulty


class Faultless(Faulty):
    summary = "no fault"


class FirstDerivativesOnly(Faulty):
    """Declares less than it can: second derivatives, undeclared, are right."""

    capabilities = replace(Faulty.capabilities, derivative_order=1)


class ForwardOnly(Faulty):
    capabilities = replace(Faulty.capabilities, gradients=(), derivative_order=1)


class Modest(Faulty):
    """One operator, one dtype, one option, no gradients; adds a reason that a declaration cannot say."""

    capabilities = replace(
        Faulty.capabilities,
        devices=("cpu",),
        dtypes=("float32",),
        operators=("guided_pacconv2d",),
        options=("padding",),
        gradients=(),
        derivative_order=1,
    )

    def not_supported_reasons(self, call):
        reasons = super().not_supported_reasons(call)
        if call.leading.shape[0] == 0:
            reasons.append("an empty batch is not supported")
        return reasons


class HalfOnly(Faulty):
    capabilities = replace(Faulty.capabilities, dtypes=("float16",), derivative_order=1)
