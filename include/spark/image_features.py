"""Features of images and their principal components, by Spark: a plain spark-submit script.

    spark-submit image_features.py --images URI --output URI --network FILE

Reads JPEG and PNG files below a folder, runs an ONNX network over them with one thread a worker,
finds principal components in the same pass, and publishes Parquet. Runs on Spark 3.5 and Python
3.9 as on Spark 4.1; `--help` explains the options.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status is 0, or 1 with the reason as the last line of stderr."""
    import command

    def job() -> None:
        import job
        import options

        job.run(options.parse(arguments))

    return command.run("image_features", job)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
