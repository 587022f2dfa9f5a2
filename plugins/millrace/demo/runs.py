"""Runs that are started together, and followed task by task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from millrace.demo.outcomes import Outcome, outcome_of
from millrace.lake import Store
from millrace.stack import Stack

RUN_TIMEOUT = 900  # seconds one pipeline may take
SHOWN_STATES = ("success", "failed", "upstream_failed", "skipped", "up_for_retry")


def run_all(
    stack: Stack,
    specs: Iterable[str],
    store: Store,
    partition: str,
    choices: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Run the pipelines side by side and follow them.

    Args:
        choices: values of the run's form, besides the partition.
    """
    stack.api.wait_for_dags(specs)
    begun = time.monotonic()

    def run_one(name: str) -> Outcome:
        client = stack.api
        client.unpause(name)
        run_id = client.trigger(name, {"partition": partition, **(choices or {})})
        run = client.wait(name, run_id, RUN_TIMEOUT, showing(name, begun))
        return outcome_of(client, store, name, run, partition, time.monotonic() - begun)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(run_one, specs))


def showing(name: str, begun: float) -> Callable[[dict[str, Any]], None]:
    """What prints a task's change: seconds since `begun`, the pipeline, the task and its state."""

    def show(task: dict[str, Any]) -> None:
        if task["state"] in SHOWN_STATES:
            label = task["task_id"]
            label += f" [{task['rendered_map_index']}]" if task["map_index"] >= 0 else ""
            print(f"{time.monotonic() - begun:6.1f} s  {name:17}  {label:32}  {task['state']}")

    return show
