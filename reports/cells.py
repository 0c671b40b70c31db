"""A summary table as data: columns, cells, and the reason behind every empty cell.

The terminal, Markdown, CSV and HTML writers all read this one form, so that no number and no reason can be
in one of them and not in another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

EMPTY_MARK = "\N{EN DASH}"
"""What an empty cell shows beside the number of its footnote."""

Where = Literal["everywhere", "documents", "data"]


@dataclass(frozen=True)
class Column:
    """One column: `key` names it in CSV (with its unit), `title` names it to readers.

    `where` says who shows it: everywhere, documents (Markdown, HTML, CSV) or data (CSV alone).
    """

    key: str
    title: str
    numeric: bool = True
    where: Where = "everywhere"


@dataclass(frozen=True)
class Cell:
    """What one cell shows: `text` to readers, `value` to CSV, the `reason` why it is empty or bad, and `notes`."""

    text: str = ""
    value: float | str | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing but a reason in it."""
        return not self.text


Row = tuple[Cell, ...]


def words(text: str, reason: str | None = None) -> Cell:
    """A cell of words."""
    return Cell(text=text, value=text, reason=reason)


def empty(reason: str) -> Cell:
    """A cell without a number; `reason` says why."""
    return Cell(reason=reason)


def number(value: float | None, written: Callable[[float], str], reason: str) -> Cell:
    """A cell of a number; where there is none, or it is not finite, the cell is empty and says why."""
    if value is None:
        return empty(reason)
    if not math.isfinite(value):
        return empty(f"the recorded value is {value}, not a finite number")
    return Cell(text=written(value), value=float(value))


@dataclass(frozen=True)
class SummaryTable:
    """One suite's table.

    `remarks` are sentences that the table needs beside it (baseline, units, dataset); `nothing` is said where it has no
    row.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    nothing: str = "This run holds no row of this suite."

    def __post_init__(self) -> None:
        wrong = [len(row) for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"table {self.name}: got a row of {wrong[0]} cells, expected {len(self.columns)}")

    def cell(self, row: Row, key: str) -> Cell:
        """The cell of `row` in the column `key`."""
        return row[[column.key for column in self.columns].index(key)]

    def shown(self, *places: Where) -> list[int]:
        """Positions of the columns that belong to one of the `places`."""
        return [place for place, column in enumerate(self.columns) if column.where in places]

    def apart(self, key: str) -> list[SummaryTable]:
        """One table for each text of the column `key`, which is said in the title; the last has the remarks.

        Rows that say nothing there (of a job that ended before it named its cases) stand in the last table.
        """
        keys = [column.key for column in self.columns]
        if key not in keys or not self.rows:
            return [self]
        place = keys.index(key)
        texts = list(dict.fromkeys(row[place].text for row in self.rows if row[place].text)) or [""]
        return [
            replace(
                self,
                title=f"{self.title}: {text}" if text else self.title,
                columns=self.columns[:place] + self.columns[place + 1 :],
                rows=tuple(
                    row[:place] + row[place + 1 :] for row in self.rows if (row[place].text or texts[-1]) == text
                ),
                remarks=self.remarks if text == texts[-1] else (),
            )
            for text in texts
        ]


class Footnotes:
    """Reasons and notes of a table, numbered in the order in which a reader meets them; equal ones share a number."""

    def __init__(self, rows: Sequence[Sequence[Cell]]) -> None:
        self.numbers: dict[str, int] = {}
        for row in rows:
            for cell in row:
                for text in self._texts(cell):
                    self.numbers.setdefault(text, len(self.numbers) + 1)

    def marks(self, cell: Cell) -> list[int]:
        """The numbers of the cell's footnotes."""
        return [self.numbers[text] for text in self._texts(cell)]

    def all(self) -> list[tuple[int, str]]:
        """Every footnote, by number."""
        return [(place, reason) for reason, place in self.numbers.items()]

    @staticmethod
    def _texts(cell: Cell) -> list[str]:
        return [*([cell.reason] if cell.reason else []), *cell.notes]
