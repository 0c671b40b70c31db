"""The plug-in: what suites see of it, and that other people's tests see nothing."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from pacbench.dispatch import best_backend
from pacbench.records import CaseRecord, Collected, read_lines

pytest_plugins = ["pytester"]

SUITE = """
import pytest

class Method:
    def __init__(self, name):
        self.name = name

METHODS = [Method("cubic"), Method("linear")]

@pytest.mark.timing
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_time(method, direction, backend, record):
    record.describe(method=method.name, direction=direction)

@pytest.mark.quality
def test_quality(backend, record):
    record.metric("mIoU", 0.5)
"""


def records(pytester: pytest.Pytester) -> list[CaseRecord]:
    return [line for line in lines(pytester) if isinstance(line, CaseRecord)]


def lines(pytester: pytest.Pytester) -> list[object]:
    return [line for path in sorted(pytester.path.glob("out/records/*.jsonl")) for line in read_lines(path)]


def test_importing_it_imports_neither_torch_nor_pydantic():
    code = "import pacbench.pytest_plugin, sys; print([m for m in ('torch', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_strangers_see_nothing(pytester: pytest.Pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def record():
            return "mine"

        @pytest.mark.parametrize("backend", ["postgres"])
        def test_own(backend, record, request):
            assert (backend, record) == ("postgres", "mine")
            assert not request.config.pluginmanager.has_plugin("pacbench-session")
            assert not any(marker.startswith("smoke") for marker in request.config.getini("markers"))

        def test_no_fixture_of_ours(request):
            with pytest.raises(pytest.FixtureLookupError):
                request.getfixturevalue("measure")
    """)
    result = pytester.runpytest_inprocess("-W", "error", "--strict-markers")
    result.assert_outcomes(passed=2)
    assert not list(pytester.path.glob("**/*.jsonl"))


def test_fixtures_of_strangers_win(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def backend():
            return "mine"

        def test_own(backend):
            assert backend == "mine"
    """)
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good").assert_outcomes(passed=1)


def test_outcomes_and_reasons(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def broken():
            raise OSError("no such file")

        @pytest.fixture
        def untidy():
            yield
            raise RuntimeError("left over")

        def test_passed(backend): pass
        def test_failed(backend): assert backend is None, "got a backend"
        def test_error(backend, broken): pass
        def test_untidy(backend, untidy): pass
        def test_skipped(backend): pytest.skip("needs a GPU")
        @pytest.mark.skip(reason="not today")
        def test_skip_mark(backend): pass
        @pytest.mark.xfail(reason="issue 7", strict=True)
        def test_expected(backend): assert False
        @pytest.mark.xfail(reason="issue 8", strict=True)
        def test_unexpected(backend): pass
        def test_long_reason(backend): raise ValueError("x" * 2000)
    """)
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "--pacbench-output=out")
    found = {one.case.partition("::")[2]: (one.outcome, one.reason or "") for one in records(pytester)}
    assert found["test_passed"] == ("passed", "")
    assert found["test_failed"][0] == "failed"
    assert found["test_failed"][1].startswith("AssertionError: got a backend")
    assert found["test_error"] == ("error", "OSError: no such file")
    assert found["test_untidy"] == ("error", "RuntimeError: left over")
    assert found["test_skipped"] == ("skipped", "needs a GPU")
    assert found["test_skip_mark"] == ("skipped", "not today")
    assert found["test_expected"] == ("skipped", "expected to fail: issue 7")
    assert found["test_unexpected"] == ("failed", "[XPASS(strict)] issue 8")
    assert found["test_long_reason"][0] == "failed"
    assert len(found["test_long_reason"][1]) == 500


def test_cases_have_the_same_names_for_every_backend(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(test_scale=SUITE)
    names = f"{backends}:Good,{backends}:Other"
    result = pytester.runpytest_inprocess(f"--pacbench-backend={names}", "--pacbench-output=out")
    result.assert_outcomes(passed=10)
    collected = {line.backend: line.cases for line in lines(pytester) if isinstance(line, Collected)}
    assert list(collected) == names.split(",")
    assert collected[f"{backends}:Good"] == collected[f"{backends}:Other"]
    assert "test_scale.py::test_time[forward-cubic]" in collected[f"{backends}:Good"]
    assert "test_scale.py::test_quality" in collected[f"{backends}:Good"]
    found = records(pytester)
    assert {(one.backend, one.case) for one in found} == {(b, case) for b, cases in collected.items() for case in cases}
    assert {one.method for one in found} == {"cubic", "linear", None}
    assert {one.suite for one in found} == {pytester.path.name}


def test_unavailable_backends_skip_with_all_reasons(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile("def test_one(backend): pass")
    result = pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Absent", "--pacbench-output=out")
    result.assert_outcomes(skipped=1)
    assert records(pytester)[0].reason == "unavailable: no GPU; mend: buy one; no compiler; mend: install g++"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--pacbench-backend=unfodl", "backend: got 'unfodl', expected one of *unfold* (did you mean 'unfold'?)"),
        ("--pacbench-backend=no_such_module:Class", "*no_such_module:Class*ModuleNotFoundError*"),
        ("--pacbench-backend=fake_backends:Gone", "*fake_backends:Gone*AttributeError*"),
        ("--pacbench-methods=linaer", "method: got 'linaer', expected one of cubic, linear (did you mean 'linear'?)"),
        ("--pacbench-data-root=nowhere", "data root: got nowhere, expected a folder"),
        ("--pacbench-output=/proc/nowhere", "/proc/nowhere: cannot be written*"),
    ],
)
def test_wrong_use(pytester: pytest.Pytester, backends: str, option: str, message: str):
    pytester.makepyfile(test_scale=SUITE)
    result = pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (result.stderr if result.stderr.lines else result.stdout).fnmatch_lines([f"ERROR: {message}".replace("[", "[[]")])


def test_methods_select(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(test_scale=SUITE)
    options = f"--pacbench-backend={backends}:Good", "--pacbench-methods=linear", "--pacbench-output=out"
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=3, deselected=2)
    assert {one.method for one in records(pytester)} == {"linear", None}


def test_methods_are_listed_and_nothing_runs(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(test_scale=SUITE)
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "--pacbench-list-methods=names")
    assert Path("names").read_text() == "cubic\nlinear\n"


def test_quality_is_measured_in_round_0_only(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(test_scale=SUITE)
    options = f"--pacbench-backend={backends}:Good", "--pacbench-round=1", "--pacbench-output=out"
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=4, deselected=1)
    assert {one.round for one in records(pytester)} == {1}


def test_record_holds_what_the_test_says(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(r"""
        import pytest

        @pytest.mark.gate
        def test_all(backend, record, run_folder, profile, data_root):
            record.describe(operator="pacconv2d", shapes={"input": (1, 2)}, flops=8, bytes=16, dtype="float32")
            record.describe(device="cpu")
            record.metric("RMSE", 2)
            record.metric("EPE", float("nan"))
            record.per_item["cat"] = {"RMSE": 3}
            record.parameters.update(sigma=0.5)
            record.note("tuned\u2028here")
            record.panel("a/b <c>", b"\x89PNG\r\n\x1a\nrest")
            assert run_folder.is_dir() and profile == "standard" and data_root == run_folder
    """)
    Path("out").mkdir()
    options = "--pacbench-output=out", "--pacbench-profile=standard", "--pacbench-data-root", str(Path("out").resolve())
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "--pacbench-job=mine", *options)
    (found,) = records(pytester)
    assert found.outcome == "passed", found.reason
    assert (found.operator, found.device, found.dtype, found.flops, found.bytes) == (
        "pacconv2d", "cpu", "float32", 8, 16,
    )  # fmt: skip
    assert found.shapes == {"input": [1, 2]}
    assert math.isnan(found.metrics["EPE"])
    assert (found.metrics["RMSE"], found.per_item, found.parameters) == (2, {"cat": {"RMSE": 3}}, {"sigma": 0.5})
    assert found.notes == ["tuned\u2028here"]
    assert found.gate
    assert found.panel == "panels/mine-a_b__c_.png"
    assert Path("out", found.panel).read_bytes().endswith(b"rest")


def test_a_record_that_does_not_fit_is_an_error_not_a_gap(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile("""
        def test_wrong(backend, record):
            record.per_item["cat"] = {"RMSE": "good"}

        def test_no_picture(backend, record):
            record.panel("a", b"GIF89a")
    """)
    pytester.runpytest_inprocess(f"--pacbench-backend={backends}:Good", "--pacbench-output=out")
    wrong, no_picture = records(pytester)
    assert wrong.outcome == "error"
    assert "does not fit the schema" in (wrong.reason or "")
    assert no_picture.outcome == "failed"
    assert "expected a PNG file" in (no_picture.reason or "")


def test_every_case_travels_through_xdist(pytester: pytest.Pytester, backends: str):
    pytester.makepyfile(test_scale=SUITE)
    options = f"--pacbench-backend={backends}:Good", "--pacbench-output=out", "-n2"
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=5)
    found = lines(pytester)
    (collected,) = [line for line in found if isinstance(line, Collected)]
    assert sorted(collected.cases) == sorted(line.case for line in found if isinstance(line, CaseRecord))
    assert len({line.job for line in found if isinstance(line, (CaseRecord, Collected))}) == 1


@pytest.mark.parametrize("argument", ["pacbench.suites.gradients", None])
def test_a_suite_is_collected_without_any_option(pytester: pytest.Pytester, argument: str | None):
    from pacbench import suites

    where = ["--pyargs", argument] if argument else [str(Path(suites.__path__[0], "gradients"))]
    result = pytester.runpytest_subprocess("--collect-only", "-q", "--strict-markers", "-W", "error", *where)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*[[]{best_backend()}*"])


def test_session_fixtures_raise_no_warning(pytester: pytest.Pytester):
    pytester.makepyfile("""
        from pacbench.dispatch import best_backend

        def test_what_was_asked(backend, profile, data_root, run_folder):
            assert (backend.name, profile, data_root, run_folder) == (best_backend(), "full", None, None)
    """)
    pytester.runpytest_subprocess("-W", "error", "--pacbench-profile=full").assert_outcomes(passed=1)


def test_a_backend_that_does_not_load_fails_and_is_no_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    from pacbench import registry

    broken = registry.BrokenBackend("mine", "SyntaxError while loading it: line 3")
    monkeypatch.setattr(registry, "get_backend", lambda name: broken)
    pytester.makepyfile("def test_any(backend): pass")
    pytester.runpytest_inprocess("--pacbench-backend=unfold").assert_outcomes(errors=1)
