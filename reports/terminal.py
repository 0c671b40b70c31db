"""Tables for the terminal: readable at 80 columns, plain text where the output is no terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pacbench.frame import Run

from .cells import EMPTY_MARK, Cell, Footnotes, SummaryTable
from .escaping import one_line
from .layout import layout

_COLOURS = {"ok": "green", "green": "green", "skipped": "yellow", "not run": "yellow"}
_COLOURS |= {"faster": "green", "same": "green", "slower": "red", "ambiguous": "yellow"}
_REASON_LIMIT = 240
_LONGEST_WORD = 24
_UNBOUNDED = 10_000


def terminal_tables(run: Run) -> list[RenderableType]:
    """One rich renderable per table of the run: title, table, footnotes; then the problems, if any."""
    parts = layout(run)
    shown = [rendered(table) for table in parts.told if table.name != "published"]
    if parts.problems:
        lines = [Text(f"  {one_line(problem)}") for problem in parts.problems]
        shown.append(Group(Text("Problems", style="bold red"), *lines, Text("")))
    return shown


def print_tables(run: Run, console: Console | None = None) -> None:
    """Print :func:`terminal_tables`; rich leaves colours out where the console is no terminal or NO_COLOR is set."""
    console = console or Console()
    for table in terminal_tables(run):
        console.print(table)


class _Grid:
    """A table that sets its columns closer together where the terminal is too narrow for two spaces."""

    def __init__(self, table: SummaryTable) -> None:
        places = table.shown("everywhere")
        self.columns = [table.columns[place] for place in places]
        self.rows = [[row[place] for place in places] for row in table.rows]
        self.notes = Footnotes(self.rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = self._grid(gap=1)
        fits = Measurement.get(console, options.update(max_width=_UNBOUNDED), wide).maximum <= options.max_width
        yield wide if fits else self._grid(gap=0)

    def _grid(self, gap: int) -> Table:
        grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
        for place, column in enumerate(self.columns):
            longest = [len(word) for row in self.rows for word in one_line(row[place].text).split()]
            grid.add_column(
                _heading(column.title),
                justify="right" if column.numeric else "left",
                no_wrap=column.numeric,
                overflow="fold",
                min_width=min(max(longest, default=1), _LONGEST_WORD),
            )
        for row in self.rows:
            grid.add_row(*(_cell(cell, self.notes) for cell in row))
        return grid


def rendered(table: SummaryTable) -> RenderableType:
    """One table: title, caption, grid, footnotes, remarks."""
    grid = _Grid(table)
    parts: list[RenderableType] = [Text(one_line(table.title), style="bold"), Text(one_line(table.caption)), Text("")]
    parts.append(grid if table.rows else Text(f"  {one_line(table.nothing)}"))
    notes = [Text(f"[{mark}] {one_line(reason, _REASON_LIMIT)}", style="dim") for mark, reason in grid.notes.all()]
    remarks = [Text(one_line(remark), style="dim") for remark in table.remarks]
    return Group(*parts, Text(""), *notes, *remarks, *([Text("")] if notes or remarks else []))


def _heading(title: str) -> Text:
    return Text("\n".join(one_line(title).split()) if not title.startswith("/") else one_line(title))


def _cell(cell: Cell, notes: Footnotes) -> Text:
    marks = notes.marks(cell)
    text = Text(one_line(cell.text) if cell.text else EMPTY_MARK if marks else "")
    if cell.text in _COLOURS:
        text.stylize(_COLOURS[cell.text])
    elif marks and cell.text:
        text.stylize("red")
    text.append("".join(f"[{mark}]" for mark in marks), style="dim")
    return text
