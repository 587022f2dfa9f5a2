"""The executor of the local stack, with real worker processes: what runs in them is put off."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads.task import ExecuteTask, TaskInstanceDTO
from airflow.utils.state import TaskInstanceState

from millrace.stack.executor import LocalExecutor

# The executor forks its workers; what runs in them here takes no lock of this process.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

TASK = TaskInstanceDTO.model_construct(
    id="1", dag_id="deploy", task_id="approve", run_id="r", try_number=1, map_index=-1,
    priority_weight=1,
)  # fmt: skip
HALF = ExecuteTask.model_construct(ti=TASK)
WORKERS = 2


class Ground:
    """An executor whose tasks, once begun, end when they are let."""

    def __init__(self) -> None:
        self.begun, self.may_end = multiprocessing.Semaphore(0), multiprocessing.Semaphore(0)
        self.pid = multiprocessing.Value("i")
        self.executor = LocalExecutor(parallelism=WORKERS)

    def run_workload(self, *_: Any, **__: Any) -> None:
        self.pid.value = os.getpid()
        self.begun.release()
        self.may_end.acquire()

    def queue(self) -> None:
        self.executor.queued_tasks[HALF.key] = HALF

    def heartbeats(self, until: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not until():
            assert time.monotonic() < end, "in vain"
            self.executor.heartbeat()
            time.sleep(0.01)

    def is_known(self) -> bool:
        """What the scheduler asks before it fails a task that its executor says has ended."""
        return self.executor.has_task(SimpleNamespace(id=TASK.id, key=HALF.key))  # type: ignore[arg-type]


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    made = Ground()
    monkeypatch.setattr(BaseExecutor, "run_workload", made.run_workload)
    made.executor.start()
    yield made
    for worker in made.executor.workers.values():
        worker.kill()


def test_the_second_half_of_a_task_waits_for_the_process_of_the_first(ground: Ground) -> None:
    ground.queue()
    ground.heartbeats(lambda: ground.begun.acquire(block=False))
    ground.queue()  # a person has answered; the process of the first half still cleans up
    for _ in range(10):
        ground.executor.heartbeat()
    assert not ground.begun.acquire(timeout=0.2)
    ground.may_end.release()
    ground.heartbeats(lambda: ground.executor.event_buffer)
    assert ground.executor.get_event_buffer() == {HALF.key: (TaskInstanceState.SUCCESS, None)}
    assert ground.is_known(), "so the scheduler does not take this end for that of the second half"
    ground.heartbeats(lambda: ground.begun.acquire(block=False))
    ground.may_end.release()
    ground.heartbeats(lambda: ground.executor.event_buffer)
    assert not ground.is_known()


def test_a_worker_that_is_killed_takes_no_slot_with_it(ground: Ground) -> None:
    for _ in range(WORKERS + 1):
        ground.queue()
        ground.heartbeats(lambda: ground.begun.acquire(block=False))
        os.kill(ground.pid.value, signal.SIGKILL)
        ground.heartbeats(lambda: not ground.executor.running)
