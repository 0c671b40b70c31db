"""The `unfold` backend: the readable reference in torch operations, and the oracle for all others."""

from .backend import UnfoldBackend

__all__ = ["UnfoldBackend"]
