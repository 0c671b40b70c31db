"""The commands that compare: options and help; what they do is in modules of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("compare", epilog="Example: pacbench compare base-run new-run --output comparison; two backends of one "
                "run: pacbench compare my-run:unfold my-run:native")(_compare)  # fmt: skip


def _compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The baseline: RUN or RUN:backend.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What is judged: RUN or RUN:backend.")],
    across_machines: Annotated[
        bool,
        typer.Option(
            "--across-machines", help="Compare ratios to each run's own reference case: machines may then differ."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 where a case is ambiguous.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write Markdown, CSV, JSON and JUnit XML here.")
    ] = None,
) -> int:
    """Say of each case whether NEW is faster, the same, slower or ambiguous; exit 1 if one is slower."""
    from .compare import compare

    return compare(base, new, across_machines=across_machines, strict=strict, output=output)
