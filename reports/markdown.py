"""The report as GitHub-flavoured Markdown."""

from __future__ import annotations

import pandas as pd

from pacbench.frame import Run

from .cells import EMPTY_MARK, Cell, Footnotes, SummaryTable
from .escaping import for_markdown
from .layout import layout


def markdown(run: Run, plots: tuple[str, ...] = ()) -> str:
    """The whole report; `plots` are paths of pictures relative to the report's folder."""
    parts = layout(run)
    blocks = ["# pacbench run", _facts(parts.facts)]
    if parts.problems:
        blocks += ["## Problems", "\n".join(f"- {for_markdown(problem)}" for problem in parts.problems)]
    for table in parts.told:
        blocks += markdown_table(table)
    if plots:
        blocks += ["## Plots", *(f"![{for_markdown(_plot_name(plot))}]({plot})" for plot in plots)]
    blocks += markdown_table(parts.not_passed) if parts.not_passed.rows else []
    blocks += ["## Environment", _facts(parts.environment)]
    return "\n\n".join(blocks) + "\n"


def markdown_table(table: SummaryTable) -> list[str]:
    """Blocks of Markdown: heading, caption, table, footnotes with every reason, remarks."""
    places = table.shown("everywhere", "documents")
    notes = Footnotes([[row[place] for place in places] for row in table.rows])
    blocks = [f"## {for_markdown(table.title)}", for_markdown(table.caption)]
    if not table.rows:
        blocks.append(for_markdown(table.nothing))
    else:
        frame = pd.DataFrame(
            [[_cell(row[place], notes) for place in places] for row in table.rows],
            columns=[for_markdown(table.columns[place].title) for place in places],
        )
        alignment = ["right" if table.columns[place].numeric else "left" for place in places]
        blocks.append(frame.to_markdown(index=False, disable_numparse=True, colalign=alignment))
    if notes.numbers:
        blocks.append("\n".join(f"{mark}. {for_markdown(reason)}" for mark, reason in notes.all()))
    if table.remarks:
        blocks.append("\n".join(f"- {for_markdown(remark)}" for remark in table.remarks))
    return blocks


def _cell(cell: Cell, notes: Footnotes) -> str:
    marks = notes.marks(cell)
    text = for_markdown(cell.text) if cell.text else EMPTY_MARK if marks else ""
    return f"{text} ({', '.join(str(mark) for mark in marks)})" if marks else text


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"- {name}: {for_markdown(value)}" for name, value in facts)


def _plot_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".png").replace("_", " ")
