"""A stage of independent tasks on a cluster that grows, shares S3 and loses spot nodes.

Discrete events. A task needs so many seconds of one core. Tasks that read from the same group of
S3 prefixes share its request rate: while they would ask for more than it gives, all of them slow
down alike (processor sharing, kept with a virtual clock a group). A spot node gets its notice after
an exponential time, takes no new task from then on, and is gone `notice` seconds later together
with what still ran on it; another one arrives after `replacement` seconds. The tasks it lost go
back to the queue, and where finished work stays on the nodes (shuffle files, cached blocks), so
does all that the node had finished.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from bench.scaling.cluster import Cluster, Group, Node, Stage

ARRIVES, IS_WARNED, IS_GONE = range(3)


class Run:
    """One run of a stage. `work` holds core-seconds by task, `groups` the S3 group of each."""

    def __init__(
        self,
        work: np.ndarray,
        groups: np.ndarray,
        capacities: Sequence[float],
        cluster: Cluster,
        rng: np.random.Generator,
    ) -> None:
        self.work = work.tolist()
        self.group_of = groups.tolist()
        self.groups = [Group(capacity) for capacity in capacities]
        self.cluster = cluster
        self.rng = rng
        self.stage = Stage(tasks=len(self.work), work=float(work.sum()))
        self.queue = deque(range(len(self.work)))
        self.attempt = [0] * len(self.work)
        self.place = [-1] * len(self.work)
        self.nodes = [Node(spot) for spot in cluster.spot]
        self.free: list[tuple[int, int]] = []  # node, its life
        self.events: list[tuple[float, int, int, int]] = []  # time, kind, node, its life
        for number, time in enumerate(cluster.arrivals):
            heapq.heappush(self.events, (time, ARRIVES, number, 0))

    def result(self) -> Stage:
        """Run until every task has ended."""
        now = 0.0
        if not self.nodes:
            raise ValueError("a stage needs a node")
        while self.stage.finished < self.stage.tasks:
            self._start_tasks(now)
            end, group = self._next_end()
            event = self.events[0][0] if self.events else math.inf
            now = min(end, event)
            if end <= event:
                self._finish(group, now)
            else:
                self._happen(now)
        self.stage.seconds = now
        for node in self.nodes:
            self._count_time(node, now)
        return self.stage

    def _start_tasks(self, now: float) -> None:
        while self.queue and self.free:
            number, life = self._any_slot()
            node = self.nodes[number]
            if not node.open or node.life != life:
                continue
            task = self.queue.popleft()
            self.attempt[task] += 1
            self.stage.attempts += 1
            self.place[task] = number
            node.running[task] = now
            group = self.groups[self.group_of[task]]
            group.advance(now)
            group.active += 1
            heapq.heappush(group.ends, (group.virtual + self.work[task], task, self.attempt[task]))

    def _any_slot(self) -> tuple[int, int]:
        """A free slot, chosen evenly: Spark spreads tasks over its executors."""
        chosen = int(self.rng.random() * len(self.free))
        self.free[chosen], self.free[-1] = self.free[-1], self.free[chosen]
        return self.free.pop()

    def _next_end(self) -> tuple[float, Group]:
        best, chosen = math.inf, self.groups[0]
        for group in self.groups:
            ends = group.ends
            while ends and ends[0][2] != self.attempt[ends[0][1]]:
                heapq.heappop(ends)  # an attempt that was interrupted
            if ends and (end := group.next_end()) < best:
                best, chosen = end, group
        return best, chosen

    def _finish(self, group: Group, now: float) -> None:
        group.advance(now)
        group.active -= 1
        _, task, _ = heapq.heappop(group.ends)
        number = self.place[task]
        node = self.nodes[number]
        del node.running[task]
        self.stage.finished += 1
        if not self.cluster.durable:
            node.finished.append(task)
        if node.open:
            self.free.append((number, node.life))

    def _happen(self, now: float) -> None:
        _, kind, number, life = heapq.heappop(self.events)
        node = self.nodes[number]
        if kind == ARRIVES:
            self._arrive(number, node, now)
        elif kind == IS_WARNED:
            node.open = False
            heapq.heappush(self.events, (now + self.cluster.notice, IS_GONE, number, life))
        else:
            self._go(number, node, now)

    def _arrive(self, number: int, node: Node, now: float) -> None:
        node.life += 1
        node.arrived, node.open = now, True
        self.free.extend([(number, node.life)] * self.cluster.cores)
        if node.spot and self.cluster.interruptions > 0:
            warned = now + self.rng.exponential(1 / self.cluster.interruptions)
            heapq.heappush(self.events, (warned, IS_WARNED, number, node.life))

    def _go(self, number: int, node: Node, now: float) -> None:
        self.stage.interruptions += 1
        self._count_time(node, now)
        for task, started in node.running.items():
            group = self.groups[self.group_of[task]]
            group.advance(now)
            group.active -= 1
            self.attempt[task] += 1  # makes the entry among the ends void
            self.stage.lost += now - started
            self._again(task)
        for task in node.finished:
            self.stage.finished -= 1
            self.stage.lost += self.work[task]
            self._again(task)
        node.running, node.finished = {}, []
        heapq.heappush(self.events, (now + self.cluster.replacement, ARRIVES, number, node.life))

    def _again(self, task: int) -> None:
        self.stage.repeated += 1
        self.queue.append(task)

    def _count_time(self, node: Node, now: float) -> None:
        """Node-seconds of a node that is there; one that is gone was counted as it went."""
        if node.life and node.arrived <= now and not math.isinf(node.arrived):
            if node.spot:
                self.stage.spot_seconds += now - node.arrived
            else:
                self.stage.on_demand_seconds += now - node.arrived
        node.arrived = math.inf
