"""How kernels are declared, and the functions that they call: compiled with them, or plain Python where interpreted.

Triton's interpreter patches the whole language anew for each call of a function that it interprets, which costs more
than what our small functions do; as plain Python they run within what was patched for the kernel. For the same reason
(time) kernels assign whole numbers in pairs: a name that is assigned alone becomes an array to the interpreter, and
arithmetic on such arrays is checked for overflow, nine operations for one.
"""

from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from pacbench.backends.triton.availability import interpreting

WIDTHS = (
    "source_width", "target_width", "fixed_width", "moving_width", "guide_width", "input_width", "near_width",
    "far_width", "width",
)  # fmt: skip
"""Arguments whose divisibility the compiler is not told, but for what `told_widths` declares.

Were it told, it would load the pixels of a centre four or eight at once, and give each thread as many neighbours in all
that is loaded by tile: the taps too, which are aligned to nothing. Their loads would then be single values that
lie four or eight apart from thread to thread: 8 to 16 lines of memory an instruction instead of 2.
"""

kernel: Callable[..., Any] = triton.jit(do_not_specialize_on_alignment=WIDTHS)
"""What every kernel is declared with."""


def told_widths(declared: Any) -> Any:
    """The same kernel, its compiler told of the divisibility of widths; `configurations.widths_told` says when."""
    return triton.jit(declared.fn)


device_function: Callable[..., Any] = (lambda function: function) if interpreting() else triton.jit


def _interpreted_sum(values: Any, axis: int) -> Any:
    """`tl.sum`, which is itself a function that the interpreter would patch the language for."""
    return tl.reduce(values, axis, tl.standard._sum_combine)


sum_over: Callable[..., Any] = _interpreted_sum if interpreting() else tl.sum
