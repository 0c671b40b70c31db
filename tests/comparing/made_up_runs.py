"""Run folders whose truth is known: made-up times, written as a run writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pacbench.records import CaseRecord, Collected, Environment, JobRecord, RunSettings, append, write_one

ENVIRONMENT = Environment(
    pacbench="0", package_hash="a", python="3", platform="p", processor="Made-up", cores=2, memory_bytes=1, threads=2,
    torch="2", cpu_capability="DEFAULT", allocator="glibc",
)  # fmt: skip


class FakeRun:
    """Writes a run folder: a green gate for each backend, and a suite `work` of timed cases.

    Args:
        folder: Where.
        backends: Name -> factor on all its times.
        cases: Name -> seconds.
        rounds: How many.
        noise: Standard deviation of the logarithm of a round's median, of each case by itself.
        seed: Of the noise.
        machines: By backend, the machine of each round, where an executor measured it.
    """

    def __init__(
        self,
        folder: Path,
        backends: dict[str, float],
        cases: dict[str, float],
        *,
        rounds: int = 12,
        noise: float = 0.01,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
        environment: dict[str, Any] | None = None,
        red: Iterable[str] = (),
        machines: dict[str, list[str]] | None = None,
    ) -> None:
        self.folder = folder
        self._machines = machines or {}
        generator = np.random.default_rng(seed)
        asked = {"suites": ["work"], "backends": list(backends), "profile": "quick", "rounds": rounds, "command": "c"}
        write_one(folder / "run.json", RunSettings(**(asked | {"started": "now"} | (settings or {}))))
        write_one(folder / "environment.json", ENVIRONMENT.model_copy(update=environment or {}))
        for backend in backends:
            outcome = {"outcome": "failed", "reason": "off by 2 %"} if backend in red else {}
            self.job(f"gate-{backend}", "gradients", backend, 0, {"gate": {"gate": True} | outcome})
        for number in range(rounds):
            drift = float(generator.normal(0, 0.1))  # of the whole round: pairs do not see it
            for backend, factor in backends.items():
                times = {
                    case: seconds * factor * float(np.exp(drift + generator.normal(0, noise)))
                    for case, seconds in cases.items()
                }
                self.job(
                    f"work-{backend}-r{number}", "work", backend, number,
                    {case: {"samples_s": [0.99 * time, time, 1.01 * time]} for case, time in times.items()},
                )  # fmt: skip

    def job(self, job: str, suite: str, backend: str, number: int, cases: dict[str, dict[str, Any]]) -> None:
        """Write one job that completed, its records in place of those of that name."""
        path = self.folder / "records" / f"{job}.jsonl"
        path.unlink(missing_ok=True)
        common = {"job": job, "suite": suite, "backend": backend, "round": number}
        append(path, Collected(**common, cases=list(cases)))
        for case, fields in cases.items():
            append(path, CaseRecord(**({**common, "case": case, "outcome": "passed"} | fields)))
        machines = self._machines.get(backend, [])
        machine = machines[number] if machines and suite == "work" else None
        append(self.folder / "jobs.jsonl", JobRecord(**common, key="k", outcome="completed", machine=machine))
