"""The command line: one line and the right exit code for every wrong use, help with an example, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pacbench import command_line
from pacbench.commands import verify as verify_module
from pacbench.records import CaseRecord, Environment, RunSettings, append, write_one
from pacbench.running import gate

COMMANDS = ("backends", "verify", "bench", "run", "train", "report", "compare", "calibrate", "history", "doctor")
PROGRAM = [sys.executable, "-c", "from pacbench.command_line import main; main()"]


@pytest.fixture
def pacbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Runs a command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACBENCH_DATA", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pacbench", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "",
            "got no command, expected one of backends, verify, bench, run, train, report, compare, calibrate, *",
        ),
        ("rnu", "command: got 'rnu', expected one of backends, verify, * (did you mean 'run'?)"),
        ("run --bakend unfold", "option: got '--bakend', expected one of *--backend, * (did you mean '--backend'?)"),
        ("run --backend", "*--backend*requires an argument*"),
        ("run --rounds 0", "*--rounds*"),
        ("run --rounds many", "*--rounds*"),
        ("run --backend unfodl", "backend: got 'unfodl', expected one of *unfold* (did you mean 'unfold'?)"),
        ("verify --backend unfold,unfodl", "backend: got 'unfodl', expected one of *unfold*"),
        ("run --backend no_such_module:Class", "backend no_such_module:Class: no module named 'no_such_module'*"),
        ("run --backend :Class", "backend: got ':Class', expected module:Class"),
        ("run cfr", "suite: got 'cfr', expected one of crf, * (did you mean 'crf'?)"),
        ("run gradients", "suite: got 'gradients', expected one of *"),
        ("run --profile quik", "profile: got 'quik', expected one of full, quick, standard (did you mean 'quick'?)"),
        ("run --allocator keep", "allocator: got 'keep', expected one of default, kept (did you mean 'kept'?)"),
        ("bench --against unfold", "got --against or --parts, expected --interleaved beside them"),
        (
            "bench --interleaved --backend unfold,inductor",
            "--interleaved: got backends unfold, inductor, *",
        ),
        ("bench --interleaved --methods x", "--interleaved: got --methods, expected --cases"),
        ("bench --interleaved --reference conv3d", "reference: got 'conv3d', expected one of conv2d *"),
        ("run joint_upsampling --factor 4,x", "factor: got 'x', expected whole numbers of 2 or more"),
        ("run joint_upsampling --factor 1", "factor: got '1', expected whole numbers of 2 or more"),
        ("run crf --factor 4", "--factor: got the suites crf, expected joint_upsampling alone"),
        ("run joint_upsampling --weights none", "weights: got none, expected a file"),
        ("bench --interleaved --parts tme", "part: got 'tme', expected one of * (did you mean 'time'?)"),
        ("bench --interleaved --cases W1;", "cases: got 'W1;', expected letters, digits and . + - _"),
        ("bench --interleaved --against unfodl", "backend: got 'unfodl', expected one of *unfold* (did you mean*"),
        (
            "run --executor dusk",
            "executor: got 'dusk', expected one of dask, local, module:factory (did you mean 'dask'?)",
        ),
        ("run --executor dask", "--executor dask: got no scheduler, expected --scheduler tcp://HOST:PORT beside it"),
        ("run --scheduler tcp://a:1", "--scheduler: got --executor local, expected --executor dask beside it"),
        ("run --data-root nowhere", "data root: got nowhere, expected a folder"),
        ("doctor --data-root nowhere", "data root: got nowhere, expected a folder"),
        ("run --resume nowhere", "--resume: got nowhere, expected the folder of a run (it has no run.json)"),
        ("run crf --resume nowhere --profile quick", "--resume takes the settings of * leave out profile, suites"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(pacbench, words: str, message: str):
    code, out, err = pacbench(*words.split())
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    pytest.LineMatcher([line]).fnmatch_lines([f"pacbench: {message}"])
    assert not list(Path().iterdir()), "nothing was written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report nowhere", "nowhere: got neither run.json nor records/, expected the folder of a run"),
        ("run crf --output /proc/nowhere", "/proc/nowhere*: cannot be written (*)"),
        ("verify --output /proc/nowhere", "/proc/nowhere*: cannot be written (*)"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line(pacbench, words: str, message: str):
    code, _, err = pacbench(*words.split())
    assert code == 1
    (line,) = err.splitlines()
    pytest.LineMatcher([line]).fnmatch_lines([f"pacbench: {message}"])


def test_a_folder_that_holds_a_run_is_not_overwritten(pacbench, tmp_path: Path):
    settings = RunSettings(suites=[], backends=["a"], profile="quick", rounds=1, command="c", started="now")
    write_one(tmp_path / "run.json", settings)
    code, _, err = pacbench("run", "--output", str(tmp_path))
    assert code == 2
    assert "holds a run already; take it up with --resume" in err


def test_a_corrupt_result_file_is_named_and_the_rest_is_told(pacbench, tmp_path: Path):
    settings = RunSettings(suites=["work"], backends=["a"], profile="quick", rounds=1, command="c", started="now")
    write_one(tmp_path / "run.json", settings)
    bad = tmp_path / "records" / "bad.jsonl"
    append(
        tmp_path / "records" / "work-a-r0.jsonl",
        CaseRecord(job="work-a-r0", suite="work", backend="a", round=0, case="good_case", outcome="passed"),
    )
    bad.write_text("{}\n")
    code, out, _ = pacbench("report", str(tmp_path), "--output", "told")
    assert code == 1
    assert "bad.jsonl" in out.replace("\n", "")
    assert Path("told", "report.md").exists()
    assert "good_case" in Path("told", "report.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(pacbench, command: str):
    code, out, _ = pacbench(command, "--help")
    assert code == 0
    assert f"Example: pacbench {command}" in out


def test_version(pacbench):
    code, out, _ = pacbench("--version")
    assert code == 0
    assert out.startswith("pacbench ")


def test_backends_are_listed_with_what_they_can_do(pacbench):
    code, out, _ = pacbench("backends")
    assert code == 0
    assert "unfold" in out
    assert "pacconv2d" in out
    assert "\x1b" not in out, "no colours where the output is no terminal"


def test_a_reason_and_its_mend_are_listed(pacbench, backends: str, monkeypatch: pytest.MonkeyPatch):
    from pacbench.commands import backends as module

    monkeypatch.setattr(module, "list_backends", lambda: [f"{backends}:Absent"])
    _, out, _ = pacbench("backends")
    assert "unavailable: no compiler\n  mend: install g++" in out


def test_doctor_describes_the_machine(pacbench, tmp_path: Path):
    code, out, _ = pacbench("doctor", "--data-root", str(tmp_path))
    assert code == 0
    for word in ("processor: ", "fma peak: ", "copy bandwidth: ", "backend unfold: available", "not found"):
        assert word in out


@pytest.mark.parametrize(("backend", "code", "word"), [("Good", 0, "green"), ("Absent", 1, "skipped")])
def test_verify_prints_counts_and_reasons(
    pacbench,
    backends: str,
    write_suite: Callable[..., str],
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    code: int,
    word: str,
):
    fake_gate(monkeypatch, environment, write_suite("gradients"))
    found, out, _ = pacbench("verify", "--backend", f"{backends}:{backend}", "--junit", "gate.xml")
    assert found == code
    assert word in out
    assert '<testsuite name="pytest"' in Path("gate.xml").read_text()
    if backend == "Good":
        assert out.split()[-4:] == ["3", "3", "0", "0"], "the whole gate: cases, passed, not passed, skipped"
    else:
        assert "mend: install g++" in out


def test_verify_names_each_failure(
    pacbench,
    backends: str,
    write_suite: Callable[..., str],
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
):
    source = "import pytest\n@pytest.mark.gate\n@pytest.mark.smoke\ndef test_x(backend): assert 1 == 2, 'off by one'\n"
    fake_gate(monkeypatch, environment, write_suite("gradients", source))
    names = f"{backends}:Good,{backends}:Other"
    code, out, _ = pacbench("verify", "--smoke", "--backend", names, "--junit", "gate.xml")
    assert code == 1
    assert f"{backends}:Good: test_gradients.py::test_x: failed: AssertionError: off by one" in out
    assert sorted(path.name for path in Path().glob("*.xml")) == [
        f"gate-{backends}_Good.xml",
        f"gate-{backends}_Other.xml",
    ]


def fake_gate(monkeypatch: pytest.MonkeyPatch, environment: Environment, path: str) -> None:
    from pacbench.running import coordinator

    monkeypatch.setattr(coordinator, "describe_environment", lambda **_: environment)
    monkeypatch.setattr(
        verify_module, "run_gate", lambda *args, **rest: gate.run_gate(*args, **rest, targets={"gradients": path})
    )


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen([*PROGRAM, "backends"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ctrl_c_has_no_traceback(tmp_path: Path):
    words = [*PROGRAM, "run", "crf", "--profile", "quick", "--output", str(tmp_path / "run")]
    environment = {name: value for name, value in os.environ.items() if name != "PACBENCH_DATA"}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    for _ in range(2400):  # two minutes: importing alone takes long on a busy machine
        if (tmp_path / "run" / "logs").exists():
            break
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"resume: pacbench run --resume {tmp_path / 'run'}" in said
