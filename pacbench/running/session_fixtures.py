"""The fixtures that last a whole session: backends, and what was asked of the session.

They are functions of a module made for the session, since pytest 10 will refuse session fixtures that are methods.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from .suite_options import SuiteOptions

if TYPE_CHECKING:
    from pacbench.backend import Backend


def session_fixtures(options: SuiteOptions) -> ModuleType:
    """A plug-in that holds the fixtures `backend` (once for each name), `profile`, `data_root` and the others here."""

    @pytest.fixture(scope="session", params=options.backends, ids=options.backends)
    def backend(request: pytest.FixtureRequest) -> Backend:
        """A backend that was asked for; skips, with all its reasons, where that cannot run on this machine."""
        from pacbench.registry import BrokenBackend, get_backend, unavailable_reasons

        found = get_backend(request.param)
        reasons = unavailable_reasons(found)
        if isinstance(found, BrokenBackend):
            pytest.fail(f"does not load: {reasons[0].text}", pytrace=False)
        if reasons:
            pytest.skip("unavailable: " + "; ".join(f"{reason.text}; mend: {reason.mend}" for reason in reasons))
        return found

    @pytest.fixture(scope="session")
    def profile() -> str:
        """How much to measure: quick, standard or full."""
        return options.profile

    @pytest.fixture(scope="session")
    def data_root() -> Path | None:
        """Folder of real data sets; None for the embedded data."""
        return options.data_root

    @pytest.fixture(scope="session")
    def run_folder() -> Path | None:
        """Folder that the run writes to, if any."""
        return options.folder

    @pytest.fixture(scope="session")
    def weights() -> tuple[Path, ...]:
        """Weights of networks that were given."""
        return options.weights

    @pytest.fixture(scope="session")
    def prediction_folder() -> Path | None:
        """Where this job writes predicted label images; None where they are not wanted."""
        return options.folder / "predictions" / options.job if options.folder and options.save_predictions else None

    holder = ModuleType("pacbench_session_fixtures")
    for fixture in (backend, profile, data_root, run_folder, weights, prediction_folder):
        setattr(holder, fixture.__name__, fixture)
    return holder
