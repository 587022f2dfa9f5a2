"""A Spark job of a step, and how this machine runs it."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.jobs.local import run_command
from millrace.lake import Attempt, Place
from millrace.lake.account import ACCOUNT
from millrace.spark import EVENTS, FOLDER, java, keep_class_archive, spark_submit
from millrace.steps.run import Run

log = logging.getLogger(__name__)

START = 12.0  # seconds that Spark takes to start, list, fit and write


@dataclass(frozen=True)
class SparkJob:
    """What a script of include/spark is to do.

    Attributes:
        task: id of the task, for the name of the job on AWS.
        place: where the output is published.
        arguments: the script's command line, of the output's folder or URI prefix and of the name
            of the attempt below it; addresses are as the machines that run it see them.
        size: how many images or rows there are.
        rate: how many of them a vCPU does in a second; a vCPU is half a core.
    """

    task: str
    script: str
    place: Place
    arguments: Callable[[str, str], list[str]]
    size: int
    rate: float


def estimate(job: SparkJob, per_core: float) -> dict[str, Any]:
    """How long Spark takes here.

    Args:
        per_core: how many images or rows one core does in a second.
    """
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    seconds = START + job.size / (per_core * (cores or 1))
    log.info("Spark runs here on %s cores, for about %.0f s.", cores, seconds)
    return {"where": "local", "seconds": round(seconds)}


def run_here(
    run: Run, job: SparkJob, arguments: Callable[[str, str], list[str]], attempt: Attempt
) -> None:
    """Run the script on all cores of this machine; its files appear in the attempt's folder.

    Args:
        arguments: as those of the job, with what is on this machine.
    """
    events = run.settings.home / EVENTS
    events.mkdir(parents=True, exist_ok=True)
    confs = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.ui.showConsoleProgress": "false",
    }
    options = [word for name, value in confs.items() for word in ("--conf", f"{name}={value}")]
    words = arguments(str(attempt.folder.parent), attempt.folder.name)
    with tempfile.TemporaryDirectory(prefix="millrace-spark-") as folder:
        command = [
            *spark_submit(Path(folder), run.settings.spark_memory, leave_classes=True), *options,
            str(FOLDER / job.script), *words,
        ]  # fmt: skip
        run_command(
            job.script, command, _variables(run, Path(folder)), timeout=run.settings.job_timeout
        )
        keep_class_archive(Path(folder))
    account = attempt.folder / ACCOUNT
    attempt.facts |= json.loads(account.read_text(encoding="utf-8"))["facts"]
    attempt.facts["event_log"] = str(events)
    account.unlink()


def _variables(run: Run, folder: Path) -> dict[str, str]:
    """The environment of a local Spark; with the lake on S3, the keys to it."""
    return {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",  # its ports are for this machine only
        "SPARK_LOCAL_DIRS": str(folder),
        "OMP_NUM_THREADS": "1",  # Spark runs a worker for each core
        **java(folder),
        **(run.keys() if run.keys and run.store.root.startswith("s3://") else {}),
    }
