"""What a test says about its case: the fixture `record`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pacbench.records import DeviceSample

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class CaseRecorder:
    """Collects what a test says about its case; the plug-in writes it down when the test has ended.

    Attributes:
        metrics: Quality of the whole case by name; see :meth:`metric`.
        per_item: For each item of a data set, its metrics.
        parameters: Scalars of the method, such as tuned weights.
        samples_s: Raw timings in seconds; of a GPU those that count.
        turns: The turn of each sample, where the job took turns with others.
        device_samples: Of a GPU every timing, with the device's state.
        peak_memory_bytes: Peak memory of one call beyond what was held before it.
    """

    def __init__(self, folder: Path | None, job: str) -> None:
        self.metrics: dict[str, float] = {}
        self.per_item: dict[str, dict[str, float]] = {}
        self.parameters: dict[str, float] = {}
        self.samples_s: list[float] = []
        self.turns: list[int] = []
        self.device_samples: list[DeviceSample] = []
        self.peak_memory_bytes: int | None = None
        self._description: dict[str, Any] = {}
        self._notes: list[str] = []
        self._panel: str | None = None
        self._folder = folder
        self._job = job

    def describe(
        self,
        *,
        method: str | None = None,
        operator: str | None = None,
        direction: str | None = None,
        dataset: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        flops: float | None = None,
        bytes: float | None = None,
    ) -> None:
        """Say what the case is; what was said before stays unless it is said anew.

        Args:
            method: Row of a workload, such as ``conv_crf_11``.
            operator: Name of an operator.
            direction: What is timed: ``forward``, ``forward_backward``, ``kernel``, ``steps``.
            dataset: Name of the data.
            device: Device type, such as ``cpu``.
            dtype: Name of the dtype, such as ``float32``.
            shapes: Shape of each tensor argument.
            flops: Floating-point operations of one timed call.
            bytes: Compulsory memory traffic of one timed call, in bytes.
        """
        said = {key: value for key, value in locals().items() if key != "self" and value is not None}
        if shapes is not None:
            said["shapes"] = {name: [int(size) for size in shape] for name, shape in shapes.items()}
        self._description |= said

    @property
    def device(self) -> str | None:
        """Device type that the case was described with."""
        return self._description.get("device")

    def metric(self, name: str, value: float) -> None:
        """Note the quality of the whole case, such as ``mIoU``."""
        self.metrics[name] = float(value)

    def note(self, text: str) -> None:
        """Add a remark that is printed beside the row."""
        self._notes.append(text)

    def panel(self, name: str, png: bytes) -> None:
        """Keep an example picture; without a run folder, do nothing.

        Args:
            name: Name of the picture; files of different jobs do not overwrite one another.
            png: Contents of a PNG file.
        """
        if not png.startswith(_PNG_SIGNATURE):
            raise ValueError(f"record.panel: got {png[:8]!r} at the start of {name!r}, expected a PNG file")
        if self._folder is None:
            return
        slug = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        path = self._folder / "panels" / f"{self._job}-{slug}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png)
        self._panel = path.relative_to(self._folder).as_posix()

    def fields(self) -> dict[str, Any]:
        """Fields of :class:`pacbench.records.CaseRecord` that the test has filled."""
        return self._description | {
            "metrics": _floats(self.metrics),
            "per_item": {item: _floats(metrics) for item, metrics in self.per_item.items()},
            "parameters": _floats(self.parameters),
            "samples_s": [float(sample) for sample in self.samples_s],
            "turns": list(self.turns),
            "device_samples": list(self.device_samples),
            "peak_memory_bytes": self.peak_memory_bytes,
            "notes": list(self._notes),
            "panel": self._panel,
        }


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}
