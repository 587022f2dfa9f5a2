"""Predict with one model folder: SageMaker's handler functions, and the same as a local process.

`model_fn`, `input_fn`, `predict_fn` and `output_fn` are what SageMaker's framework containers call
for batch transform and endpoints. Input is raw: the columns of the raw files, as CSV without a
header (in the order of `inputs` in transformation.json) or as JSON records. The transformation
that was fitted with the model is applied here.

As a process: `inference.py --model-dir M --input test.csv --output predictions.csv` reads CSV whose
first field is a row id and writes `id,probability`, as batch transform does when it joins.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import transformation

import algorithms

log = logging.getLogger("inference")
CHUNK = 100_000  # rows in memory at a time


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
        """Probability of the positive class for raw rows, shape (rows,)."""
        matrix = transformation.apply(self.state, transformation.columns_of(self.state, frame))
        return algorithms.predict(self.facts["algorithm"], self.estimator, matrix)


def model_fn(model_dir: str) -> Model:
    """Load a model folder."""
    folder = Path(model_dir)
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    state = json.loads((folder / "transformation.json").read_text(encoding="utf-8"))
    return Model(algorithms.load(facts["algorithm"], folder), facts, state)


def input_fn(body: str | bytes, content_type: str) -> pd.DataFrame | str:
    """Parse a request. CSV stays text: its columns are known only with the model.

    Raises:
        ValueError: the content type is neither text/csv nor application/json.
    """
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    kind = content_type.split(";", maxsplit=1)[0].strip()
    if kind == "text/csv":
        return text
    if kind == "application/json":
        records = json.loads(text)
        return pd.DataFrame(records if isinstance(records, list) else [records])
    raise ValueError(f"content type {content_type!r}; send text/csv or application/json")


def predict_fn(data: pd.DataFrame | str, model: Model) -> np.ndarray:
    """Probability of the positive class for each row of a parsed request."""
    frame = next(read_csv(io.StringIO(data), model.inputs, None)) if isinstance(data, str) else data
    return model.probability(frame)


def output_fn(prediction: np.ndarray, accept: str) -> str:
    """Format probabilities: one a line, or a JSON list."""
    if accept.split(";", maxsplit=1)[0].strip() == "application/json":
        return json.dumps({"probability": prediction.tolist()})
    return "".join(f"{value!r}\n" for value in prediction.tolist())


def read_csv(source: Any, names: list[str], rows: int | None) -> Any:
    """CSV without a header as frames of text, `rows` at a time.

    Raises:
        ValueError: a line has another number of fields than the model has inputs.
    """
    reader = pd.read_csv(
        source,
        header=None,
        dtype=str,
        keep_default_na=False,
        chunksize=rows or 10**9,
        encoding="utf-8",
    )
    for frame in reader:
        if frame.shape[1] != len(names):
            raise ValueError(
                f"{frame.shape[1]} fields a line; the model needs {len(names)}: {names}"
            )
        yield frame.set_axis(names, axis=1)


class PyfuncModel:
    """The model as MLflow's generic Python flavour sees it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Probability of the positive class, one row a raw row."""
        return pd.DataFrame({"probability": self.model.probability(frame)})


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
    started, done = time.monotonic(), 0
    with open(options.output, "w", encoding="utf-8", newline="") as output:
        for frame in read_csv(options.input, ["", *model.inputs], CHUNK):
            probability = model.probability(frame)
            pd.DataFrame({"id": frame[""], "p": probability}).to_csv(
                output, header=False, index=False
            )
            done += len(frame)
            rate = done / (time.monotonic() - started)
            log.info("Predicted %s rows, %s rows/s.", f"{done:,}", f"{rate:,.0f}")


if __name__ == "__main__":
    main()
