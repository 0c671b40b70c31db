"""The four rooms of the tree as packages of one distribution: pacbench, pacbench.backends, .suites, .reports.

The native backend's library is compiled into the wheel, which is then one for the platform (`py3-none-linux_x86_64`):
the library has a plain C interface and serves every Python. Where it cannot be compiled the installation goes on
without it, and a note in its place says why; the wheel is then one for any machine.
"""

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOMS = {
    "pacbench": "pacbench",
    "pacbench.backends": "backends",
    "pacbench.suites": "suites",
    "pacbench.reports": "reports",
}
packages = {f"{room}.{package}" for room, folder in ROOMS.items() for package in find_packages(folder)} | set(ROOMS)


def _native_build() -> ModuleType:
    """`backends/native/build.py`, by its path: the package does not exist yet."""
    path = Path(__file__).parent / "backends" / "native" / "build.py"
    spec = importlib.util.spec_from_file_location("pacbench_native_build", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"setup.py: {path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildWithLibrary(build_py):
    """Builds the packages, and the native backend's library into its package, or a note why there is none."""

    def run(self) -> None:
        """Run the command."""
        super().run()
        native = _native_build()
        folder = Path(self.build_lib, "pacbench", "backends", "native")
        library, note = folder / native.LIBRARY, folder / native.NOT_BUILT
        library.unlink(missing_ok=True)
        note.unlink(missing_ok=True)
        try:
            native.build(folder)
        except native.BuildError as error:
            note.write_text(f"{error}\n", encoding="utf-8")
            warnings.warn(f"pacbench is installed without its native backend: {error}", stacklevel=1)
        self.native_output = library if library.exists() else note

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is installed: the library or the note too."""
        outputs = super().get_outputs(include_bytecode)
        made = getattr(self, "native_output", None)
        return outputs if made is None else [*outputs, str(made)]


class PlatformWheel(bdist_wheel):
    """A wheel for the platform, any Python 3, where the library was built; else one for any machine."""

    def run(self) -> None:
        """Run the command, the build first: it decides what kind of wheel this is."""
        self.run_command("build")
        made = getattr(self.get_finalized_command("build_py"), "native_output", None)
        if made is not None and made.suffix == ".so":
            self.root_is_pure = False
            # setuptools installs into the platform's folder where a distribution says so
            self.distribution.has_ext_modules = lambda: True
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        """Python, ABI and platform."""
        tag = super().get_tag()
        return tag if self.root_is_pure else ("py3", "none", tag[2])


setup(
    package_dir=ROOMS,
    packages=sorted(packages),
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel},
)
