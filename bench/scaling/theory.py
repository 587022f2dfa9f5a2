"""Closed forms: what the simulation must agree with, and what needs no simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass


def seconds_with_restarts(seconds: float, rate: float, down: float = 0.0) -> float:
    """Mean time to get through a task that starts over whenever its node goes.

    Interruptions come at `rate` a second, each costs `down` seconds until a node is back: the mean
    is (e^(rate x seconds) - 1) x (1 / rate + down).
    """
    if rate == 0:
        return seconds
    return math.expm1(rate * seconds) * (1 / rate + down)


def lost_share(seconds: float, rate: float, notice: float = 0.0) -> float:
    """Work lost to interruptions, as a share of the useful work, for tasks of one length.

    On a busy core a warning finds a task that has `seconds` x U still to go; it is lost, after it
    ran on for `notice`, where that is more than the notice. Few interruptions a task are assumed.
    """
    if seconds <= notice:
        return 0.0
    # The part that ran when the node goes lies between `notice` and `seconds`, evenly.
    return rate * (seconds**2 - notice**2) / 2 / seconds


def amdahl(serial: float, parallel: float, nodes: float) -> float:
    """Speed-up with so many nodes over one."""
    return (serial + parallel) / (serial + parallel / nodes)


@dataclass(frozen=True)
class Aggregation:
    """A tree of sums: how many partial results each level leaves, and what moves.

    Attributes:
        levels: partial results before each level of exchange; the last go to the driver.
        moved: bytes exchanged among executors.
        to_driver: bytes of results that the driver receives, which
            `spark.driver.maxResultSize` limits.
    """

    levels: tuple[int, ...]
    moved: int
    to_driver: int


def merged_in_groups(partials: int, size: int, group: int) -> Aggregation:
    """What the job does: merge so many at a time, until one group is left for the driver."""
    levels = [partials]
    while levels[-1] > group:
        levels.append(math.ceil(levels[-1] / group))
    return Aggregation(tuple(levels), sum(levels[:-1]) * size, levels[-1] * size)


def tree_aggregation(partials: int, size: int, depth: int = 2) -> Aggregation:
    """What Spark's `treeAggregate` does with `partials` results of `size` bytes each.

    The rule for the levels is that of Spark's RDD.treeAggregate: divide by the depth-th root of the
    number of partitions for as long as that leaves fewer results for the driver.
    """
    scale = max(math.ceil(partials ** (1 / depth)), 2)
    levels = [partials]
    while levels[-1] > scale + math.ceil(levels[-1] / scale):
        levels.append(levels[-1] // scale)
    return Aggregation(tuple(levels), sum(levels[:-1]) * size, levels[-1] * size)
