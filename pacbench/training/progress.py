"""How far a training is: a bar with the loss on a terminal, one line each time quality is measured everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SMOOTHING = 0.95
_LINE_EVERY_S = 30.0


class TrainingProgress:
    """Shows steps, the loss and the metrics of a training; without a console, nothing."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total = self._step = 0
        self._loss: float | None = None
        self._told = 0.0

    @contextmanager
    def of(self, total: int, done: int, *, quiet: bool = False) -> Iterator[None]:
        """Show a training of `total` steps, of which `done` are done, until the block is left."""
        console = None if quiet else self._console
        self._total, self._step, self._told, self._loss = total, done, time.monotonic(), None
        if console is None:
            self._console = None
            yield
            return
        if done:
            self._say(f"goes on after step {done} of {total}")
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), MofNCompleteColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            self._bar, self._task = bar, bar.add_task("", total=total, completed=done)
            yield
        self._bar = None

    def step(self, stage: str, loss: float) -> None:
        """A step has ended."""
        self._step += 1
        self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        if self._console is None:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._step, description=f"{stage}: loss {self._loss:.4g}")
        if not self._console.is_terminal and time.monotonic() - self._told > _LINE_EVERY_S:
            self._say(f"[{self._step}/{self._total}] {stage}: loss {self._loss:.4g}")

    def measured(self, stage: str, step: int, loss: float, metrics: Mapping[str, float]) -> None:
        """Quality was measured."""
        shown = self._loss if self._loss is not None else loss
        told = "".join(f", {name} {value:.4f}" for name, value in metrics.items())
        self._say(f"[{step}/{self._total}] {stage}: loss {shown:.4g}{told}")

    def _say(self, text: str) -> None:
        self._told = time.monotonic()
        if self._console is not None:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
