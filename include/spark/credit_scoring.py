"""Scores of a model with their reasons, and the features' principal components, by Spark.

    spark-submit credit_scoring.py --features URI --model FILE --output URI

A plain spark-submit script. The model's bundle is broadcast as bytes and built once in each worker;
rows are read, scored and written as Arrow batches, and the same pass gathers what the principal
components of the standardised features need. Runs on Spark 3.5 and Python 3.9 as on Spark 4.1;
`--help` explains the options.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status is 0, or 1 with the reason as the last line of stderr."""
    import command

    def job() -> None:
        import model_modules

        model_modules.find()
        import scoring_job
        import scoring_options

        scoring_job.run(scoring_options.parse(arguments))

    return command.run("credit_scoring", job)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
