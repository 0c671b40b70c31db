"""Faults in what a backend writes, keeps and shares."""

from __future__ import annotations

import threading
import time

import torch

from .planting import Faulty, leading, tensors_of

LATER_S = 5.0


class MutatedInput(Faulty):
    def output(self, operator, output, given):
        leading(given).data.add_(1)
        return output


class MutatedAndRestoredInput(Faulty):
    """The input serves as scratch memory, and gets its values back."""

    def arguments(self, operator, given):
        tensor = leading(given).detach()
        kept = tensor.clone()
        tensor.zero_()
        tensor.copy_(kept)
        return given


class OutputInTheInput(Faulty):
    """The output is written over the input, where it fits."""

    def output(self, operator, output, given):
        tensor = leading(given)
        if output.shape == tensor.shape:
            output.data = tensor.data.copy_(output.data)
        return output


class SharedOutput(Faulty):
    """Where the output equals the input, the input itself is returned."""

    def guided_pacpool2d(self, input, guide, mask, *, window, adapting):
        output, output_mask = super().guided_pacpool2d(input, guide, mask, window=window, adapting=adapting)
        same = not output.requires_grad and output.shape == input.shape and torch.equal(output, input)
        return input.view_as(input) if same else output, output_mask


class UnwrittenOutput(Faulty):
    """The first row is allocated and never written."""

    def output(self, operator, output, given):
        result = torch.empty_like(output)
        result[..., 1:, :] = output[..., 1:, :]
        return result


class LateOutput(Faulty):
    """The output is written after the call has returned, as by work on a side stream that nobody waits for."""

    def output(self, operator, output, given):
        result = torch.empty_like(output).detach()

        def write() -> None:
            time.sleep(LATER_S)
            result.copy_(output.detach())

        threading.Thread(target=write, daemon=True).start()
        return result


class CachedResult(Faulty):
    """Remembers an output by the addresses and shapes of its arguments; without autograd only."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[object, torch.Tensor] = {}

    def key(self, tensor: torch.Tensor) -> object:
        return tensor.data_ptr(), tensor.shape

    def output(self, operator, output, given):
        if output.requires_grad:
            return output
        key = (operator, output.shape, *map(self.key, tensors_of(given).values()))
        return self._kept.setdefault(key, output.clone()).clone()


class CachedResultByVersion(CachedResult):
    """Also by the tensor's version: memory that was freed and used again, or written past autograd, fools it."""

    def key(self, tensor: torch.Tensor) -> object:
        return tensor.data_ptr(), tensor.shape, tensor._version


class CachedFilter(Faulty):
    """Packs a filter once, and knows it again by its address; its gradient is right."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[object, torch.Tensor] = {}

    def arguments(self, operator, given):
        if "weight" not in given or given["weight"].requires_grad:
            return given
        weight = given["weight"]
        return given | {"weight": self._kept.setdefault((weight.data_ptr(), weight.shape), weight.clone())}


class ReusedOutput(Faulty):
    """One output buffer for all calls of a shape; without autograd only."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[object, torch.Tensor] = {}

    def output(self, operator, output, given):
        if output.requires_grad:
            return output
        key = operator, output.shape, output.dtype
        return self._kept.setdefault(key, torch.empty_like(output)).copy_(output)


class NoisyOutput(Faulty):
    """As by additions in changing order; within every tolerance."""

    def output(self, operator, output, given):
        return output * (1 + 1e-14 * torch.randn_like(output))
