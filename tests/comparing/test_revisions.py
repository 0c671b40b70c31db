"""`pacbench compare --git`: commits of a tiny repository, each built in an environment of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pacbench.comparing.revisions import BuildError, RevisionError, build, resolve

PROJECT = """
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]
"""
BUILDER = '''
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    """A wheel by hand, so that nothing need be downloaded."""
    name = "tiny_backend-1.0-py3-none-any.whl"
    info = "tiny_backend-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.write("tiny_backend.py")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny-backend\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
'''


class Repository:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "builder.py").write_text(BUILDER)

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", self.root, *who, *words], capture_output=True, text=True, check=True)  # noqa: S607
        return done.stdout

    def commit(self, subject: str, source: str) -> None:
        (self.root / "tiny_backend.py").write_text(source)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit("first", "NUMBER = 1\n")
    made.commit("second", "NUMBER = 2\n")
    return made


def test_each_revision_is_built_apart(repository: Repository, tmp_path: Path):
    inside = repository.root / "folder"
    inside.mkdir()
    root, revisions = resolve(inside, ("HEAD~1", "main"))
    assert root == repository.root
    assert [revision.subject for revision in revisions] == ["first", "second"]
    assert revisions[0].label.endswith(" (first)")
    for revision, number in zip(revisions, "12", strict=True):
        python = build(root, revision, tmp_path / revision.commit)
        code = "import tiny_backend, numpy, pacbench.suites; print(tiny_backend.NUMBER)"
        said = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == number
        again = build(root, revision, tmp_path / revision.commit)
        assert again == python
    assert repository.git("worktree", "list").count("\n") == 1, "no working tree is left behind"


def test_a_build_that_fails_says_its_last_words(repository: Repository, tmp_path: Path):
    builder = repository.root / "builder.py"
    builder.write_text("def build_wheel(*_, **__): raise RuntimeError('no compiler found')\n")
    repository.commit("broken", "")
    root, (_, broken) = resolve(repository.root, ("HEAD~1", "HEAD"))
    with pytest.raises(BuildError, match=rf"^revision HEAD \({broken.commit[:12]}\): cannot install it: .*no compiler"):
        build(root, broken, tmp_path / "build")
    assert repository.git("worktree", "list").count("\n") == 1
    builder.write_text(BUILDER)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("HEAD~1", "nosuch"), r"--git: got 'nosuch', expected a commit of .*repository \(fatal: "),
        (("HEAD", "main"), r"--git: got HEAD and main, which are the same commit [0-9a-f]{12}$"),
        (("--all", "main"), r"--git: got '--all', expected a commit of"),
    ],
)
def test_commits_that_are_not_two(repository: Repository, texts: tuple[str, str], said: str):
    with pytest.raises(RevisionError, match=said):
        resolve(repository.root, texts)


def test_a_dirty_tree_is_refused(repository: Repository):
    (repository.root / "untracked").touch()
    resolve(repository.root, ("HEAD~1", "HEAD"))
    (repository.root / "tiny_backend.py").write_text("NUMBER = 3\n")
    with pytest.raises(
        RevisionError, match=r"changes that no commit holds \(M tiny_backend.py\): commit or stash them"
    ):
        resolve(repository.root, ("HEAD~1", "HEAD"))


def test_no_repository(tmp_path: Path):
    with pytest.raises(RevisionError, match=r"expected a folder of a git repository \(fatal: not a git repository"):
        resolve(tmp_path, ("a", "b"))


def test_no_git(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RevisionError, match="got no program git"):
        resolve(repository.root, ("HEAD~1", "HEAD"))
