"""What every script here does around its job: our log on standard output, the reason at the end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

LOG = "spark_job"  # the logger of all modules here


def run(name: str, job: Callable[[], None]) -> int:
    """Run a job; the exit status is 0, or 1 with the reason as the last line of stderr.

    Args:
        name: of the script, which its last line begins with.
        job: imports what it needs when it is called.
    """
    _log_to_stdout()
    # One thread of BLAS in the driver: a second one gains little and fights with the workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import cluster
    from storage import JobError

    try:
        job()
    except Exception as error:
        if not isinstance(error, JobError):
            logging.getLogger(LOG).exception("The job failed.")
        sys.stdout.flush()
        cluster.last_words(f"{name}: error: {reason(error)}")
        return 1
    return 0


def _log_to_stdout() -> None:
    """Our own lines only: py4j tells the root logger of every lost connection it repairs."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger(LOG)
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def reason(error: Exception) -> str:
    """One line that says what went wrong; a failed task's own error, not Spark's stack."""
    text = str(error).strip()
    if "Traceback" in text:
        told = text.partition("Traceback")[2].splitlines()[1:]
        text = next((line for line in told if line and not line.startswith(" ")), text)
    return " ".join(text.split())[:2000] or type(error).__name__
