"""Which samples make up which step, as a function of seed and step alone, so that a training can begin anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .process_group import Processes
from .task import Sample, Task

_ORDER, _SAMPLE, _MODEL = 1, 2, 3


def derived_seed(*words: int) -> int:
    """A seed for torch from any whole numbers; other numbers give an independent one."""
    state: int = np.random.SeedSequence(words).generate_state(1, np.uint64).item()
    return state >> 1


def model_seed(seed: int, step: int, rank: int) -> int:
    """Seed of the model's own randomness (dropout) in a step of a process."""
    return derived_seed(seed, _MODEL, step, rank)


class StepSampler(Sampler[list[tuple[int, int]]]):
    """For each step the (epoch, index) of this process's samples.

    Epochs follow one another without a gap: each is a random order of all items, and a batch may reach over two.

    Args:
        size: Number of items.
        batch: Samples of a step over all processes, a multiple of their number.
        seed: Of the order.
        steps: Steps to go through; `range(5, 9)` begins at the sixth.
        processes: Whose share to give.
    """

    def __init__(self, size: int, batch: int, seed: int, steps: range, processes: Processes) -> None:
        if batch % processes.count:
            raise ValueError(f"training: got batch {batch}, expected a multiple of the {processes.count} processes")
        self.size = size
        self.batch = batch
        self.seed = seed
        self.steps = steps
        self.processes = processes
        self._orders: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        share = self.batch // self.processes.count
        for step in self.steps:
            first = step * self.batch + self.processes.rank * share
            yield [self._item(place) for place in range(first, first + share)]

    def _item(self, place: int) -> tuple[int, int]:
        epoch, within = divmod(place, self.size)
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(derived_seed(self.seed, _ORDER, epoch))
            self._orders = {old: order for old, order in self._orders.items() if old >= epoch - 1}
            self._orders[epoch] = torch.randperm(self.size, generator=generator).tolist()
        return epoch, self._orders[epoch][within]


class TrainSamples(Dataset[Sample]):
    """The task's training samples, each augmented by a generator of its own."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The sample of an (epoch, index)."""
        epoch, index = key
        generator = torch.Generator().manual_seed(derived_seed(self.seed, _SAMPLE, epoch, index))
        return self.task.train_sample(index, generator)


def batches(task: Task, batch: int, seed: int, steps: range, processes: Processes, workers: int) -> DataLoader[Sample]:
    """A loader of this process's batches for the steps given."""
    sampler = StepSampler(task.train_size(), batch, seed, steps, processes)
    return DataLoader(TrainSamples(task, seed), batch_sampler=sampler, num_workers=workers)
