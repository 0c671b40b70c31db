"""What compiled GPU kernels take of a multiprocessor, read from their machine code, against a committed budget.

Registers, spills, shared memory and the instruction mix are known without a GPU. A backend with compiled kernels
offers them by :meth:`pacbench.backend.Backend.compiled_resources`; `pacbench resources` compares them.
"""

from .comparison import Difference, compare
from .occupancy import OCCUPANCY_LIMITS, occupancy
from .record import (
    BudgetError,
    ResourceBudget,
    ResourceRecord,
    budget_text,
    parse_budget,
    read_budget,
    write_budget,
)
from .roofline import ROOFLINES, Prediction, Roofline, Work, predict

__all__ = [
    "OCCUPANCY_LIMITS",
    "ROOFLINES",
    "BudgetError",
    "Difference",
    "Prediction",
    "ResourceBudget",
    "ResourceRecord",
    "Roofline",
    "Work",
    "budget_text",
    "compare",
    "occupancy",
    "parse_budget",
    "predict",
    "read_budget",
    "write_budget",
]
