"""`pacbench doctor`: what this machine is, what is missing, and how to get it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from pacbench.records import Environment
from pacbench.registry import get_backend, list_backends, unavailable_reasons
from pacbench.running.probes import describe_environment
from pacbench.running.suite_names import list_suites

EXTRAS = {
    "triton": ("triton", "pip install 'pacbench[triton]'"),
    "cupy": ("cupy-cuda12x cupy-cuda13x", "pip install 'pacbench[cupy-cuda12x]' or 'pacbench[cupy-cuda13x]'"),
    "Full-CRF by pydensecrf2": ("pydensecrf2", "pip install 'pacbench[full-crf]' (needs a C++ compiler)"),
    "Dask": ("distributed", "pip install 'pacbench[dask]'"),
}
"""What is optional: the distributions that provide it, and how to get it."""


def doctor(data_root: Path | None) -> int:
    """Print the environment, what is missing with the mend, and which data is found."""
    console = Console()
    with Console(stderr=True).status("measuring this machine"):
        environment = describe_environment()
    lines = [*_environment(environment), "", *_backends(), "", *_extras(), "", *_data(data_root)]
    for line in [*lines, "", f"suites: {', '.join(list_suites())}"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _environment(found: Environment) -> list[str]:
    peak = f"{found.fma_peak_gflops:.0f} GFLOP/s" if found.fma_peak_gflops else f"none: {found.fma_peak_reason}"
    bandwidth = f"{found.copy_bandwidth_gbs:.1f} GB/s" if found.copy_bandwidth_gbs else "not measured"
    return [
        f"pacbench: {found.pacbench} (package hash {found.package_hash[:12]})",
        f"python: {found.python} on {found.platform}",
        f"processor: {found.processor}, {found.cores} cores, {found.memory_bytes / 2**30:.1f} GiB",
        f"torch: {found.torch}, {found.threads} threads, {found.cpu_capability}",
        f"gpu: {'; '.join(found.gpu) or 'none found'}",
        f"allocator: {found.allocator}",
        f"fma peak: {peak} (float32, {found.threads} threads)",
        f"copy bandwidth: {bandwidth} (read and written)",
        "packages: " + ", ".join(f"{name} {number}" for name, number in found.packages.items()),
    ]


def _backends() -> list[str]:
    lines = []
    for name in list_backends():
        reasons = unavailable_reasons(get_backend(name))
        lines.append(f"backend {name}: {'unavailable' if reasons else 'available'}")
        lines += [f"  {reason.text}; mend: {reason.mend}" for reason in reasons]
    return lines or ["backends: none registered; reinstall pacbench"]


def _extras() -> list[str]:
    lines = []
    for name, (distributions, mend) in EXTRAS.items():
        found = [f"{one} {number}" for one in distributions.split() if (number := _version(one))]
        lines.append(f"optional {name}: {', '.join(found) or f'not installed; get it: {mend}'}")
    return lines


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _data(root: Path | None) -> list[str]:
    if root is None:
        return ["data: embedded scenes and photographs; for real sets give --data-root or set PACBENCH_DATA"]
    from pacbench.data import unaries, voc2012
    from pacbench.data.data_error import DataError

    lines = [f"data root: {root}"]
    for name, find in (("PASCAL VOC 2012", voc2012.find_folder), ("unaries", unaries.find_folder)):
        try:
            lines.append(f"  {name}: {find(root)}")
        except DataError as error:
            lines.append(f"  {name}: not found ({error})")
    return lines
