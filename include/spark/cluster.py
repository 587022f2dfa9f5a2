"""Spark: starting it, its settings, and running tasks.

Tasks are Arrow functions that get no data from Spark: a row says which piece of work is meant, the
task reads and writes files itself, and its report goes back.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark import SparkContext

Item = TypeVar("Item")
Result = TypeVar("Result")

# The last one is what the training scripts ask for the number of threads.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SM_NUM_CPUS")
BIG_PAGES = (  # of 2 MB, and freed memory is kept: 4 % faster networks where glibc is 2.35 or later
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1000000000"
    ":glibc.malloc.trim_threshold=2000000000"
)
SETTINGS = {
    "spark.python.worker.reuse": "true",  # a network or a model is built once in a worker
    "spark.ui.showConsoleProgress": "false",  # the job logs its own progress
    # Nothing to plan and to compile in a query that hands on a number.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.executorEnv.GLIBC_TUNABLES": BIG_PAGES,
    **{f"spark.executorEnv.{name}": "1" for name in ONE_THREAD},
}


@contextmanager
def spark(name: str = "image features", more: Sequence[Path] = ()) -> Iterator[SparkContext]:
    """A Spark context whose workers find the modules beside the script; stopped in the end.

    Args:
        name: of the application.
        more: modules that lie elsewhere.
    """
    from pyspark import SparkConf, SparkContext

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf()
    for key, value in {"spark.app.name": name, **SETTINGS}.items():
        conf.setIfMissing(key, value)
    context = SparkContext.getOrCreate(conf)
    context.setLogLevel("WARN")
    with tempfile.TemporaryDirectory() as folder:
        try:
            if modules := [*siblings(), *more]:
                context.addPyFile(_archive(Path(folder), modules))
            yield context
        finally:
            context.stop()


def _archive(folder: Path, modules: Sequence[Path]) -> str:
    """The job's modules in one file: every file sent costs the driver 0.2 s of imports."""
    archive = folder / "spark_modules.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in modules:
            file.write(path, path.name)
    return str(archive)


def siblings() -> list[Path]:
    """The job's modules, where they lie as files beside this one (and not in a --py-files zip)."""
    folder = Path(__file__).parent
    return sorted(folder.glob("*.py")) if folder.is_dir() else []


def run(
    context: SparkContext, task: Callable[[Item], Result], items: Sequence[Item], what: str
) -> list[Result]:
    """What a task gives for each item, one Spark task an item, in any order.

    An Arrow function: a row an item goes in, the packed result comes out.
    """
    from pyspark.sql import SparkSession

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch.column(0).to_pylist():
                result = pickle.dumps(task(items[place]))
                yield pa.RecordBatch.from_arrays([pa.array([result], pa.binary())], ["result"])

    rows = SparkSession(context).range(0, len(items), 1, len(items))
    context.setJobDescription(what)
    found = rows.mapInArrow(compute, "result binary").collect()
    return [pickle.loads(row.result) for row in found]  # noqa: S301 - what our own tasks packed


def last_words(line: str) -> None:
    """Write the last line of standard error, and keep spark-submit's closing lines off it.

    spark-submit sends the script's standard error to its own standard output, so the line goes
    out by the Java side.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        sys.stderr.write(f"{line}\n")
        return
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    java: Any = SparkContext._jvm
    logs = java.org.apache.logging.log4j
    logs.core.config.Configurator.setRootLevel(logs.Level.OFF)
    java.System.err.println(line)


def since_launch() -> float:
    """Seconds since spark-submit began, or since this process did without it."""
    try:
        if "PYSPARK_GATEWAY_PORT" in os.environ:
            return _age(os.getppid())
        return _age(os.getpid())
    except (OSError, ValueError, IndexError):  # no /proc here
        return time.process_time()


def _age(process: int) -> float:
    ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")
