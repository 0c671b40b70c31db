"""Two commits of the repository in the working directory, each built and installed where nothing else sees it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pacbench

_LAST_WORDS = 500
_BUILT = "built"


class RevisionError(ValueError):
    """What was asked of the repository is not there, or not fit to be measured; the message is one line."""


class BuildError(RuntimeError):
    """A revision that cannot be built; the message holds the last words of what failed."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit.

    Attributes:
        text: As it was asked for.
        commit: Its full hash.
        subject: First line of its message.
    """

    text: str
    commit: str
    subject: str

    @property
    def label(self) -> str:
        """What runs and tables call it."""
        return f"{self.commit} ({self.subject})"


def resolve(folder: Path, texts: Sequence[str]) -> tuple[Path, list[Revision]]:
    """The repository around a folder, and commits of it.

    Args:
        folder: Anywhere in the repository.
        texts: Names of commits: hashes, branches, tags, ``HEAD~1``.

    Raises:
        RevisionError: there is no git, no repository or no such commit, two are the same, or tracked files have
            changes that none of them holds.
    """
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
    except FileNotFoundError:
        raise RevisionError("--git: got no program git, expected one on the path") from None
    except subprocess.CalledProcessError as error:
        raise RevisionError(f"--git: got {folder}, expected a folder of a git repository ({_said(error)})") from None
    root = Path(top)
    revisions = []
    for text in texts:
        try:
            found = _git(root, "log", "-1", "--format=%H%x00%s", f"{text}^{{commit}}", "--")
        except subprocess.CalledProcessError as error:
            raise RevisionError(f"--git: got {text!r}, expected a commit of {root} ({_said(error)})") from None
        commit, _, subject = found.partition("\0")
        revisions.append(Revision(text, commit, subject))
    commits = [revision.commit for revision in revisions]
    if len(set(commits)) < len(commits):
        raise RevisionError(f"--git: got {' and '.join(texts)}, which are the same commit {commits[0][:12]}")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise RevisionError(
            f"--git: the working tree has changes that no commit holds ({changed[0].strip()}"
            f"{f' and {len(changed) - 1} more' if len(changed) > 1 else ''}): commit or stash them"
        )
    return root, revisions


def build(root: Path, revision: Revision, folder: Path) -> str:
    """Install a revision into a virtual environment of its own; one that was built before is taken as it is.

    It sees the packages of the environment that this process runs in, pacbench among them, behind its own: both
    revisions are measured with the same dependencies.

    Args:
        root: The repository.
        revision: The commit.
        folder: Where to; the environment is ``folder/venv``.

    Returns:
        Path of the environment's interpreter.

    Raises:
        BuildError: a step failed; says which, and its last words.
    """
    environment = folder / "venv"
    python = environment / "bin" / "python"
    if (folder / _BUILT).exists() and python.exists():
        return str(python)
    folder.mkdir(parents=True, exist_ok=True)
    _step(
        "make a virtual environment for",
        revision,
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)],
    )
    site = environment / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    installed = str(Path(pacbench.__file__).parents[1])  # elsewhere than the others where it is editable
    behind = dict.fromkeys([*(sysconfig.get_path(name) for name in ("purelib", "platlib")), installed])
    (site / "environment_behind.pth").write_text("".join(f"{path}\n" for path in behind), encoding="utf-8")
    with _worktree(root, revision, folder / "source") as source:
        words = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--ignore-installed",
                 "--no-warn-script-location", "--disable-pip-version-check", str(source)]  # fmt: skip
        _step("install", revision, words)
    _step("import pacbench beside", revision, [str(python), "-P", "-c", "import pacbench.backends, pacbench.suites"])
    (folder / _BUILT).write_text(revision.commit + "\n", encoding="utf-8")
    return str(python)


@contextmanager
def _worktree(root: Path, revision: Revision, source: Path) -> Iterator[Path]:
    """A working tree of the commit, gone afterwards."""
    _remove(root, source)
    words = ["git", "-C", str(root), "worktree", "add", "--detach", "--force", str(source), revision.commit]
    _step("check out", revision, words)
    try:
        yield source
    finally:
        _remove(root, source)


def _remove(root: Path, source: Path) -> None:
    words = ["git", "-C", str(root), "worktree", "remove", "--force", str(source)]
    if source.exists():
        subprocess.run(words, capture_output=True, check=False)  # noqa: S603 (no shell)


def _step(what: str, revision: Revision, words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 (no shell)
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").split())
        raise BuildError(
            f"revision {revision.text} ({revision.commit[:12]}): cannot {what} it: … {said[-_LAST_WORDS:]}"
        )


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _said(error: subprocess.CalledProcessError) -> str:
    lines = str(error.stderr).strip().splitlines()
    return lines[0] if lines else f"git left with {error.returncode}"
