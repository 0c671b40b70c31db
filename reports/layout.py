"""The order of a report: which tables and remarks are told, under which heading, the same in every format."""

from __future__ import annotations

from dataclasses import dataclass

from pacbench.frame import Run

from .cells import SummaryTable
from .measurements import backend_order, suite_order
from .published import published_table
from .tables import not_passed_table, summary_tables


@dataclass(frozen=True)
class Layout:
    """The parts of a report.

    `tables` are those of the suites with every column, for CSV; `told` are the tables for readers, in order:
    one for each data set, and the published results after those of the CRFs.
    """

    tables: tuple[SummaryTable, ...]
    told: tuple[SummaryTable, ...]
    not_passed: SummaryTable
    facts: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def layout(run: Run) -> Layout:
    """Everything that a report says about a run, before any format."""
    tables = summary_tables(run)
    told: list[SummaryTable] = []
    for table in tables:
        told += table.apart("direction" if table.name == "operators" else "dataset")
        if table.name == "crf":
            told.append(published_table())
    return Layout(
        tables=tuple(tables),
        told=tuple(told),
        not_passed=not_passed_table(run),
        facts=tuple(_facts(run)),
        environment=tuple(_environment(run)),
        problems=tuple(run.problems),
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    settings = run.settings
    if settings is None:
        known = [("suites", ", ".join(suite_order(run))), ("backends", ", ".join(backend_order(run)))]
        return [*known, ("command", "not known: run.json is missing or cannot be read")]
    return [
        ("started", settings.started),
        ("suites", ", ".join(settings.suites) or "none"),
        ("backends", ", ".join(settings.backends) or "none"),
        *([("methods", ", ".join(settings.methods))] if settings.methods is not None else []),
        *([("cases", settings.cases)] if settings.cases else []),
        ("profile", f"{settings.profile}, {settings.rounds} round{'s' if settings.rounds != 1 else ''}"),
        ("allocator setting", settings.allocator),
        ("data", settings.data_root or "embedded"),
        ("command", settings.command),
    ]


def _environment(run: Run) -> list[tuple[str, str]]:
    found = run.environment
    if found is None:
        return [("environment", "not known: environment.json is missing or cannot be read")]
    if found.fma_peak_gflops is not None:
        peak = f"{found.fma_peak_gflops:.0f} GFLOP/s"
    else:
        peak = f"not measured: {found.fma_peak_reason or 'no reason was recorded'}"
    bandwidth = found.copy_bandwidth_gbs
    return [
        ("pacbench", f"{found.pacbench} (package hash {found.package_hash[:12]})"),
        ("processor", f"{found.processor}, {found.cores} core{'s' if found.cores != 1 else ''}"),
        ("threads of torch", str(found.threads)),
        ("memory", f"{found.memory_bytes / 2**30:.1f} GiB"),
        ("GPU", ", ".join(found.gpu) or "none"),
        ("torch", f"{found.torch} ({found.cpu_capability})"),
        ("Python", f"{found.python} on {found.platform}"),
        ("allocator", found.allocator),
        ("FMA peak", peak),
        ("copy bandwidth", "not measured" if bandwidth is None else f"{bandwidth:.1f} GB/s"),
        ("packages", ", ".join(f"{name} {version}" for name, version in sorted(found.packages.items())) or "none"),
    ]
