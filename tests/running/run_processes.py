"""A coordinator in a process of its own, so that a test can kill it; and whether processes are there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

SCRIPT = """\
import resource, sys
from pathlib import Path
from rich.console import Console
from pacbench.records import Environment, RunSettings
from pacbench.running import coordinator
from pacbench.running.probes import RunError

environment = Environment.model_validate_json({environment!r})
coordinator.describe_environment = lambda **_: environment
settings = RunSettings.model_validate_json({settings!r})
folder = Path({folder!r})
resume = (folder / "run.json").exists()
if {largest_file!r} is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file!r}, {largest_file!r}))
try:
    run, code = coordinator.Coordinator(
        folder, settings, Console(stderr=True), resume=resume, targets={targets!r}
    ).run()
except RunError as error:
    sys.exit(f"pacbench: {{error}}")
sys.exit(code)
"""


def start(
    folder: Path, settings: str, environment: str, targets: Mapping[str, str], *, largest_file: int | None = None
) -> subprocess.Popen[str]:
    """Start a run, or take it up again where the folder holds one.

    Args:
        folder: The run folder.
        settings: Of the run, as JSON.
        environment: The made-up environment, as JSON.
        targets: Paths of the suites.
        largest_file: Bytes after which a write to any file fails, as on a full disk; None for no such limit.
    """
    script = SCRIPT.format(
        folder=str(folder), settings=settings, environment=environment, targets=dict(targets), largest_file=largest_file
    )
    # Python 3.11 leaves half of a .pyc file behind where it cannot write the whole.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"} if largest_file is not None else dict(os.environ)
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environ)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie that nobody has waited for yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
