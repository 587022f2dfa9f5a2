"""The executor of the local stack: Airflow's own, which runs one half of a task after the other.

A task whose trigger fires, or whose question a person answers, is queued again under the same key,
often before the process of its first half has ended. Airflow 3.3's LocalExecutor keeps no account
of what it runs. So the scheduler takes the end of the first half for that of the second, which has
not begun, and fails the try: on a busy machine a person's answer is lost, and asked for once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.executors import local_executor

if TYPE_CHECKING:
    from airflow.executors.workloads import ExecutorWorkload
    from airflow.executors.workloads.types import WorkloadKey


class LocalExecutor(local_executor.LocalExecutor):
    """What Airflow's lacks: a task waits in the queue, where the scheduler sees it, while a process
    still works under its key.
    """

    def _get_workloads_to_schedule(
        self, open_slots: int
    ) -> list[tuple[WorkloadKey, ExecutorWorkload]]:
        found = super()._get_workloads_to_schedule(open_slots)
        return [(key, workload) for key, workload in found if key not in self.running]

    def _process_workloads(self, workload_list: Sequence[ExecutorWorkload]) -> None:
        super()._process_workloads(workload_list)
        self.running.update(workload.key for workload in workload_list)

    def _check_workers(self) -> None:
        if not all(process.is_alive() for process in self.workers.values()):
            self.running.clear()  # one that was killed does not tell which task it leaves
        super()._check_workers()
