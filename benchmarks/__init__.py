"""What the system costs, held against what the machine can do at all; `python -m benchmarks`."""
