"""The report as one HTML page that needs nothing but itself: no network, no other file.

Everything that comes from a run is escaped: by Jinja2's autoescape in the markup, by `json_for_script` in the
data of the plots, by `for_plotly` in their labels. A content security policy with the hashes of the page's own
scripts stands behind that: the browser runs no other script and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import Any

from pacbench.frame import Run

from .cells import Cell, Footnotes, SummaryTable
from .escaping import json_for_script, one_line, plain
from .figures import figures
from .interactive import interactive, plotly_script
from .layout import layout
from .measurements import backend_order, gate_word
from .panels import Panels, collect


def page(run: Run, panels: bool = True) -> str:
    """The whole page as HTML text; with `panels` off no picture of the data is in it."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    templates = resources.files(__package__) / "templates"
    parts = layout(run)
    drawn = figures(parts.tables)
    style = (templates / "page.css").read_text("utf-8")
    scripts = [(templates / "page.js").read_text("utf-8")]
    if drawn:
        # plotly.js first: the page's own script calls it. Its text must not end the element that holds it.
        scripts.insert(0, re.sub(r"</(?=script)", r"<\\/", plotly_script(), flags=re.IGNORECASE))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((templates / "page.html.j2").read_text("utf-8"))
    return template.render(
        policy=_policy(scripts),
        style=Markup(style),  # noqa: S704 - a file of this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of this package and plotly.js
        facts=[(name, plain(value)) for name, value in parts.facts],
        environment=[(name, plain(value)) for name, value in parts.environment],
        gates=[
            {"backend": one_line(name), "word": gate_word(run, name), "reason": plain(run.gate[name].reason or "")}
            for name in backend_order(run)
            if name in run.gate
        ],
        problems=[plain(problem) for problem in parts.problems],
        tables=[_table(table, number) for number, table in enumerate(parts.told, start=1)],
        not_passed=_table(parts.not_passed, 0) if parts.not_passed.rows else None,
        plots=[
            {
                "id": f"plot-{number}",
                "title": one_line(figure.title),
                "summary": one_line(figure.summary),
                "json": Markup(json_for_script(interactive(figure))),  # noqa: S704 - escaped for a script element
            }
            for number, figure in enumerate(drawn, start=1)
        ],
        panels=collect(run) if panels else Panels((), ()),
        panels_asked=panels,
    )


def _policy(scripts: list[str]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


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
        "columns": [{"title": column.title, "numeric": column.numeric, "key": column.key} for column in columns],
        "rows": [
            [
                _cell(row[place], notes, heading=position in names, column=columns[position].key)
                for position, place in enumerate(places)
            ]
            for row in table.rows
        ],
        "notes": [(mark, plain(reason)) for mark, reason in notes.all()],
        "remarks": [one_line(remark) for remark in table.remarks],
    }


def _cell(cell: Cell, notes: Footnotes, heading: bool, column: str) -> dict[str, Any]:
    state = cell.text if column in ("status", "gate", "outcome") else ""
    tone = {"": "", "ok": "good", "green": "good", "skipped": "quiet", "not run": "quiet"}.get(state, "bad")
    return {
        "text": plain(cell.text),
        "sort": repr(cell.value) if isinstance(cell.value, (int, float)) else one_line(cell.text),
        "marks": notes.marks(cell),
        "heading": heading,
        "tone": tone,
    }
