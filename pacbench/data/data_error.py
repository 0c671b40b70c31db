"""The error of everything that reads or makes data."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be used; its message is one line that names the file and what was got and expected."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
