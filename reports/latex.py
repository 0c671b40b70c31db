r"""Tables for a paper: LaTeX with booktabs, one ``table`` each, to be included by ``\input{report.tex}``."""

from __future__ import annotations

import re

import pandas as pd

from .cells import EMPTY_MARK, Cell, Footnotes, SummaryTable
from .escaping import one_line

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex(tables: list[SummaryTable]) -> str:
    """All tables, with what the preamble needs said in a comment."""
    head = "% Made by pacbench. Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.\n"
    return head + "\n".join(latex_table(table) for table in tables if table.rows)


def latex_table(table: SummaryTable) -> str:
    """One table: caption, rules of booktabs, and below it every reason and remark."""
    places = table.shown("everywhere")
    notes = Footnotes([[row[place] for place in places] for row in table.rows])
    frame = pd.DataFrame(
        [[_cell(row[place], notes) for place in places] for row in table.rows],
        columns=[for_latex(table.columns[place].title) for place in places],
    )
    grid = frame.to_latex(
        index=False,
        escape=False,
        column_format="".join("r" if table.columns[place].numeric else "l" for place in places),
    )
    caption = f"{table.title}. {table.caption}"
    label = re.sub(r"[^A-Za-z0-9-]+", "-", table.name)
    said = [f"\\textsuperscript{{{mark}}} {for_latex(reason)}" for mark, reason in notes.all()]
    said += [for_latex(remark) for remark in table.remarks]
    below = "".join(f"\n\\par\\footnotesize {line}" for line in said)
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{for_latex(caption)}}}\n\\label{{tab:pacbench-{label}}}\n"
        f"{grid.strip()}{below}\n\\end{{table}}\n"
    )


def for_latex(text: str) -> str:
    """One line of LaTeX that reads as the text itself: no command, no comment, no column separator."""
    return _PATTERN.sub(lambda found: _SPECIAL[found.group()], one_line(text))


def _cell(cell: Cell, notes: Footnotes) -> str:
    marks = notes.marks(cell)
    text = for_latex(cell.text or (EMPTY_MARK if marks else ""))
    return f"{text}\\textsuperscript{{{','.join(map(str, marks))}}}" if marks else text
