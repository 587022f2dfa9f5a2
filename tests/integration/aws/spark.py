"""What the stand-in's clusters need to run Spark here: a `spark-submit`, and an environment."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from millrace import spark
from millrace.spark_environment import EXECUTABLE, pack


def spark_submit(folder: Path) -> str:
    """A command line of `spark-submit` on two local cores."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = [f"{name}={value}" for name, value in spark.java(folder).items()]
    command = spark.spark_submit(folder, "1g", "local[2]")
    return shlex.join(["env", *variables, *command] if variables else command)


def pack_this_environment(archive: Path) -> Path:
    """An environment in the form of the packed one, which starts this very interpreter.

    The packed one is for EMR's Python and its Spark: test_spark_environment.py runs the job in it.
    """
    folder = archive.parent / "packed"
    start = folder / EXECUTABLE
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(f'#!/bin/sh\nPACKED="$0" exec {shlex.quote(sys.executable)} "$@"\n')
    pack(folder, archive)
    return archive
