"""Waiting for what a stack does; what stands still is told with all that is known of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from millrace.airflow_api import AirflowApiError
from millrace.stack import Stack
from millrace.stack.health import COMPONENTS

TIMEOUT = 300  # seconds; a run takes some ten of them
TROUBLE = re.compile(r"\b(warning|error|critical)\b|Traceback|Error\b", re.IGNORECASE)
LINES = 12  # last lines, and last lines that sound of trouble, of each component


def eventually[Result](found: Callable[[], Result], what: str, stack: Stack) -> Result:
    """What `found` gives, once that is true.

    Raises:
        AssertionError: it never is.
    """
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.5)
    raise AssertionError(f"waited {TIMEOUT} s in vain for {what}\n{standing(stack)}")


def finished(stack: Stack, dag_id: str, run_id: str) -> dict[str, Any]:
    """A run, once it has succeeded or failed.

    Raises:
        AssertionError: it stands still.
    """
    try:
        return stack.api.wait(dag_id, run_id, TIMEOUT)
    except AirflowApiError as error:
        raise AssertionError(f"{error}\n{standing(stack)}") from error


def standing(stack: Stack) -> str:
    """Every run, every task that is not done, and the ends of its log and of the components'."""
    every = "~"  # Airflow's API takes it for all DAGs, and all runs
    runs = [f"{run['dag_id']} {run['dag_run_id']}: {run['state']}" for run in stack.api.runs(every)]
    tasks = [
        _told(stack, task)
        for task in stack.api.task_instances(every, every)
        if task["state"] not in ("success", "skipped")
    ]
    return "\n".join(["runs", *runs, "tasks", *tasks, *(_end(stack, name) for name in COMPONENTS)])


def _told(stack: Stack, task: dict[str, Any]) -> str:
    names = [task[name] for name in ("dag_id", "dag_run_id", "task_id")]
    attempt = f"{' '.join(names)}: {task['state']}, try {task['try_number']}"
    if task["state"] != "failed":
        return attempt
    log = stack.api.log(*names, task["try_number"], task["map_index"])
    return "\n".join([attempt, *log.splitlines()[-LINES:]])


def _end(stack: Stack, name: str) -> str:
    path = stack.home / "log" / f"{name}.log"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    trouble = [line for line in lines[:-LINES] if TROUBLE.search(line)]
    return "\n".join([f"--- {path}", *trouble[-LINES:], "...", *lines[-LINES:]])
