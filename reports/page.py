"""The report of a run as one HTML page."""

from __future__ import annotations

from pacbench.frame import Run

from .figures import figures, machine_roof
from .html_document import Document, Gate, html
from .layout import layout
from .measurements import backend_order, gate_word
from .panels import Panels, collect


def page(run: Run, panels: bool = True) -> str:
    """The whole page as HTML text; with `panels` off no picture of the data is in it."""
    parts = layout(run)
    return html(
        Document(
            title="pacbench run",
            facts=parts.facts,
            tables=parts.told,
            gates=[Gate(name, gate_word(run, name)) for name in backend_order(run) if name in run.gate],
            problems=parts.problems,
            figures=figures(parts.tables, machine_roof(run)),
            panels=collect(run) if panels else Panels((), ()),
            not_passed=parts.not_passed,
            environment=parts.environment,
        )
    )
