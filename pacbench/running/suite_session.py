"""The plug-in at work in one pytest session: fixtures for suites, and a record of every case as it ends."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import groupby
from typing import Any

import pytest
from pydantic import ValidationError

from pacbench.errors import UnknownNameError
from pacbench.records import CaseRecord, Collected, Outcome, append

from .case_name import case_name
from .case_recorder import CaseRecorder
from .measure import Measure
from .parent_process import end_with_coordinator
from .poisoned_device import poison
from .profiles import PROFILES
from .seat import taken
from .suite_options import WORKER_INPUT, SuiteOptions

MARKERS = (
    "smoke: a gate's named subset, run before every run",
    "gate: decides whether a backend's numbers may be shown",
    "quality: measured once, in round 0",
    "timing: measured in every round",
)
REASON_LENGTH = 500

_RECORDER = pytest.StashKey[CaseRecorder]()
_REPORTS = pytest.StashKey[list[tuple[pytest.TestReport, str | None]]]()
_ATTRIBUTE = "pacbench_case"


class SuiteSession:
    """Fixtures and hooks of an active session."""

    def __init__(self, config: pytest.Config, options: SuiteOptions) -> None:
        self._options = options
        self._worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        if self._worker is None:
            end_with_coordinator()
        self._seat = taken() if self._worker is None else None
        for marker in MARKERS:
            config.addinivalue_line("markers", marker)

    @pytest.fixture
    def record(self, request: pytest.FixtureRequest) -> CaseRecorder:
        """What the test says about its case."""
        recorder = CaseRecorder(self._options.folder, self._options.job)
        request.node.stash[_RECORDER] = recorder
        return recorder

    @pytest.fixture
    def measure(self, request: pytest.FixtureRequest, record: CaseRecorder, benchmark: Any) -> Iterator[Measure]:
        """Times a call and measures its peak memory."""
        case = case_name(request.node, self._options.backends).case
        measure = Measure(benchmark, record, PROFILES[self._options.profile], seat=self._seat, case=case)
        yield measure
        measure.finish()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what was asked for: methods, and in later rounds nothing that is measured once."""
        methods = {name for item in items if (name := _method_name(item)) is not None}
        wanted = self._options.methods
        for name in wanted or ():
            if methods and name not in methods:
                raise pytest.UsageError(str(UnknownNameError("method", name, methods)))
        if self._options.list_methods is not None:
            self._options.list_methods.write_text("".join(f"{name}\n" for name in sorted(methods)))
        kept: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            method = _method_name(item)
            leave_out = (
                self._options.list_methods is not None
                or (self._options.round > 0 and item.get_closest_marker("quality") is not None)
                or (wanted is not None and method is not None and method not in wanted)
            )
            (left_out if leave_out else kept).append(item)
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = kept

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist the job's name."""
        node.workerinput[WORKER_INPUT] = self._options.job

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down what is about to run; of pytest-xdist's workers, which all collect, only the first."""
        options = self._options
        if self._seat is not None:
            self._seat.announce([case_name(item, options.backends).case for item in session.items])
        if options.folder is None or self._worker not in (None, "gw0"):
            return
        if self._worker is None and session.config.getoption("dist", "no") != "no":
            return
        suffix = f".{self._worker}" if self._worker else ""
        names = sorted((case_name(item, options.backends) for item in session.items), key=_suite_and_backend)
        for (suite, backend), group in groupby(names, key=_suite_and_backend):
            append(
                options.folder / "records" / f"{options.job}{suffix}.jsonl",
                Collected(
                    job=options.job,
                    suite=suite,
                    backend=backend,
                    round=options.round,
                    cases=[name.case for name in group],
                ),
            )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hang the record of a case on its last report, which pytest-xdist carries to the process that writes."""
        report = yield
        reports = item.stash.setdefault(_REPORTS, [])
        reports.append((report, call.excinfo.exconly() if call.excinfo is not None else None))
        if report.when == "teardown" and self._options.folder is not None:
            setattr(report, _ATTRIBUTE, self._case_record(item, reports).model_dump_json())
            if any(each.failed for each, _ in reports) and (said := poison()) is not None:
                item.session.shouldstop = f"the device is beyond use since {item.name}: {said}"
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the record of a case that has ended."""
        line = getattr(report, _ATTRIBUTE, None)
        if line is not None and self._options.folder is not None and self._worker is None:
            path = self._options.folder / "records" / f"{self._options.job}.jsonl"
            append(path, CaseRecord.model_validate_json(line))

    def _case_record(self, item: pytest.Item, reports: list[tuple[pytest.TestReport, str | None]]) -> CaseRecord:
        name = case_name(item, self._options.backends)
        outcome, reason = _outcome(reports)
        fields: dict[str, Any] = {
            "job": self._options.job,
            "suite": name.suite,
            "case": name.case,
            "backend": name.backend,
            "round": self._options.round,
            "gate": item.get_closest_marker("gate") is not None,
            "method": _method_name(item),
            "duration_s": sum(report.duration for report, _ in reports),
        }
        recorder = item.stash.get(_RECORDER, None)
        try:
            filled = recorder.fields() if recorder is not None else {}
            return CaseRecord(**(fields | filled), outcome=outcome, reason=reason)
        except (ValidationError, TypeError, ValueError) as error:
            reason = _shortened(f"the test filled a record that does not fit the schema: {error}")
            return CaseRecord(**fields, outcome="error", reason=reason)


def _suite_and_backend(name: Any) -> tuple[str, str]:
    return name.suite, name.backend


def _method_name(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    method = callspec.params.get("method") if callspec is not None else None
    name = getattr(method, "name", method)
    return name if isinstance(name, str) else None


def _outcome(reports: list[tuple[pytest.TestReport, str | None]]) -> tuple[Outcome, str | None]:
    """Outcome of a case: of its first phase that did not pass."""
    for report, exception in reports:
        if report.passed:
            continue
        if report.skipped and hasattr(report, "wasxfail"):
            return "skipped", _shortened(f"expected to fail: {report.wasxfail or exception}")
        if report.skipped:
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            return "skipped", _shortened(text.removeprefix("Skipped: "))
        return "failed" if report.when == "call" else "error", _shortened(exception or str(report.longrepr))
    return "passed", None


def _shortened(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    joined = "; ".join(lines).encode(errors="replace").decode()
    return joined if len(joined) <= REASON_LENGTH else joined[: REASON_LENGTH - 1] + "…"
