"""What the README says is true today; its blocks and commands are tested with the documentation's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pacbench.command_line import app
from pacbench.commands.backends import print_matrix

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_matrix_is_what_the_backends_declare(capsys: pytest.CaptureFixture[str]) -> None:
    print_matrix()
    stated = README.split("<!-- backends:")[1].split("-->\n", 1)[1].split("<!-- end of backends -->")[0]
    assert stated.strip() == capsys.readouterr().out.strip()


def test_every_command_has_an_example() -> None:
    for name in set(re.findall(r"`pacbench ([\w-]+)", README)):
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0, f"pacbench {name}: {result.output}"
        assert "Example:" in result.output


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.findall(r"@[A-Z_]+@", README)


def test_ci_runs_the_readme_command() -> None:
    readme = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "tox" in block)
    steps = [step.strip() for step in readme.split("&&")]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for step in steps:
        assert step in script.replace("--quiet ", ""), f".ci/run does not call {step!r}"
