"""Predict with one model folder: SageMaker's handler functions, and the same as a local process.

`model_fn`, `input_fn`, `predict_fn` and `output_fn` are what SageMaker's framework containers call
for batch transform and endpoints. Input is raw: the columns of the raw files, as CSV without a
header (in the order of `inputs` in transformation.json), as JSON records or as JSON Lines
(json_lines.py). The transformation that was fitted with the model is applied here.

As a process: `inference.py --model-dir M --input test.csv --output predictions.csv` reads CSV whose
first field is a row id and writes `id,probability`, as batch transform does when it joins; a model
of several classes answers with a probability of each, in the order of `classes` in model.json.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import transformation

import algorithms
import calibration
import classes
import json_lines

log = logging.getLogger("inference")
CHUNK = 10_000  # rows in memory at a time; ten times as many are read half as fast
REPORT_EVERY = 5.0  # seconds between two lines of progress
LONGEST_FIELD = 2**27  # characters; the csv module would stop at 131,072


@dataclass(frozen=True)
class Model:
    """A loaded model: estimator, its facts (model.json) and its transformation."""

    estimator: Any
    facts: dict[str, Any]
    state: dict[str, Any]

    @property
    def inputs(self) -> list[str]:
        """Names of the raw columns a prediction needs, in order."""
        return [item["name"] for item in self.state["inputs"]]

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """Probability of the positive class for raw rows; of several, shape (rows, classes).

        Calibrated where the model was: everything that predicts with the model asks here.
        """
        matrix = transformation.apply(self.state, transformation.columns_of(self.state, frame))
        raw = algorithms.predict(self.facts["algorithm"], self.estimator, matrix)
        return calibration.apply(self.facts.get("calibration"), raw)


def model_fn(model_dir: str) -> Model:
    """Load a model folder."""
    folder = Path(model_dir)
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    state = json.loads((folder / "transformation.json").read_text(encoding="utf-8"))
    return Model(algorithms.load(facts["algorithm"], folder), facts, state)


def input_fn(body: str | bytes, content_type: str) -> pd.DataFrame | json_lines.Lines | str:
    """Parse a request. CSV and JSON Lines stay text: their columns are known only with the model.

    Raises:
        ValueError: the content type is none of text/csv, application/json, application/jsonlines.
    """
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    kind = content_type.split(";", maxsplit=1)[0].strip()
    if kind == "text/csv":
        return text
    if kind == "application/json":
        records = json.loads(text)
        return pd.DataFrame(records if isinstance(records, list) else [records], dtype="object")
    if kind == json_lines.KIND:
        return json_lines.split(text)
    raise ValueError(
        f"content type {content_type!r}; send text/csv or application/json or {json_lines.KIND}"
    )


def predict_fn(data: pd.DataFrame | json_lines.Lines | str, model: Model) -> np.ndarray:
    """Probability of the positive class, or of each class, for each row of a parsed request."""
    if isinstance(data, json_lines.Lines):
        return model.probability(json_lines.parse(data, model.inputs))
    if not isinstance(data, str):
        return model.probability(data)
    frames = list(read_csv(io.StringIO(data, newline=""), model.inputs, None))
    if not frames:
        raise ValueError(f"an empty request; send lines of the fields {model.inputs}")
    return model.probability(frames[0])


def output_fn(prediction: np.ndarray, accept: str) -> str:
    """Format probabilities: one a line, or a JSON list, or a JSON object a line."""
    kind = accept.split(";", maxsplit=1)[0].strip()
    if kind == "application/json":
        return json.dumps({"probability": prediction.tolist()})
    if kind == json_lines.KIND:
        return json_lines.dump(prediction)
    if prediction.ndim == 2:
        return "".join(",".join(map(repr, row)) + "\n" for row in prediction.tolist())
    return "".join(f"{value!r}\n" for value in prediction.tolist())


def read_csv(source: TextIO, names: list[str], rows: int | None) -> Iterator[pd.DataFrame]:
    """CSV without a header as frames of text, `rows` at a time (None: all in one).

    Raises:
        ValueError: a line has another number of fields than the model has inputs.
    """
    # pandas would fill a short line up, and split one at a lone carriage return inside quotes.
    lines = (line or [""] for line in csv.reader(source) if line or len(names) == 1)
    while block := list(itertools.islice(lines, rows)):
        if wrong := next((line for line in block if len(line) != len(names)), None):
            raise ValueError(f"{len(wrong)} fields a line; the model needs {len(names)}: {names}")
        columns = zip(names, zip(*block))
        yield pd.DataFrame({name: np.array(column, dtype="object") for name, column in columns})


class PyfuncModel:
    """The model as MLflow's generic Python flavour sees it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Probability of the positive class, or of each class by name; one row a raw row."""
        probability = self.model.probability(frame)
        return pd.DataFrame(classes.named(probability, self.model.facts.get("classes", [])))


def _load_pyfunc(path: str) -> PyfuncModel:
    """Called by `mlflow.pyfunc.load_model`."""
    return PyfuncModel(model_fn(path))


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict a file of `id,<inputs>` lines into `id,probability` lines."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args(arguments)
    model = model_fn(options.model_dir)
    started = told = time.monotonic()
    done = 0
    with (
        open(options.input, encoding="utf-8", newline="") as source,
        open(options.output, "w", encoding="utf-8", newline="") as output,
    ):
        for frame in read_csv(source, ["", *model.inputs], CHUNK):
            probability = model.probability(frame)
            columns = classes.columns_of(probability, "p", "p_")
            pd.DataFrame({"id": frame[""], **columns}).to_csv(output, header=False, index=False)
            done += len(frame)
            if time.monotonic() - told > REPORT_EVERY:
                told = time.monotonic()
                log.info("Predicted %s rows so far.", f"{done:,}")
    rate = done / (time.monotonic() - started)
    log.info("Predicted %s rows, %s rows/s.", f"{done:,}", f"{rate:,.0f}")


if __name__ == "__main__":
    csv.field_size_limit(LONGEST_FIELD)
    main()
