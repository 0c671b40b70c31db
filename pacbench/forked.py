"""Whether this process was forked from one that had imported pacbench: of that one's threads it has none.

OpenMP does not know. A region with several threads that a child opens waits for ever for the parent's, which torch may
have started long before any backend was loaded. Imported with the package, so that a backend loaded in a child can ask.
"""

from __future__ import annotations

import os

_forked = False


def is_forked_child() -> bool:
    """True in a child of `os.fork`, and in its children; False where a process began anew."""
    return _forked


def _note() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)
