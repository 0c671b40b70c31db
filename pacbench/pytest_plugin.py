"""The pytest plug-in: the options, markers and fixtures that suites are written with.

pytest loads this module in every run on the machine, so it imports nothing heavy and, unless one of its options is
given or a pacbench suite is collected, registers nothing: neither fixture nor marker.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .running.profiles import PROFILES

_ACTIVE = "pacbench-session"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; all of them are None unless given."""
    group = parser.getgroup("pacbench", "pixel-adaptive convolution: correctness and speed")
    group.addoption(
        "--pacbench-backend",
        metavar="NAME[,NAME]",
        help="backends to run suites against: registered names or module:Class (default: the best for this machine)",
    )
    group.addoption(
        "--pacbench-output",
        metavar="DIR",
        type=Path,
        help="run folder that records are written to (default: nothing is written)",
    )
    group.addoption("--pacbench-job", metavar="ID", help="name of the record file within the run folder")
    group.addoption("--pacbench-round", metavar="N", type=int, help="number of the round (default: 0)")
    group.addoption("--pacbench-profile", choices=tuple(PROFILES), help="how much to measure (default: quick)")
    group.addoption(
        "--pacbench-data-root",
        metavar="DIR",
        type=Path,
        help="folder of real data sets (default: the environment variable PACBENCH_DATA)",
    )
    group.addoption(
        "--pacbench-weights",
        metavar="FILE",
        type=Path,
        action="append",
        help="weights of a network, as `pacbench train` writes them; may be repeated",
    )
    group.addoption("--pacbench-factor", metavar="N[,N]", help="factors of joint upsampling (default: the profile's)")
    group.addoption(
        "--pacbench-save-predictions",
        action="store_const",
        const=True,
        help="write each predicted label image into the run folder",
    )
    group.addoption("--pacbench-methods", metavar="A[,B]", help="methods to run, of those that a suite has")
    group.addoption(
        "--pacbench-list-methods",
        metavar="FILE",
        type=Path,
        help="write the names of a suite's methods to FILE, one a line, and run nothing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Become active if any option was given."""
    given = (name for name in vars(config.option) if name.startswith("pacbench_"))
    if any(getattr(config.option, name) is not None for name in given):
        _activate(config)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Become active when a module of a pacbench suite is collected."""
    if not parent.config.pluginmanager.has_plugin(_ACTIVE) and _is_suite(module_path):
        _activate(parent.config)


def _is_suite(path: Path) -> bool:
    suites = Path(__file__).parent / "suites"
    return path.is_relative_to(suites) or path.resolve().is_relative_to(suites.resolve())


def _activate(config: pytest.Config) -> None:
    from .running.session_fixtures import session_fixtures
    from .running.suite_options import SuiteOptions
    from .running.suite_session import SuiteSession

    options = SuiteOptions.of(config)
    config.pluginmanager.register(SuiteSession(config, options), _ACTIVE)
    config.pluginmanager.register(session_fixtures(options), f"{_ACTIVE}-fixtures")
