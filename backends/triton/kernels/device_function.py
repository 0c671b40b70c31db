"""Functions that kernels call: compiled with them, or plain Python where kernels are interpreted.

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

device_function: Callable[..., Any] = (lambda function: function) if interpreting() else triton.jit


def _interpreted_sum(values: Any, axis: int) -> Any:
    """`tl.sum`, which is itself a function that the interpreter would patch the language for."""
    return tl.reduce(values, axis, tl.standard._sum_combine)


sum_over: Callable[..., Any] = _interpreted_sum if interpreting() else tl.sum
