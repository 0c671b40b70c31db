"""What is measured beside time: memory, the machine's own limits, and the environment."""
