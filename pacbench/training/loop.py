"""The training loop: stages, steps, checkpoints, quality; the same weights whenever it is cut off and taken up again.

On a CPU, with the same number of threads and processes, the weights are the same to the bit. On a GPU they are as far
as torch's kernels are deterministic.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from .batches import batches, model_seed
from .checkpoint import Checkpoint
from .outcome import write_outcome
from .process_group import Processes, joined
from .progress import TrainingProgress
from .settings import TrainingSettings
from .task import Sample, Stage, Task


def train(task: Task, settings: TrainingSettings, folder: Path, progress: TrainingProgress) -> dict[str, float]:
    """Train a task, or go on with it where the folder holds its checkpoint.

    Writes to the folder: `checkpoint.pt` as it goes; at the end `weights.safetensors`, `weights.json` (what made
    them) and `history.jsonl`.

    Returns:
        The metrics at the end, by name; empty where there are no validation items.

    Raises:
        DataError: the folder's checkpoint is broken, or of another training; or data cannot be read.
        ValueError: a stage without a parameter to learn, a loss that is not finite, or no training item.
    """
    if task.train_size() < 1:
        raise ValueError(f"training {task.name}: got no training item, expected at least one")
    with joined(settings.device) as processes:
        folder.mkdir(parents=True, exist_ok=True)
        run = _Training(task, settings, folder, progress, processes)
        return run.run()


def training_key(task: Task, settings: TrainingSettings) -> str:
    """Digest of everything that the weights depend on, but for torch itself."""
    stages = [[stage.name, stage.steps, dict(stage.rates)] for stage in task.stages()]
    said = json.dumps([task.name, dict(task.describe()), stages, settings.decisive()], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def evaluate(task: Task, model: nn.Module, processes: Processes | None = None) -> dict[str, float]:
    """The task's metrics on its validation items, which the processes share out; empty where there are none."""
    processes = processes or Processes()
    count = task.validation_size()
    if count == 0:
        return {}
    was_training = model.training
    model.eval()
    total: Tensor | None = None
    with torch.no_grad():
        for index in range(count):  # every process has a tensor to add, also where it has no item of its own
            if index % processes.count == processes.rank or total is None:
                sample = {name: value[None] for name, value in task.validation_sample(index).items()}
                statistics = task.measure(model, _moved(sample, processes.device))
                own = index % processes.count == processes.rank
                statistics = statistics if own else torch.zeros_like(statistics)
                total = statistics if total is None else total + statistics
    model.train(was_training)
    return {name: float(value) for name, value in task.metrics(processes.total(cast(Tensor, total)).cpu()).items()}


class _Training:
    """One training under way."""

    def __init__(
        self, task: Task, settings: TrainingSettings, folder: Path, progress: TrainingProgress, processes: Processes
    ) -> None:
        self.task = task
        self.settings = settings
        self.folder = folder
        self.progress = progress
        self.processes = processes
        self.model: nn.Module = task.model.to(  # type: ignore[call-overload]  # whose stub lacks it beside a device
            processes.device, memory_format=settings.memory_format
        )
        self.stages = list(task.stages())
        self.state = Checkpoint(training_key(task, settings))
        self.metrics: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        found = Checkpoint.load(self.folder, self.state.key)
        if found is not None:
            self.state = found
            self.model.load_state_dict(found.model)
        total = sum(stage.steps for stage in self.stages)
        with self.progress.of(total, self.state.step, quiet=not self.processes.leads):
            begin = 0
            for stage in self.stages:
                if self.state.step < begin + stage.steps:
                    self._run_stage(stage, begin)
                begin += stage.steps
            self.metrics = self._last_metrics()
            if self.processes.leads:
                write_outcome(self.folder, self.task, self.settings, self.model, self.state.history, self.metrics)
        self.processes.wait()
        return self.metrics

    def _run_stage(self, stage: Stage, begin: int) -> None:
        optimizer, scheduler = self._begin(stage)
        shared = self.processes.share(self.model, some_unused=self.task.leaves_unused)
        end = begin + stage.steps
        loader = batches(
            self.task, self.settings.batch, self.settings.seed, range(self.state.step, end), self.processes,
            self.settings.workers,
        )  # fmt: skip
        for step, batch in zip(range(self.state.step, end), loader, strict=True):
            loss = self._step(shared, batch, optimizer, step)
            scheduler.step()
            self.state.step = step + 1
            self.progress.step(stage.name, loss)
            last = self.state.step == end
            if last or (self.settings.evaluate_every and self.state.step % self.settings.evaluate_every == 0):
                self._measure(stage, loss)
            if last:
                self._save(None, None)
            elif self.state.step % self.settings.checkpoint_every == 0:
                self._save(optimizer, scheduler)

    def _begin(self, stage: Stage) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Freeze what the stage does not train, and make or restore its optimiser and schedule."""
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            rate = stage.rate_of(name)
            parameter.requires_grad_(rate is not None)
            parameter.grad = None
            if rate is not None:
                groups.setdefault(rate, []).append(parameter)
        if not groups:
            raise ValueError(
                f"training {self.task.name}: stage {stage.name!r} trains {', '.join(map(repr, stage.rates))}, expected "
                "the beginning of a parameter's name"
            )
        _set_mode(self.model, inherited=True)
        listed: list[dict[str, object]] = [{"params": held, "lr": rate} for rate, held in groups.items()]
        optimizer = self.task.optimizer(listed)
        scheduler = self.task.scheduler(optimizer, stage.steps)
        if self.state.optimizer is not None and self.state.scheduler is not None:
            optimizer.load_state_dict(self.state.optimizer)
            scheduler.load_state_dict(self.state.scheduler)
        return optimizer, scheduler

    def _step(self, shared: nn.Module, batch: Sample, optimizer: torch.optim.Optimizer, step: int) -> float:
        torch.manual_seed(model_seed(self.settings.seed, step, self.processes.rank))
        moved = _moved(batch, self.processes.device, self.settings.memory_format)
        narrow = self.settings.precision == "bfloat16"
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=narrow):
            summed, amount = self.task.loss(shared, moved)
        both = self.processes.total(torch.stack([summed.detach().double(), amount.detach().double()]))
        loss = float(both[0] / both[1].clamp(min=1))
        if not torch.isfinite(both).all():
            raise ValueError(f"training {self.task.name}: got loss {loss} in step {step + 1}, expected a finite one")
        # the gradient of each process is averaged over them, where that of the sum is wanted
        scaled = summed * (self.processes.count / both[1].clamp(min=1)).to(summed.dtype)
        optimizer.zero_grad(set_to_none=True)
        scaled.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip_norm is not None:
            learning = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
            nn.utils.clip_grad_norm_(learning, self.settings.clip_norm)
        optimizer.step()
        return loss

    def _measure(self, stage: Stage, loss: float) -> None:
        modes = {name: module.training for name, module in self.model.named_modules()}
        metrics = evaluate(self.task, self.model, self.processes)
        for name, module in self.model.named_modules():
            module.training = modes[name]
        self.state.history.append({"stage": stage.name, "step": self.state.step, "loss": loss, **metrics})
        self.progress.measured(stage.name, self.state.step, loss, metrics)

    def _last_metrics(self) -> dict[str, float]:
        last: Mapping[str, Any] = self.state.history[-1] if self.state.history else {}
        return {name: float(value) for name, value in last.items() if name not in ("stage", "step", "loss")}

    def _save(
        self, optimizer: torch.optim.Optimizer | None, scheduler: torch.optim.lr_scheduler.LRScheduler | None
    ) -> None:
        self.state.optimizer = optimizer.state_dict() if optimizer is not None else None
        self.state.scheduler = scheduler.state_dict() if scheduler is not None else None
        if self.processes.leads:
            self.state.model = self.model.state_dict()
            self.state.save(self.folder)
        self.processes.wait()


def _set_mode(module: nn.Module, inherited: bool) -> None:
    """Training mode where a parameter learns; without parameters (dropout) as the module that it lies in."""
    learning = [parameter.requires_grad for parameter in module.parameters()]
    module.training = any(learning) if learning else inherited
    for child in module.children():
        _set_mode(child, module.training)


def _moved(
    sample: Mapping[str, Tensor], device: torch.device, memory_format: torch.memory_format = torch.preserve_format
) -> dict[str, Tensor]:
    """A sample on the device, its images in the memory format."""
    return {
        name: value.to(device, memory_format=memory_format if value.dim() == 4 else torch.preserve_format)
        for name, value in sample.items()
    }
