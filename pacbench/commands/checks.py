"""What every command checks before it starts anything."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pacbench.errors import UnknownNameError
from pacbench.running.allocator import ALLOCATORS
from pacbench.running.executors import DASK, EXECUTORS
from pacbench.running.profiles import PROFILES
from pacbench.running.suite_names import UPSAMPLING_SUITE
from pacbench.running.suite_options import split_factors, split_names


class WrongUse(Exception):  # noqa: N818 (it is what the exit code 2 is called)
    """The command line asks for something that does not exist; the message is one line."""


def names(values: Iterable[str] | None) -> list[str]:
    """Names of an option that may be repeated and may hold commas."""
    return list(split_names(",".join(values or ())))


def known_backends(values: Iterable[str] | None) -> list[str]:
    """The backends asked for, the best for this machine if none.

    Raises:
        UnknownNameError: nothing is registered under that name.
        WrongUse: the module of ``module:Class`` is not there.
    """
    from pacbench.registry import list_backends

    asked = names(values)
    if not asked:
        from pacbench.dispatch import best_backend

        return [best_backend()]
    for name in asked:
        if ":" in name:
            _expect_module(name)
        elif name not in list_backends():
            raise UnknownNameError("backend", name, list_backends())
    return asked


def known_suites(values: Sequence[str] | None, default: Sequence[str], valid: Sequence[str]) -> list[str]:
    """The suites asked for, the default ones if none; raises UnknownNameError."""
    asked = names(values) or list(default)
    for name in asked:
        if name not in valid:
            raise UnknownNameError("suite", name, valid)
    return asked


def known_profile(name: str) -> str:
    """The name of a profile; raises UnknownNameError."""
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    return name


def known_executor(name: str, scheduler: str | None) -> str:
    """The name of an executor; raises UnknownNameError, or WrongUse where it goes with no scheduler or not without."""
    if name not in EXECUTORS and ":" not in name:
        raise UnknownNameError("executor", name, [*EXECUTORS, "module:factory"])
    if name == DASK and scheduler is None:
        raise WrongUse("--executor dask: got no scheduler, expected --scheduler tcp://HOST:PORT beside it")
    if name != DASK and scheduler is not None:
        raise WrongUse(f"--scheduler: got --executor {name}, expected --executor dask beside it")
    return name


def known_allocator(name: str) -> str:
    """The name of an allocator setting; raises UnknownNameError."""
    if name not in ALLOCATORS:
        raise UnknownNameError("allocator", name, ALLOCATORS)
    return name


def existing_folder(path: Path | None, what: str) -> Path | None:
    """The absolute path of a folder that must be there; raises WrongUse."""
    if path is not None and not path.is_dir():
        raise WrongUse(f"{what}: got {path}, expected a folder")
    return path.resolve() if path is not None else None


def known_factors(values: Iterable[str] | None, suites: Sequence[str]) -> list[int]:
    """The factors asked for, empty if none; raises WrongUse where they are none, or beside other suites."""
    try:
        factors = list(split_factors(",".join(values or ())))
    except ValueError as error:
        raise WrongUse(str(error)) from None
    if factors and list(suites) != [UPSAMPLING_SUITE]:
        raise WrongUse(f"--factor: got the suites {', '.join(suites)}, expected {UPSAMPLING_SUITE} alone")
    return factors


def existing_files(paths: Sequence[Path] | None, what: str) -> list[Path]:
    """The absolute paths of files that must be there; raises WrongUse."""
    for path in paths or ():
        if not path.is_file():
            raise WrongUse(f"{what}: got {path}, expected a file")
    return [path.resolve() for path in paths or ()]


def new_run_folder(output: Path | None) -> Path:
    """Folder of a new run; raises WrongUse where one lies already."""
    folder = (output or Path("pacbench-runs", time.strftime("%Y%m%dT%H%M%S"))).absolute()
    if (folder / "run.json").exists():
        raise WrongUse(f"{folder}: holds a run already; take it up with --resume, or choose another folder")
    return folder


def refuse_others(context: Any, besides: str, *and_besides: str) -> None:
    """Raises WrongUse where the command line has options beside `besides`, which takes over the settings of a run."""
    given = [
        name
        for name, value in context.params.items()
        if value and name not in (besides, *and_besides) and context.get_parameter_source(name).name == "COMMANDLINE"
    ]
    if given:
        raise WrongUse(f"--{besides} takes the settings of the run it resumes: leave out {', '.join(sorted(given))}")


def case_expression(values: Iterable[str] | None) -> str | None:
    """Parts of case names as an expression of pytest's option -k."""
    asked = names(values)
    for name in asked:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise WrongUse(f"cases: got {name!r}, expected letters, digits and . + - _")
    return " or ".join(asked) or None


def command_line() -> str:
    """The command line as it was typed."""
    return shlex.join(["pacbench", *sys.argv[1:]])


def _expect_module(name: str) -> None:
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m pytest` will: a backend may lie in the current folder
    module, _, attribute = name.partition(":")
    top = module.partition(".")[0]
    if not (top.isidentifier() and attribute.isidentifier()):
        raise WrongUse(f"backend: got {name!r}, expected module:Class")
    if find_spec(top) is None:
        raise WrongUse(f"backend {name}: no module named {top!r} here or among the installed packages")
