"""Whole networks, as published, on pacbench's layers: models that workloads run and that training fits."""
