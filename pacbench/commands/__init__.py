"""The commands of `pacbench`, one module each."""
