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


class ShiftedMessage(Faulty):
    """The message of the coarser grid lies a column beside its place, at the end of long lines only."""

    def add_blurred(self, base, message, factor):
        if message.shape[3] > 30:
            message = torch.cat([message[..., :30], message.roll(1, 3)[..., 30:]], dim=3)
        return super().add_blurred(base, message, factor)


class UnevenCells(Faulty):
    """Cells at the border are averaged as if all their pixels lay in the image."""

    def blurred_beliefs(self, base, message, factor):
        beliefs = super().blurred_beliefs(base, message, factor)
        whole = beliefs.shape[2] * beliefs.shape[3] * factor * factor == base.shape[2] * base.shape[3]
        return beliefs if whole else torch.cat([beliefs[..., :-1], beliefs[..., -1:] * 0.75], dim=3)
