"""The parts of the interleaved benchmark: each measures one case and gives the fields of its record."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import torch

from pacbench.backend import Backend
from pacbench.measuring.register_kernels import ONLY_AVX2, RegisterKernel
from pacbench.registry import get_backend
from pacbench.running.allocator import without_kept_heap

from . import upsampling_twin
from .accuracy import relative_errors, worst
from .cases import DIRECTIONS, Direction
from .extra_memory import ONE_UPDATE, TALLER, WIDER_WINDOW
from .instruction_sets import INSTRUCTION_SET
from .interleaving import FMA_PEAK, Registers, Samples, figures, interleave, seconds_of
from .scaling import SIDES_OF_PROFILE, seconds_by_threads, seconds_per_pixel, spread_percent
from .subjects import Subject, full_crf_reasons
from .upsampling_twin import TwinCase

ORACLE = "unfold"
"""The backend that outputs and gradients are computed by in float64."""

MEGABYTE = 1e6
_LEAST_BYTES = 2 * MEGABYTE  # growth is relative to at least this: code that is loaded on the way counts as well
_ISA_ROUNDS = 3
_STEADY = 0.85  # a sample of the FMA peak that is lower, relative to the highest, met another process
_TIMEOUT_S = 900
_THREADS = (1, 2)


class NotMeasurableError(Exception):
    """A figure that cannot be had of this backend or on this machine; the message says why."""


class ChildError(Exception):
    """A process that failed; the message holds its last words."""


def times(
    subject: Subject, direction: Direction, backend: Backend, against: Backend | None, registers: Registers, turns: int
) -> dict[str, Any]:
    """Interleaved samples: milliseconds, GFLOP/s, shares of the peak and of the floor, ratios."""
    samples = interleave(subject, direction, backend, against, registers, turns)
    reasons = list(samples.reasons)
    if registers.reason:
        reasons.append(f"the FMA peak was not measured: {registers.reason}")
    elif min(samples.fma) < _STEADY * max(samples.fma):
        low, high = min(samples.fma) * 1e-9, max(samples.fma) * 1e-9
        reasons.append(f"not a quiet machine: the FMA peak lay between {low:.0f} and {high:.0f} GFLOP/s")
    return {
        "samples_s": samples.seconds["backend"],
        "metrics": figures(subject, direction, samples),
        "per_item": _turns(samples),
        "notes": [subject.case.title, *reasons],
    }


def _turns(samples: Samples) -> dict[str, dict[str, float]]:
    """Every sample by its turn, so that a reader can take other statistics than the median."""
    columns = {f"{name}_s": values for name, values in samples.seconds.items()}
    columns |= {"fma_per_s": samples.fma, "kernel_values_per_s": samples.kernel_values}
    most = max(map(len, columns.values()))
    return {
        f"sample {i}": {name: values[i] for name, values in columns.items() if i < len(values)} for i in range(most)
    }


def accuracy(subject: Subject, backend: Backend) -> dict[str, float]:
    """Relative errors of the output and of each gradient against float64."""
    return relative_errors(subject, backend, get_backend(ORACLE))


def accuracy_figures(errors: Mapping[str, float], direction: Direction) -> dict[str, float]:
    """The errors that a direction has, and the worst of them."""
    shown = {"output"} if direction == "forward" else set(errors)
    found = {f"error_{name}": errors[name] for name in errors if name in shown}
    return found | {"relative_error": worst(errors, forward=direction == "forward")}


def memory(subject: Subject, direction: Direction, backend: str, *, with_variants: bool) -> dict[str, Any]:
    """Megabytes a thread beyond inputs, outputs and gradients; with variants, how they grow.

    Of mean-field messages it is what one update takes with its kernel given: the layer besides stores the kernel, and
    the beliefs of each step, which is noted.
    """
    if subject.layer is not None:
        layer, one = (_extra(name, direction, backend) for name in (subject.name, f"{subject.name}-{ONE_UPDATE}"))
        note = f"one mean-field update; the layer takes {layer / MEGABYTE:.1f} MB, its kernel and beliefs among them"
        return {
            "metrics": {"extra_memory_mb_per_thread": one / MEGABYTE / torch.get_num_threads()},
            "notes": [subject.case.title, note],
        }
    own = _extra(subject.name, direction, backend)
    metrics = {"extra_memory_mb_per_thread": own / MEGABYTE / torch.get_num_threads()}
    if with_variants:
        taller, wider = (_extra(f"{subject.name}-{variant}", direction, backend) for variant in (TALLER, WIDER_WINDOW))
        metrics |= {
            "memory_growth_with_height": taller / max(own, _LEAST_BYTES),
            "memory_growth_with_taps": wider / max(own, _LEAST_BYTES),
        }
    return {"metrics": metrics}


def _extra(name: str, direction: Direction, backend: str) -> float:
    words = ("extra_memory", name, direction, backend)
    return float(_child(*words, environment=without_kept_heap(os.environ))["extra_bytes"])


def threads(subject: Subject, direction: Direction, backend: Backend, turns: int) -> dict[str, Any]:
    """How many times faster two threads are than one."""
    if torch.get_num_threads() < max(_THREADS):
        raise NotMeasurableError(f"got {torch.get_num_threads()} thread of torch, expected {max(_THREADS)} or more")
    seconds = seconds_by_threads(subject, direction, backend, _THREADS, turns)
    one, two = (seconds[count] for count in _THREADS)
    peaks = {count: RegisterKernel(FMA_PEAK, count).rate(5) * 1e-9 for count in _THREADS}
    return {
        "metrics": {
            "one_thread_ms": one * 1e3,
            "two_threads_ms": two * 1e3,
            "speedup_of_2_threads": one / two,
            "fma_peak_speedup_of_2_threads": peaks[2] / peaks[1],
        }
    }


def lattice(subject: Subject, backend: Backend, turns: int) -> dict[str, Any]:
    """Full-CRF on the backend's lattice, by one thread and by two, in turns with pydensecrf2, which has one.

    Raises:
        NotMeasurableError: the case is no CRF, or pydensecrf2 or a second thread is missing.
        UnavailableError: the backend has no lattice.
    """
    if reasons := full_crf_reasons():
        raise NotMeasurableError("; ".join(reasons))
    ours, theirs = subject.lattice_call(backend), subject.full_crf_call()
    if ours is None or theirs is None:
        raise NotMeasurableError(f"got {subject.name}, expected the messages of a CRF")
    before = torch.get_num_threads()
    if before < max(_THREADS):
        raise NotMeasurableError(f"got {before} thread of torch, expected {max(_THREADS)} or more")
    samples: dict[str, list[float]] = {"1_thread": [], "2_threads": [], "pydensecrf2": []}
    try:
        for _ in range(turns):
            for name, call, count in zip(samples, (ours, ours, theirs), (*_THREADS, 1), strict=True):
                torch.set_num_threads(count)
                call()
                samples[name].append(seconds_of(call))
    finally:
        torch.set_num_threads(before)
    medians = {name: statistics.median(found) for name, found in samples.items()}
    metrics = {f"lattice_{name}_ms": seconds * 1e3 for name, seconds in medians.items()}
    for name in ("1_thread", "2_threads"):
        metrics[f"lattice_times_faster_on_{name}"] = medians["pydensecrf2"] / medians[name]
    return {
        "metrics": metrics,
        "per_item": {f"sample {i}": {f"{name}_s": found[i] for name, found in samples.items()} for i in range(turns)},
        "notes": [
            subject.case.title,
            ", ".join(f"{name.replace('_', ' ')} {seconds * 1e3:.0f} ms" for name, seconds in medians.items()),
        ],
    }


def sizes(subject: Subject, direction: Direction, backend: Backend, turns: int, profile: str) -> dict[str, Any]:
    """Time per pixel on square images, and how far it spreads."""
    found = seconds_per_pixel(subject, direction, backend, SIDES_OF_PROFILE[profile], max(3, turns // 3))
    return {
        "metrics": {"spread_over_image_sizes_percent": spread_percent(list(found.values()))},
        "per_item": {f"{side} x {side}": {"ns_per_pixel": seconds * 1e9} for side, seconds in found.items()},
    }


def instruction_sets(subject: Subject, backend: str, turns: int) -> dict[str, dict[str, Any]]:
    """AVX2 beside AVX-512 for each direction, in processes that take turns, and what the processor's registers allow.

    Raises:
        NotMeasurableError: the backend has one instruction set only, or the processor no AVX-512.
    """
    if backend != "native":
        raise NotMeasurableError(f"got backend {backend}, expected native: no other chooses between instruction sets")
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        raise NotMeasurableError(f"got a processor of {torch.backends.cpu.get_cpu_capability()}, expected AVX512")
    seconds: dict[str, list[dict[str, float]]] = {"avx2": [], "avx512": []}
    for _ in range(_ISA_ROUNDS):
        for name, found in seconds.items():
            environment = dict(os.environ) | {INSTRUCTION_SET: name}
            found.append(_child("instruction_sets", subject.name, backend, str(turns), environment=environment))
    count = torch.get_num_threads()
    peaks = [RegisterKernel(FMA_PEAK, count, flags=flags).rate(15) * 1e-9 for flags in (ONLY_AVX2, ())]
    fields: dict[str, dict[str, Any]] = {}
    for direction in DIRECTIONS:
        medians = {name: statistics.median(one[direction] for one in found) for name, found in seconds.items()}
        ratio = medians["avx2"] / medians["avx512"]
        fields[direction] = {
            "metrics": {
                "avx2_ms": medians["avx2"] * 1e3,
                "avx512_ms": medians["avx512"] * 1e3,
                "avx2_ratio_to_avx512": ratio,
                "avx2_fma_peak_gflops": peaks[0],
                "avx512_fma_peak_gflops": peaks[1],
                "avx2_percent_of_its_fma_peak": 100 * subject.case.flops(direction) / medians["avx2"] * 1e-9 / peaks[0],
            },
            "notes": [
                subject.case.title,
                f"the registers' own ratio is {peaks[1] / peaks[0]:.2f}: AVX2 allows {peaks[0]:.0f} GFLOP/s here, "
                f"AVX-512 {peaks[1]:.0f}",
            ],
        }
    return fields


def upsampling(
    case: TwinCase, direction: Direction, backend: Backend, against: str | None, turns: int
) -> dict[str, Any]:
    """PacJointUpsample by the backend beside its plain twin, and the peak memory of both and of another backend."""
    seconds = upsampling_twin.times(case, direction, backend, max(3, turns // 3))
    metrics = upsampling_twin.time_figures(seconds)
    environment = without_kept_heap(os.environ)
    names = {"": backend.name, "plain_": upsampling_twin.PLAIN} | ({"against_": against} if against else {})
    for prefix, model in names.items():
        peak = _child("upsampling_twin", case.name, direction, model, environment=environment)["peak_bytes"]
        metrics[f"{prefix}peak_mb"] = peak / MEGABYTE
    if against:
        metrics["memory_share_of_against"] = metrics["peak_mb"] / metrics["against_peak_mb"]
    turned = zip(seconds["backend"], seconds[upsampling_twin.PLAIN], strict=True)
    return {
        "samples_s": seconds["backend"],
        "metrics": metrics,
        "per_item": {f"sample {i}": {"backend_s": own, "plain_s": plain} for i, (own, plain) in enumerate(turned)},
        "notes": [case.title, f"peak memory: {_peaks(metrics, against)}"],
    }


def _peaks(metrics: Mapping[str, float], against: str | None) -> str:
    told = [f"{metrics['peak_mb']:.0f} MB", f"{metrics['plain_peak_mb']:.0f} MB for the plain twin"]
    return ", ".join(told + ([f"{metrics['against_peak_mb']:.0f} MB for {against}"] if against else []))


def _child(module: str, *words: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object that a module of this package prints in a process of its own."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *words]
    done = subprocess.run(  # noqa: S603 (our own module, no shell)
        command, capture_output=True, text=True, env=dict(environment), timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildError(f"{module} {' '.join(words)}: exit code {done.returncode}: {said}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
