"""The `inductor` backend: `torch.compile` of a formulation that suits it, what a user would try first."""

from .backend import InductorBackend

__all__ = ["InductorBackend"]
