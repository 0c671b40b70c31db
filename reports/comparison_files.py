"""The files of a comparison: Markdown, CSV, JSON, JUnit XML."""

from __future__ import annotations

from pathlib import Path

from pacbench.comparing.comparison import Comparison

from .comparison_junit import comparison_junit
from .comparison_table import comparison_table, resources_table
from .csv_files import table_csv
from .markdown import markdown_table
from .whole_file import write_whole


def write_comparison(comparison: Comparison, folder: Path, *, strict: bool = False) -> list[Path]:
    """Write ``comparison.md``, ``.csv``, ``.json`` and ``.junit.xml``; each is there whole or not at all.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    contents = {
        "comparison.md": comparison_markdown(comparison),
        "comparison.csv": table_csv(comparison_table(comparison)),
        "comparison.json": comparison.model_dump_json(indent=2) + "\n",
        "comparison.junit.xml": comparison_junit(comparison, strict=strict),
    }
    return [write_whole(folder / name, text.encode("utf-8", "backslashreplace")) for name, text in contents.items()]


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as GitHub-flavoured Markdown."""
    tables = [comparison_table(comparison), *([resources_table(comparison)] if comparison.resources else [])]
    return "\n\n".join(block for table in tables for block in markdown_table(table)) + "\n"
