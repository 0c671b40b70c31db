"""The gate: is a backend right? Forward and gradients against independent computations, at every declared option.

`python -m pytest --pyargs pacbench.suites.gradients --pacbench-backend NAME`; `-m smoke` for the named subset that
every run begins with.
"""
