"""The scaling study: what 10 million and 1 billion images would take on EMR, by simulation.

No benchmark: it measures nothing, so `python -m bench` leaves it out (it takes modules, no
packages). `python -m bench.scaling` prints the tables of `docs/scaling.md`.
"""
