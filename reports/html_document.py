"""A self-contained HTML document of tables, plots and pictures: no network, no other file.

Everything that comes from a run is escaped: by Jinja2's autoescape in the markup, by `json_for_script` in the
data of the plots, by `for_plotly` in their labels. A content security policy with the hashes of the page's own
scripts stands behind that: the browser runs no other script and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from .cells import Cell, Column, Footnotes, SummaryTable
from .escaping import json_for_script, one_line, plain
from .figures import Figure
from .interactive import interactive, plotly_script
from .panels import Panels

FIRST_ROWS = 100
"""So many rows of a table are on the screen at first; a browser takes seconds to lay out thousands."""

FEWEST_FILTERED = 4
"""Tables of fewer rows have no filter."""

MOST_ROWS_OPEN = 40
"""Tables of more rows scroll in a box of their own, under a heading that stays."""

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gate:
    """The state of a backend's gate, in one word."""

    backend: str
    word: str


@dataclass(frozen=True)
class Document:
    """What a page holds, in its order; what is empty has no section.

    `plots_left_out` is a sentence about plots that the page has no room for.
    """

    title: str
    facts: Facts
    tables: Sequence[SummaryTable]
    gates: Sequence[Gate] = ()
    problems: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    plots_left_out: str = ""
    panels: Panels = field(default_factory=lambda: Panels((), ()))
    not_passed: SummaryTable | None = None
    environment: Facts = ()


def html(document: Document) -> str:
    """The whole page as text."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    templates = resources.files(__package__) / "templates"
    script = (templates / "page.js").read_text("utf-8")
    plotly = plotly_script() if document.figures else ""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((templates / "page.html.j2").read_text("utf-8"))
    return template.render(
        policy=_policy([script, plotly] if plotly else [script]),
        style=Markup((templates / "page.css").read_text("utf-8")),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        plotly=_packed(plotly) if plotly else "",
        title=document.title,
        facts=_facts(document.facts),
        environment=_facts(document.environment),
        gates=[{"backend": one_line(gate.backend), "word": gate.word} for gate in document.gates],
        problems=[plain(problem) for problem in document.problems],
        tables=[_table(table, number) for number, table in enumerate(document.tables, start=1)],
        not_passed=_table(document.not_passed, 0) if document.not_passed and document.not_passed.rows else None,
        plots=[_plot(figure, number) for number, figure in enumerate(document.figures, start=1)],
        plots_left_out=document.plots_left_out,
        panels=document.panels,
    )


def _policy(scripts: Sequence[str]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _packed(script: str) -> str:
    """The script by gzip in base64, two fifths of its size; the page unpacks it when it draws its first plot."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode("ascii")


def _facts(facts: Facts) -> list[tuple[str, str]]:
    return [(name, plain(value)) for name, value in facts]


def _plot(figure: Figure, number: int) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = interactive(figure)
    return {
        "id": f"plot-{number}",
        "title": one_line(f"{figure.title}; the roof is {figure.roof_name}" if figure.roof_name else figure.title),
        "summary": one_line(figure.summary),
        "height": drawn["layout"]["height"],
        "json": Markup(json_for_script(drawn)),  # noqa: S704 - escaped for a script element
    }


def _table(table: SummaryTable, number: int) -> dict[str, Any]:
    """A table as the template wants it: only text, numbers to sort by, and footnote marks."""
    places = table.shown("everywhere", "documents")
    notes = Footnotes([[row[place] for place in places] for row in table.rows])
    columns = [table.columns[place] for place in places]
    names = [place for place, column in enumerate(columns) if not column.numeric][:1]
    return {
        "id": f"table-{number}",
        "title": one_line(table.title),
        "caption": one_line(table.caption),
        "nothing": one_line(table.nothing),
        "filtered": len(table.rows) >= FEWEST_FILTERED,
        "long": len(table.rows) > MOST_ROWS_OPEN,
        "first_rows": FIRST_ROWS,
        "columns": [{"title": column.title, "numeric": column.numeric, "key": column.key} for column in columns],
        "rows": [
            [
                _cell(row[place], notes, columns[position], heading=position in names)
                for position, place in enumerate(places)
            ]
            for row in table.rows
        ],
        "notes": [(mark, plain(reason)) for mark, reason in notes.all()],
        "remarks": [one_line(remark) for remark in table.remarks],
    }


def _cell(cell: Cell, notes: Footnotes, column: Column, heading: bool) -> dict[str, Any]:
    state = cell.text if column.key in ("status", "gate", "outcome") else ""
    tone = {"": "", "ok": "good", "green": "good", "skipped": "quiet", "not run": "quiet"}.get(state, "bad")
    classes = ["number" if column.numeric else "", f"column-{column.key}", tone, "" if cell.text else "empty"]
    return {
        "text": plain(cell.text),
        "sort": repr(cell.value) if isinstance(cell.value, (int, float)) else one_line(cell.text),
        "marks": notes.marks(cell),
        "heading": heading,
        "classes": " ".join(word for word in classes if word),
    }
