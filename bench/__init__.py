"""Side-by-side benchmarks: Millrace against the usual way, on this machine.

A benchmark is a module of this package with a function `run`; what it measures runs in child
processes, from `scripts/`.
"""
