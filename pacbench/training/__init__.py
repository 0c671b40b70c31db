"""Training: a loop that is deterministic, resumable and distributed, and the tasks that it is given.

A `Task` says what is trained on what; `train` does the rest.
"""

from .loop import train
from .settings import TrainingSettings
from .task import Sample, Stage, Task

__all__ = ["Sample", "Stage", "Task", "TrainingSettings", "train"]
