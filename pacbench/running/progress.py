"""How far a run is: a bar on a terminal, one line a job everywhere else."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pacbench.records import JobRecord

_COLOURS = {"completed": "green", "withheld": "yellow", "interrupted": "yellow"}


class RunProgress:
    """Shows jobs as they begin and end; a context manager."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._ended = 0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, name: str) -> None:
        """A job begins."""
        self._bar.update(self._task, description=name)

    def end(self, job: JobRecord, count: str, *, kept: bool = False, label: str = "") -> None:
        """A job has ended; `count` says how its cases ended, `kept` that it ended in an earlier run.

        `label` says of which of several runs it is.
        """
        self._ended += 1
        self._bar.update(self._task, completed=self._ended)
        colour = _COLOURS.get(job.outcome, "red")
        told = "; ".join(part for part in (count, job.reason) if part)
        self._console.print(
            f"\\[{self._ended}/{self._total}] {escape(label + job.job)}: [{colour}]{job.outcome}[/{colour}] "
            f"{'before' if kept else f'in {job.duration_s:.1f} s'}" + (f" ({escape(told)})" if told else ""),
            highlight=False,
            soft_wrap=True,
        )
