"""What the plug-in's options say, checked."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from .profiles import PROFILES

WORKER_INPUT = "pacbench_job"
"""Under this name a worker of pytest-xdist is told the job's name."""


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """The options of one pytest session.

    Attributes:
        backends: Names as asked for: registered ones or ``module:Class``.
        folder: Run folder; None if nothing is to be written.
        job: Name of the record file.
        round: Number of the round.
        profile: How much to measure.
        data_root: Folder of real data sets; None for the embedded data.
        methods: Methods to run; None for all.
        weights: Weights of networks.
        save_predictions: Whether predicted label images are written into the run folder.
        list_methods: File to write the names of methods to, instead of running anything.
    """

    backends: tuple[str, ...]
    folder: Path | None
    job: str
    round: int
    profile: str
    data_root: Path | None
    methods: tuple[str, ...] | None
    weights: tuple[Path, ...]
    save_predictions: bool
    list_methods: Path | None

    @classmethod
    def of(cls, config: pytest.Config) -> SuiteOptions:
        """Read them from a pytest configuration.

        Raises:
            pytest.UsageError: an unknown backend, no such folder of data or weights, factors that are none, or a run
                folder that cannot be written.
        """
        options = config.option
        from_controller = getattr(config, "workerinput", {}).get(WORKER_INPUT)
        data_root = options.pacbench_data_root or _folder_of_environment()
        if data_root is not None and not data_root.is_dir():
            raise pytest.UsageError(f"data root: got {data_root}, expected a folder")
        try:
            split_factors(options.pacbench_factor)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        return cls(
            backends=_known_backends(split_names(options.pacbench_backend)),
            folder=_writable(options.pacbench_output),
            job=from_controller or options.pacbench_job or time.strftime("by-hand-%Y%m%dT%H%M%S"),
            round=options.pacbench_round or 0,
            profile=options.pacbench_profile or next(iter(PROFILES)),
            data_root=data_root,
            methods=split_names(options.pacbench_methods) or None,
            weights=_existing_files(options.pacbench_weights),
            save_predictions=bool(options.pacbench_save_predictions),
            list_methods=options.pacbench_list_methods,
        )


def split_names(value: str | None) -> tuple[str, ...]:
    """Names of a comma-separated option, each once, in order."""
    return tuple(dict.fromkeys(name for part in (value or "").split(",") if (name := part.strip())))


def split_factors(value: str | None) -> tuple[int, ...]:
    """Factors of a comma-separated option, each once, in order; ValueError where one is no whole number from 2 on."""
    words = split_names(value)
    for word in words:
        if not word.isdecimal() or int(word) < 2:
            raise ValueError(f"factor: got {word!r}, expected whole numbers of 2 or more")
    return tuple(dict.fromkeys(int(word) for word in words))


def _existing_files(paths: list[Path] | None) -> tuple[Path, ...]:
    for path in paths or ():
        if not path.is_file():
            raise pytest.UsageError(f"weights: got {path}, expected a file")
    return tuple(paths or ())


def _folder_of_environment() -> Path | None:
    value = os.environ.get("PACBENCH_DATA")
    return Path(value) if value else None


def _known_backends(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those named, or the best for this machine."""
    if not names:
        from pacbench.dispatch import best_backend

        return (best_backend(),)
    from pacbench.errors import UnavailableError, UnknownNameError
    from pacbench.registry import get_backend

    for name in names:
        try:
            get_backend(name)
        except (UnknownNameError, UnavailableError) as error:
            raise pytest.UsageError(str(error)) from None
    return names


def _writable(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    try:
        (folder / "records").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"{folder}: cannot be written ({error.strerror})") from None
    return folder.resolve()
