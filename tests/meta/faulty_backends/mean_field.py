"""Faults in the mean-field update, as a fused backend may have them; its convolution by itself is right."""

from __future__ import annotations

import torch

from .planting import Faulty, with_gradient


class _OwnProbabilities(Faulty):
    """The update with another softmax."""

    def probabilities(self, beliefs):
        raise NotImplementedError

    def mean_field_update(self, base, beliefs, kernel, weight, *, window, shared_filters, message_weight):
        probabilities = self.probabilities(beliefs)
        message = self.pacconv2d(probabilities, kernel, weight, None, window=window, shared_filters=shared_filters)
        return base.add(message, alpha=message_weight)


class SoftmaxOverPixels(_OwnProbabilities):
    """Over the columns of an image instead of its classes."""

    def probabilities(self, beliefs):
        return beliefs.softmax(dim=3)


class NoMaximum(_OwnProbabilities):
    """Exponentials of the beliefs as they are, not less the largest of each pixel."""

    def probabilities(self, beliefs):
        exponentials = beliefs.exp()
        return exponentials / exponentials.sum(1, keepdim=True)


class NoSoftmaxGradient(_OwnProbabilities):
    """The gradient of the probabilities is taken for that of the beliefs."""

    def probabilities(self, beliefs):
        return beliefs + (beliefs.softmax(dim=1) - beliefs).detach()


class AddedMessage(Faulty):
    """The message is added where it is to be subtracted, and the other way round."""

    def mean_field_update(self, *tensors, message_weight, **keywords):
        return super().mean_field_update(*tensors, message_weight=-message_weight, **keywords)


class WeightOfOne(Faulty):
    """The message's weight is forgotten but for its usual value."""

    def mean_field_update(self, *tensors, message_weight, **keywords):
        return super().mean_field_update(*tensors, message_weight=-1.0, **keywords)


class UpdatedInPlace(Faulty):
    """The running sum is kept in the base itself."""

    def mean_field_update(self, base, *tensors, **keywords):
        updated = super().mean_field_update(base, *tensors, **keywords)
        base.data.copy_(updated.detach())
        return updated


class NoGradientToBothAtOnce(Faulty):
    """One place for the gradient of a tensor: the base's is lost where the base is the beliefs."""

    def mean_field_update(self, base, beliefs, *tensors, **keywords):
        if base is beliefs:
            base = with_gradient(base, torch.zeros_like)
        return super().mean_field_update(base, beliefs, *tensors, **keywords)
