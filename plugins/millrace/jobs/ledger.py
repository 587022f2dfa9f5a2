"""Who waits for which job: so that one that nobody waits for any more can be stopped.

The triggerer stops the job of a task that a person fails or clears. Where no triggerer runs at that
moment, or none has taken the task up yet, nobody hears of it: then the ledger tells.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import groupby

from millrace.jobs.job import Backend
from millrace.lake import Conflict, Store

log = logging.getLogger(__name__)

AREA = "jobs/waiting"


@dataclass(frozen=True)
class Waiting:
    """One task that waits for one job.

    Attributes:
        kind: backend of the job, see `millrace.jobs.job.Request`.
        name: the name the work goes by.
        home: cluster or application of the job.
        connection: id of the Airflow connection to AWS.
    """

    kind: str
    name: str
    home: str
    connection: str
    region: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def owner(self) -> tuple[str, str, str, int]:
        """The task: DAG, run, task and map index."""
        return self.dag_id, self.run_id, self.task_id, self.map_index

    @property
    def key(self) -> str:
        """Where this is noted."""
        owner = hashlib.sha256(json.dumps(self.owner).encode()).hexdigest()
        return f"{AREA}/{self.name}/{owner[:12]}.json"


def note(store: Store, waiting: Waiting) -> None:
    """Note that a task waits; before its job is started, so that none is missed."""
    present = store.read(waiting.key)
    data = json.dumps(asdict(waiting)).encode()
    try:
        store.replace(waiting.key, data, present[1] if present else None)
    except Conflict:
        log.info("Another copy of this task has noted that it waits.")


def erase(store: Store, waiting: Waiting) -> None:
    """Take a note out: the job has ended."""
    store.delete(waiting.key)


def stop_orphans(
    store: Store, waits: Callable[[Waiting], bool], open_backend: Callable[[str, str, str], Backend]
) -> int:
    """Stop every job whose tasks have all ended otherwise; returns how many were stopped.

    Args:
        waits: whether the task still waits, or will again.
        open_backend: see `millrace.jobs.backends.open_backend`.
    """
    stopped, trouble = 0, []
    for place, entries in groupby(store.list(AREA), key=lambda entry: entry.key.rpartition("/")[0]):
        try:
            tasks = [task for entry in entries if (task := _read(store, entry.key))]
            if not tasks or any(waits(task) for task in tasks):
                continue
            if _stop(tasks[0], open_backend):
                stopped += 1  # the notes stay until it has ended
                continue
            for task in tasks:
                erase(store, task)
        except Exception as error:  # one job that cannot be asked about holds up no other
            log.exception("%s cannot be looked into now", place)
            trouble.append(error)
    if trouble:
        raise RuntimeError(f"{len(trouble)} jobs could not be looked into") from trouble[0]
    return stopped


def stop_jobs_of(
    store: Store,
    owner: tuple[str, str, str, int],
    open_backend: Callable[[str, str, str], Backend],
) -> None:
    """Stop every job that one task (DAG, run, task, map index) has noted."""
    for entry in store.list(AREA):
        task = _read(store, entry.key)
        if task and task.owner == owner:
            _stop(task, open_backend)


def _read(store: Store, key: str) -> Waiting | None:
    found = store.read(key)
    return Waiting(**json.loads(found[0])) if found else None


def _stop(task: Waiting, open_backend: Callable[[str, str, str], Backend]) -> bool:
    """Stop the job that goes by the noted name; whether there was one to stop."""
    backend = open_backend(task.kind, task.connection, task.region)
    found = backend.find(task.name, task.home)
    if found is None:
        return False
    if found[1].state.ended:
        backend.tidy(found[0])
        return False
    log.warning("Stopping %s.", found[0])
    backend.stop(found[0])
    return True
