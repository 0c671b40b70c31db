"""Building the library: compilers that are not there, fail, or are another; and the distributions that carry it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from pacbench.backends.native import build, library

TREE = Path(__file__).parents[2]
FAKE_COMPILER = """\
#!/bin/sh
echo "$@" >> {log}
case "$*" in
  --version) echo "{version}" ;;
  *) while [ "$1" != -o ]; do shift; done; : > "$2" ;;
esac
"""


@pytest.fixture
def fake_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], list[str]]]:
    """Makes CXX a script that says that version, compiles nothing, and writes down what it was told."""

    def make(version: str) -> Callable[[], list[str]]:
        log, script = tmp_path / "log", tmp_path / "compiler"
        script.write_text(FAKE_COMPILER.format(log=log, version=version))
        script.chmod(0o755)
        monkeypatch.setenv("CXX", str(script))
        return lambda: log.read_text().splitlines()

    return make


def test_a_library_that_is_in_use_is_replaced_not_written_over(
    fake_compiler: Callable[[str], Callable[[], list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes have it mapped: writing into it would change the code that they run."""
    in_memory = Path("/dev", "shm")  # temporary files often lie on another file system
    if os.access(in_memory, os.W_OK):
        monkeypatch.setattr(tempfile, "tempdir", str(in_memory))
    fake_compiler("g++ (GCC) 12")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / build.LIBRARY).write_bytes(b"the library before")
    with (folder / build.LIBRARY).open("rb") as mapped:
        assert build.build(folder) == folder / build.LIBRARY
        assert mapped.read() == b"the library before"
    assert [path.name for path in folder.iterdir()] == [build.LIBRARY]
    assert (folder / build.LIBRARY).read_bytes() == b""


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"no C\+\+ compiler found \(g\+\+, c\+\+, clang\+\+\); install one"):
        build.build(tmp_path)


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "nonesuch -m64")
    with pytest.raises(build.BuildError, match="got CXX=nonesuch -m64, which is not on the path"):
        build.build(tmp_path)


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "compiler"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "x.cpp:1: error: no such header" >&2; exit 3; }\n')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(build.BuildError, match=r"failed with status 3:\nx.cpp:1: error: no such header"):
        build.build(tmp_path)
    assert not (tmp_path / build.LIBRARY).exists()


@pytest.mark.parametrize(("version", "std_thread"), [("g++ 12.2", False), ("Debian clang version 14", True)])
def test_threads_by_compiler(
    fake_compiler: Callable[[str], Callable[[], list[str]]], tmp_path: Path, version: str, std_thread: bool
) -> None:
    """OpenMP is linked by the process that loads the library; clang's asks for another runtime than torch has."""
    commands = fake_compiler(version)
    assert build.build(tmp_path / "built").is_file()
    compiled = [line for line in commands() if " -c " in line]
    (linked,) = (line for line in commands() if "-shared" in line)
    of_lattice = [isa for isa in build.instruction_sets() if isa in build.LATTICE_ISAS]
    assert len(compiled) == 4 * len(build.instruction_sets()) + 2 * len(of_lattice) + 1
    assert all(("-DPACBENCH_STD_THREAD" in line) == std_thread for line in compiled)
    assert all(("-fopenmp" in line) != std_thread for line in compiled)
    assert "-fopenmp" not in linked


def test_another_processor_has_the_portable_kernels_only(
    fake_compiler: Callable[[str], Callable[[], list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = fake_compiler("g++ 12.2")
    monkeypatch.setattr(build.platform, "machine", lambda: "aarch64")
    build.build(tmp_path / "built")
    compiled = [line for line in commands() if "entry.cpp" in line]
    assert [sum(f"{kind}_entry.cpp" in line for line in compiled) for kind in ("lattice", "blur")] == [2, 2]
    assert len(compiled) == 6
    assert all("-DPACBENCH_ISA=portable" in line and "-mavx" not in line for line in compiled)


def test_sanitizers(fake_compiler: Callable[[str], Callable[[], list[str]]], tmp_path: Path) -> None:
    commands = fake_compiler("g++ 12.2")
    build.build(tmp_path / "built", sanitize=("address", "undefined"))
    assert all("-fsanitize=address,undefined" in line for line in commands() if line != "--version")


def test_the_command_says_what_failed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pacbench.backends.native.build", "--output", str(tmp_path)],
        env={**os.environ, "CXX": "nonesuch"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "build: got CXX=nonesuch, which is not on the path, expected a C++ compiler\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("needs_library")
def test_the_installed_wheel_is_one_for_the_platform() -> None:
    if not any(file.name == build.LIBRARY for file in distribution("pacbench").files or []):
        pytest.skip("pacbench was installed without the library")
    wheel = (distribution("pacbench").read_text("WHEEL") or "").splitlines()
    assert "Root-Is-Purelib: false" in wheel
    (tag,) = (line for line in wheel if line.startswith("Tag: "))
    assert tag.startswith("Tag: py3-none-")
    assert not tag.endswith("-any")


def test_a_wheel_is_built_without_a_compiler(tmp_path: Path) -> None:
    """By the sources that a source distribution has; the wheel says why the library is missing."""
    pytest.importorskip("setuptools", minversion="77")
    tree = tmp_path / "tree"
    tree.mkdir()
    rooms = ("backends", "suites", "reports")
    for name in ("pacbench", *rooms):
        # a checkout may hold links from pacbench/ to the other rooms
        links = rooms if name == "pacbench" else ()
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "reference", *links)
        shutil.copytree(TREE / name, tree / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TREE / name, tree)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(tree),
    ]
    done = subprocess.run(command, env={**os.environ, "CXX": "nonesuch"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        note = archive.read(f"pacbench/backends/native/{build.NOT_BUILT}").decode()
    assert note == "build: got CXX=nonesuch, which is not on the path, expected a C++ compiler\n"
    assert f"pacbench/backends/native/{build.LIBRARY}" not in names
    kernels = {f"pacbench/backends/native/kernels/{path.name}" for path in build.KERNELS.iterdir()}
    assert kernels <= names


@pytest.mark.usefixtures("needs_library")
def test_the_library_needs_no_openmp_runtime_by_name() -> None:
    """Whatever runtime torch has loaded serves it, wherever that lies."""
    assert b"libgomp.so" not in library.load().path.read_bytes()
