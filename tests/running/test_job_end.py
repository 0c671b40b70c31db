"""What is said of a job whose process died."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pacbench.running.job_end import describe_end
from pacbench.running.process import ProcessEnd

SEGFAULT = """test_work.py::test_bad[good] Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "kernels.py", line 3 in forward
Extension modules: numpy._core._multiarray_umath, torch._C (total: 2)
"""


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (-signal.SIGSEGV, SEGFAULT, "killed by SIGSEGV: Fatal Python error: Segmentation fault"),
        (-signal.SIGKILL, "collected 3 items\n", "killed by SIGKILL: collected 3 items"),
        (4, "ERROR: unrecognized arguments: --frob\n", "pytest refused the job: ERROR: unrecognized arguments: --frob"),
        (7, "E   ValueError: got 1\nleaving\n", "left with exit code 7: ValueError: got 1"),
    ],
    ids=["segfault", "killed", "usage", "exit"],
)
def test_the_telling_line_is_said(code: int, log: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    path.write_text(log)
    outcome, reason = describe_end(ProcessEnd(code, 1.0), path, tmp_path / "none.jsonl", None)
    assert outcome == "crashed"
    assert reason == said
