"""The four rooms of the tree as packages of one distribution: pacbench, pacbench.backends, .suites, .reports."""

from setuptools import find_packages, setup

ROOMS = {
    "pacbench": "pacbench",
    "pacbench.backends": "backends",
    "pacbench.suites": "suites",
    "pacbench.reports": "reports",
}
packages = {f"{room}.{package}" for room, folder in ROOMS.items() for package in find_packages(folder)} | set(ROOMS)

setup(package_dir=ROOMS, packages=sorted(packages))
