"""Text files that list a data set's IDs, one a line."""

from __future__ import annotations

import re
from pathlib import Path

from pacbench.data.data_error import DataError

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+")


def read_ids(path: Path) -> tuple[str, ...]:
    """The IDs of a list, without blank lines and trailing spaces.

    Raises:
        DataError: the file is missing or cannot be read, is empty, names an ID twice or one that is no plain file
            name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"{path}: got no file, expected a list of one ID a line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected one ID a line") from error
    ids = tuple(line.strip() for line in lines if line.strip())
    if not ids:
        raise DataError(f"{path}: got an empty list, expected one ID a line")
    seen: set[str] = set()
    for name in ids:
        if not _NAME.fullmatch(name):
            raise DataError(f"{path}: got the ID {name!r}, expected letters, digits, _, - and single dots")
        if name in seen:
            raise DataError(f"{path}: got the ID {name} again, expected each ID once")
        seen.add(name)
    return ids
