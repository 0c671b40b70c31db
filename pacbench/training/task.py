"""What a training task is: a model, samples, a loss, a measure of quality, and the stages of its schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Sample = Mapping[str, Tensor]
"""Named tensors of one item, without a batch dimension; a batch has one more dimension in front."""


@dataclass(frozen=True)
class Stage:
    """A part of the schedule, with an optimiser and a learning rate of its own.

    Attributes:
        name: As progress tells it.
        steps: Number of optimisation steps, at least 1.
        rates: Learning rate at the start by prefix of parameter names (dotted, as in `named_parameters`; "" is every
            parameter); the longest prefix that fits counts. Parameters that no prefix fits are frozen, and modules
            without a learning parameter stay in evaluation mode (so that batch normalisation is frozen with them).
    """

    name: str
    steps: int
    rates: Mapping[str, float]

    def rate_of(self, parameter: str) -> float | None:
        """Learning rate of a parameter by its name; None where it is frozen."""
        fitting = [prefix for prefix in self.rates if not prefix or f"{parameter}.".startswith(f"{prefix}.")]
        return self.rates[max(fitting, key=len)] if fitting else None


class Task(ABC):
    """What is trained, on what, and how its quality is measured; `pacbench.training.train` does the rest.

    Randomness comes from the generators that are handed in (samples) and from torch's global one (the model in
    training mode), both of which the loop seeds for each sample and step. So a task holds no random state.
    """

    name: str
    model: nn.Module
    leaves_unused = False
    """Whether a step may leave parameters that learn without a gradient; several processes must then look for them."""

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """The schedule, in order; stages may be of any number."""

    @abstractmethod
    def describe(self) -> Mapping[str, str | int | float | list[str]]:
        """Everything about the task that its result depends on, data included: a resumed training must have the same.

        It is written beside the weights.
        """

    def header(self) -> Mapping[str, str]:
        """What the header of the weights file says; nothing unless a task has something to say."""
        return {}

    def exported(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What of the model's state_dict the weights file holds; all of it unless a task says otherwise."""
        return state

    @abstractmethod
    def train_size(self) -> int:
        """How many training items there are, at least 1."""

    @abstractmethod
    def train_sample(self, index: int, generator: torch.Generator) -> Sample:
        """Training item `index` (0 to train_size - 1), augmented by `generator`; all of one batch have one shape."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Sample) -> tuple[Tensor, Tensor]:
        """Sum of the loss over what a batch has to learn (a scalar), and how much that is (pixels, a scalar).

        The loop divides the one by the other, over all processes, so that the result does not depend on how many
        processes share a batch. `model` is to be called once.
        """

    @abstractmethod
    def validation_size(self) -> int:
        """How many items quality is measured on; 0 for none."""

    @abstractmethod
    def validation_sample(self, index: int) -> Sample:
        """Validation item `index`, whole."""

    @abstractmethod
    def measure(self, model: nn.Module, sample: Sample) -> Tensor:
        """Statistics of one validation item, with a batch dimension of 1; float64 or int64, always of one shape.

        They are summed over items and processes: a confusion matrix, or the sum of errors and their number.
        """

    @abstractmethod
    def metrics(self, statistics: Tensor) -> Mapping[str, float]:
        """What the summed statistics say, by name; the first is shown while training."""

    def optimizer(self, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        """Optimiser of a stage, from parameter groups that each have their `lr`; AdamW unless a task has another."""
        return torch.optim.AdamW(groups, weight_decay=1e-4)

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """Schedule within a stage; polynomial decay to zero unless a task has another."""
        return torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
