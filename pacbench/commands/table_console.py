"""Where commands print tables."""

from __future__ import annotations

import sys
from typing import IO

from rich.console import Console

WIDTH = 200
"""Columns where there is no terminal to ask: a log or a file, in which no cell should be folded."""


def table_console(file: IO[str] | None = None) -> Console:
    """A console as wide as the terminal; `WIDTH` wide for a file, or where standard output is none."""
    return Console(file=file, width=None if file is None and sys.stdout.isatty() else WIDTH)
