"""The Titanic pipeline through the real scheduler, against one plain script and our steps alone.

All of them log to the MLflow server of the stack. Every run is a new partition of the same rows.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.measure import PROJECT, SCRIPTS, BenchmarkError, Comparison, in_turns, load, median
from bench.measure import run_script as run_child

STEPS = "validate_raw preprocess train transform evaluate explain log_to_mlflow promote".split()
TASKS = len(STEPS) + 1  # of one run: the steps and the sensor
TIMEOUT = 300.0


def run(times: int = 3) -> list[Comparison]:
    """Compare one run, in seconds, after one that is not counted."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        home, busy = Path(name) / "home", load()
        with _stack(home) as stack:
            ways = Ways(stack, Path(name))
            ways.through_airflow()
            ways.empty_chain()
            found = in_turns(
                {
                    "airflow": ways.through_airflow,
                    "empty": ways.empty_chain,
                    "steps": ways.steps_alone,
                    "script": ways.plain_script,
                },
                times,
            )
    took = {name: median(values) for name, values in found.items()}
    return _comparisons(took, f"median of {times} runs; {busy} before")


def _comparisons(took: Mapping[str, float], how: str) -> list[Comparison]:
    script = (
        "one plain script: read_csv, impute, encode, split, 100 rounds of XGBoost, score, log to"
        " MLflow and register; it has no cross-validation, validation, statistics, bootstrap"
        " intervals, reports, gates or comparison with the champion; it lets MLflow find out the"
        " model's requirements, as is usual, where ours names them"
    )
    a_task = (took["airflow"] - took["steps"]) / TASKS
    return [
        Comparison(
            "titanic_run", took["airflow"], took["script"], "s",
            f"from the trigger to success through the scheduler ({TASKS} tasks) against {script};"
            f" {how}",
        ),
        Comparison(
            "titanic_run_steps", took["steps"], took["script"], "s",
            f"our steps in one process without Airflow against {script}; {how}",
        ),
        Comparison(
            "titanic_run_airflow", took["airflow"], took["steps"], "s",
            f"through the scheduler against the same steps in one process; {how}",
        ),
        Comparison(
            "titanic_run_per_task", a_task, took["empty"] / TASKS, "s",
            "what Airflow adds to each task (scheduling, a process and the imports of its own)"
            f" against a DAG of {TASKS} empty tasks in a row, on the same stack; {how}",
        ),
    ]  # fmt: skip


class Ways:
    """The ways to a registered model, each of them a call that returns its seconds."""

    def __init__(self, stack: Any, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.sample = folder / "sample"
        run_child("write_sample.py", "titanic", self.sample, 891)
        self.days = (f"2026-01-{number:02}" for number in count(1))

    def through_airflow(self) -> float:
        """Trigger the DAG for a new partition."""
        day = next(self.days)
        self._deliver(Path(self.stack.settings.lake), day)
        return self._run("titanic", {"partition": day})

    def empty_chain(self) -> float:
        """Trigger the DAG of empty tasks."""
        return self._run("empty_chain", {})

    def steps_alone(self) -> float:
        """All steps in one process, on a lake of their own."""
        day, lake = next(self.days), self.folder / "lake"
        self._deliver(lake, day)
        environment = {**self._environment(), "MILLRACE_LAKE": str(lake)}
        return run_child("run_steps.py", "titanic", day, *STEPS, environment=environment).seconds

    def plain_script(self) -> float:
        """The usual script."""
        source = next(self.sample.iterdir())
        return run_child("usual_titanic.py", source, environment=self._environment()).seconds

    def _deliver(self, lake: Path, day: str) -> None:
        shutil.copytree(self.sample, lake / "raw" / "titanic" / day)

    def _environment(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.stack.mlflow_url, "MILLRACE_HOME": str(self.folder)}

    def _run(self, dag_id: str, conf: dict[str, Any]) -> float:
        started = time.time()
        run_id = self.stack.api.trigger(dag_id, conf)
        run = self.stack.api.wait(dag_id, run_id, TIMEOUT)
        if run["state"] != "success":
            raise BenchmarkError(f"the run {run_id} of {dag_id} ended as {run['state']}")
        return dt.datetime.fromisoformat(run["end_date"]).timestamp() - started


@contextmanager
def _stack(home: Path) -> Iterator[Any]:
    """A stack of its own on free ports, with the project's DAGs and a DAG of empty tasks."""
    from millrace.settings import Settings
    from millrace.stack import Stack, terminate_as_exit

    dags = home.parent / "dags"
    shutil.copytree(PROJECT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SCRIPTS / "empty_chain.py", dags)
    settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
    stack = Stack(settings)
    terminate_as_exit()
    try:
        with patch.dict(os.environ, {"MILLRACE_DAGS": str(dags)}):
            stack.up(lambda _: None)
        stack.api.wait_for_dags(["titanic", "empty_chain"])
        for dag_id in ("titanic", "empty_chain"):
            stack.api.unpause(dag_id)
        yield stack
    finally:
        stack.down()
