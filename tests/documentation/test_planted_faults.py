"""Faults planted in a page: each must turn the test of its blocks, or of its prose, red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shell_commands import complaints_about_prose, complaints_about_script, pacbench_calls
from sybil.example import SybilFailure

Evaluate = Callable[[Path], None]

MARKED = "<!-- not executed: needs a GPU -->\n"


def page_of(folder: Path, *blocks: str) -> Path:
    page = folder / "page.md"
    page.write_text("# A page\n\n" + "\n".join(f"{block}\n" for block in blocks), encoding="utf-8")
    return page


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


def test_a_good_page_is_green(tmp_path: Path, page_folder: Path, evaluate_page: Evaluate) -> None:
    page = page_of(
        tmp_path,
        "<!-- file: package/answer.py -->\n" + fenced("python", "ANSWER = 42"),
        fenced("python", "from package.answer import ANSWER\nfound = ANSWER"),
        fenced("python", "assert found == 42"),
        fenced("sh", "python -c 'from package.answer import ANSWER; print(ANSWER)' > said.txt"),
        fenced("sh", "test $(cat said.txt) = 42"),
        MARKED + fenced("sh", "pacbench run crf --backend cuda_ext --output my-run\nexit 1"),
        MARKED + fenced("python", "raise SystemExit"),
        fenced("text", "anything"),
    )
    evaluate_page(page)
    assert (page_folder / "said.txt").read_text() == "42\n"


@pytest.mark.parametrize(
    ("block", "error", "said"),
    [
        (fenced("python", "assert 1 + 1 == 3"), AssertionError, ""),
        (fenced("sh", "false\ntrue"), SybilFailure, "exit code 1"),
        (fenced("sh", "pacbench --no-such-option"), SybilFailure, "no-such-option"),
        (fenced("console", "$ true"), SybilFailure, "got a block of 'console', expected python, sh"),
        (fenced("", "pacbench run"), SybilFailure, "got a block of ''"),
        (MARKED + fenced("sh", "pacbench run crf --no-such-option"), SybilFailure, "--no-such-option"),
        (MARKED + fenced("sh", "pacbench run crf --rounds many"), SybilFailure, "many"),
        (MARKED + fenced("sh", "OMP_NUM_THREADS=1 torchrun pacbench trian fcn"), SybilFailure, "no command 'trian'"),
        (MARKED + fenced("sh", "pacbench doctor && pacbench compare one"), SybilFailure, "NEW"),
        (MARKED + fenced("sh", "pytest --pacbench-backed native"), SybilFailure, "no option --pacbench-backed"),
        (MARKED + fenced("sh", "python -m pacbench.gone"), SybilFailure, "no module pacbench.gone"),
        (MARKED + fenced("sh", "for name in one; do true"), SybilFailure, "syntax error"),
        (MARKED + fenced("python", "def broken(:"), SybilFailure, "invalid syntax"),
        ("<!-- not executed: -->\n" + fenced("sh", "exit 7"), SybilFailure, "exit code 7"),
        (MARKED + "A sentence between.\n" + fenced("sh", "exit 7"), SybilFailure, "exit code 7"),
    ],
)
def test_a_fault_is_red(block: str, error: type[Exception], said: str, tmp_path: Path, evaluate_page: Evaluate) -> None:
    page = page_of(tmp_path, fenced("python", "one = 1"), block)
    with pytest.raises(error) as caught:
        evaluate_page(page)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("prose", "complaint"),
    [
        ("`pacbench run --backends native`", "pacbench run has no option --backends"),
        ("`pacbench benhc`", "pacbench has no command 'benhc'"),
        ("`TRITON_INTERPRET=1 pacbench verify\n--smoek`", "pacbench verify has no option --smoek"),
        ("`pytest --pyargs pacbench.suites.crf --pacbench-round`, `--pacbench-rnd 1`", "no option --pacbench-rnd"),
    ],
)
def test_a_fault_in_prose_is_red(prose: str, complaint: str) -> None:
    (found,) = complaints_about_prose(f"Some words, {prose}, and others.")
    assert complaint in found


def test_good_prose_is_green() -> None:
    assert complaints_about_prose("`pacbench train … --lr …`, `pacbench bench -b a,b --reference conv2d`") == []


def test_commands_are_found_in_scripts() -> None:
    script = "cd x && A=1 .venv/bin/pacbench run \\\n  crf | tee log  # pacbench not this\npacbench backends > list"
    assert list(pacbench_calls(script)) == [["run", "crf"], ["backends"]]
    assert complaints_about_script(script) == []
