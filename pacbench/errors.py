"""The errors that pacbench raises beside ValueError and TypeError for wrong arguments."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message gives the valid names and the nearest match."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.valid = sorted(valid)
        near = difflib.get_close_matches(name, self.valid, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        super().__init__(f"{kind}: got {name!r}, expected one of {', '.join(self.valid) or 'none registered'}{hint}")


class UnavailableError(RuntimeError):
    """A backend was asked for by name that cannot run on this machine; the message gives each reason and its mend."""


class NotSupportedError(RuntimeError):
    """No backend that may be used supports the call; the message lists every candidate with all its reasons."""
