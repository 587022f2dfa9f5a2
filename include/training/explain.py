"""Contributions of features to the predictions of a file of rows, as a process of its own.

Reads `id,<inputs>` lines, as inference.py does, and writes one .npz file without the ids:

    names     of the model's features, shape (features,)
    inputs    what the model saw, float64 of shape (rows, features)
    values, expected, raw    see contributions.py
    probability              as inference.py has it, shape (rows,) or (rows, classes)

or, where the contributions do not add up to the raw scores, `refused` alone: the reason.
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
import time
from collections.abc import Sequence

import numpy as np
import transformation

import algorithms
import calibration
import inference
from contributions import Unexplained, contributions

log = logging.getLogger("explain")


def main(arguments: Sequence[str] | None = None) -> None:
    """Explain the first rows of a file."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args(arguments)
    csv.field_size_limit(inference.LONGEST_FIELD)
    model = inference.model_fn(options.model_dir)
    with open(options.input, encoding="utf-8", newline="") as source:
        (frame,) = inference.read_csv(source, ["", *model.inputs], None)
    started = time.monotonic()
    x = transformation.apply(model.state, transformation.columns_of(model.state, frame))
    algorithm = model.facts["algorithm"]
    try:
        found = contributions(algorithm, model.estimator, x)
    except Unexplained as error:
        np.savez(options.output, refused=str(error))
        log.warning("%s", error)
        return
    predicted = algorithms.predict(algorithm, model.estimator, x)
    np.savez(
        options.output, names=np.array(transformation.feature_names(model.state)), inputs=x,
        values=found.values, expected=found.expected, raw=found.raw,
        probability=calibration.apply(model.facts.get("calibration"), predicted),
    )  # fmt: skip
    log.info("Explained %s predictions in %.1f s; they add up to %.1e of the raw score.",
             f"{len(x):,}", time.monotonic() - started, found.error)  # fmt: skip


if __name__ == "__main__":
    main()
