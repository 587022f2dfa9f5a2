"""What a simulated stage is made of: its cluster, nodes, request rates and result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cluster:
    """The nodes of a stage; times in seconds from its start.

    Attributes:
        arrivals: when each node can take tasks.
        spot: which of them are spot capacity.
        interruptions: of a spot node, a second.
        durable: finished tasks outlive their node (their output is in S3).
    """

    cores: int
    arrivals: Sequence[float]
    spot: Sequence[bool]
    interruptions: float = 0.0
    notice: float = 120.0
    replacement: float = 300.0
    durable: bool = True


@dataclass
class Stage:
    """What became of a stage.

    Attributes:
        seconds: until the last task ended.
        lost: core-seconds of work that was thrown away, finished or not.
        spot_seconds, on_demand_seconds: node-seconds the nodes were there.
        attempts: tasks started; interrupted ones count again.
    """

    tasks: int
    seconds: float = 0.0
    work: float = 0.0
    lost: float = 0.0
    spot_seconds: float = 0.0
    on_demand_seconds: float = 0.0
    attempts: int = 0
    interruptions: int = 0
    repeated: int = 0
    finished: int = 0


@dataclass
class Group:
    """Tasks that share a request rate, enough for `cores` of them at full speed."""

    cores: float
    virtual: float = 0.0
    real: float = 0.0
    active: int = 0
    ends: list[tuple[float, int, int]] = field(default_factory=list)  # virtual end, task, attempt

    def advance(self, now: float) -> None:
        self.virtual += (now - self.real) * self._speed()
        self.real = now

    def next_end(self) -> float:
        return self.real + (self.ends[0][0] - self.virtual) / self._speed()

    def _speed(self) -> float:
        return min(1.0, self.cores / self.active) if self.active else 1.0


@dataclass
class Node:
    spot: bool
    arrived: float = 0.0
    life: int = 0
    open: bool = False
    running: dict[int, float] = field(default_factory=dict)  # task: when it started
    finished: list[int] = field(default_factory=list)
