"""Faults in the Triton kernels' own source: a line of it is replaced before the kernel is used.

One fault a process: it holds for every call of the process that made the backend.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from pacbench.backends.triton import TritonBackend, launching


class FaultyKernel(TritonBackend):
    """`triton` with one line of one kernel replaced."""

    summary = "a planted fault"
    kernel: ClassVar[str]
    right: ClassVar[str]
    wrong: ClassVar[str]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.name = cls.__name__

    def __init__(self) -> None:
        super().__init__()
        named, faulty = launching.kernel_named, self._faulty()
        launching.kernel_named = lambda name: faulty if name == self.kernel else named(name)

    def _faulty(self) -> Any:
        """The kernel of a copy of its file, in which the line is wrong."""
        package = f"{launching.__package__}.kernels"
        module = launching._MODULES[self.kernel]
        found = importlib.util.find_spec(f"{package}.{module}")
        source = Path(found.origin).read_text(encoding="utf-8")
        assert source.count(self.right) == 1, f"{self.right!r} stands {source.count(self.right)} times in {module}"
        path = Path(tempfile.mkdtemp()) / f"{module}.py"
        path.write_text(source.replace(self.right, self.wrong), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(f"{package}.faulty_{module}", path)
        made = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = made
        spec.loader.exec_module(made)
        return getattr(made, self.kernel)


class MissingMask(FaultyKernel):
    """Taps past the image's left and right border are read from the neighbouring row."""

    kernel = "gather_contraction"
    right = "inside = target_inside & within(source_y, source_x, source_height, source_width)"
    wrong = "inside = target_inside & within(source_y, 0, source_height, source_width)"


class WrongStride(FaultyKernel):
    """Rows of the source are as far apart as those of the target."""

    kernel = "gather_contraction"
    right = "source_at = source_y * source_width + source_x"
    wrong = "source_at = source_y * target_width + source_x"


class UnwrittenTile(FaultyKernel):
    """The last program does not store its tile."""

    kernel = "gather_contraction"
    right = "sums.to(output.dtype.element_ty), mask=stored)"
    wrong = "sums.to(output.dtype.element_ty), mask=stored & (tl.program_id(0) < tl.num_programs(0) - 1))"


class DroppedTap(FaultyKernel):
    """The loop over taps ends one too early."""

    kernel = "gather_contraction"
    right = "for index in range(count):"
    wrong = "for index in range(count - 1):"


class DroppedPart(FaultyKernel):
    """The filter's gradient misses the last tile of pixels."""

    kernel = "weight_gradient"
    right = "for tile in range(split, all_tiles, splits):"
    wrong = "for tile in range(split, all_tiles - 1, splits):"


class MissingPaddingInPooling(FaultyKernel):
    """Pooling reads what lies beside the image."""

    kernel = "gathered_sum"
    right = "inside = target_inside & within(source_y, source_x, source_height, source_width)"
    wrong = "inside = target_inside & within(source_y, 0, source_height, source_width)"
