"""Features of images and their principal components, by Spark: a plain spark-submit script.

    spark-submit image_features.py --images URI --output URI --network FILE

Reads JPEG and PNG files below a folder, runs an ONNX network over them with one thread a worker,
finds principal components in the same pass, and publishes Parquet. Runs on Spark 3.5 and Python
3.9 as on Spark 4.1; `--help` explains the options.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status is 0, or 1 with the reason as the last line of stderr."""
    _log_to_stdout()
    # One thread of BLAS in the driver: a second one gains little and fights with the workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import cluster
    from storage import JobError

    try:
        import job
        import options

        job.run(options.parse(arguments))
    except Exception as error:
        if not isinstance(error, JobError):
            logging.getLogger("image_features").exception("The job failed.")
        sys.stdout.flush()
        cluster.last_words(f"image_features: error: {reason(error)}")
        return 1
    return 0


def _log_to_stdout() -> None:
    """Our own lines only: py4j tells the root logger of every lost connection it repairs."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("image_features")
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


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
