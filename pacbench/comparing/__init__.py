"""Comparing runs: statistics over rounds, verdicts, history. The rules stand in docs/comparing.md."""
