"""The options of commands that measure in order to compare: written once, added to a command by a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacbench.running.allocator import KEPT
from pacbench.running.suite_names import OPERATOR_SUITE, list_suites

from . import checks

if TYPE_CHECKING:
    from pacbench.records import RunSettings

_ROUNDS = 15
_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Measurement:
    """What is measured, as it was asked for; None is the default."""

    suite: Annotated[list[str] | None, typer.Option(metavar="A[,B]", help=f"Suites to measure; {OPERATOR_SUITE}.")] = (
        None
    )
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", metavar="NAME", help="The backend; the best for this machine.")
    ] = None
    cases: Annotated[
        list[str] | None, typer.Option(metavar="A[,B]", help="Only cases whose name holds one of these.")
    ] = None
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="quick, standard or full; standard.")] = None
    rounds: Annotated[
        int | None, typer.Option(min=5, metavar="N", help=f"Rounds of each side, a process each; {_ROUNDS}.")
    ] = None
    timeout: Annotated[
        float | None, typer.Option(min=1, metavar="S", help=f"Seconds that one job may take; {_TIMEOUT_S:g}.")
    ] = None

    def given(self) -> list[str]:
        """Names of the options that the command line has."""
        return [f"--{name}" for name, value in asdict(self).items() if value is not None]

    def settings(self) -> RunSettings:
        """Settings of the runs.

        Raises:
            UnknownNameError: no such suite, backend or profile.
            WrongUse: another option that does not fit.
        """
        from .run import new_settings

        backends = checks.known_backends([self.backend] if self.backend else None)
        if len(backends) != 1:
            raise checks.WrongUse(f"--backend: got {', '.join(backends)}, expected one")
        return new_settings(
            checks.known_suites(self.suite, [OPERATOR_SUITE], [name for name in list_suites() if name != "gradients"]),
            backends, methods=None, profile=checks.known_profile(self.profile or "standard"),
            rounds=self.rounds or _ROUNDS, data_root=None, timeout_s=self.timeout or _TIMEOUT_S,
            cases=checks.case_expression(self.cases), allocator=KEPT,
        )  # fmt: skip


def with_measurement(command: Callable[..., int]) -> Callable[..., int]:
    """A command with the options of a `Measurement` after its own; it gets them as its argument `measurement`."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "measurement"]
    added = list(inspect.signature(Measurement, eval_str=True).parameters.values())

    @functools.wraps(command)
    def run(**given: Any) -> int:
        measurement = Measurement(**{parameter.name: given.pop(parameter.name) for parameter in added})
        return command(**given, measurement=measurement)

    run.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # which typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
    return run
