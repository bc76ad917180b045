"""How fast is our own code: scripts that print ratios measured in one run.

Each ``bench_*`` module says what it measures and what it does not. ``python -m
benchmarks`` runs them all and prints the table of bars; ``docs/benchmarks.md`` says how
to read it.
"""
