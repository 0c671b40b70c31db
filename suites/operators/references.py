"""The rows beside the backends: what the same sizes cost without an adapting kernel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A row that no backend computes.

    Attributes:
        name: The method's name in records and in ``--pacbench-methods``; ``pacbench bench --reference`` takes it
            without its prefix.
        title: What it is, in words.
    """

    name: str
    title: str


REFERENCES: tuple[Reference, ...] = (
    Reference("reference:conv2d", "the plain torch operator of the same sizes, without a guide"),
)

FULL_CRF = "reference:full_crf"
"""The method of Full-CRF by pydensecrf2, whose rows stand beside whole CRFs as plain torch ones do beside operators."""
