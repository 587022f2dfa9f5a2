"""Trained pipelines of the project's own data sets, on samples and on the real files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import algorithms
import inference
from millrace.datasets import DatasetSpec, load_spec
from millrace.ingest import read_raw
from millrace.preprocess import fit, split, transformed
from millrace.samples import SAMPLES, write_sample
from millrace.validate import validate


@dataclass(frozen=True)
class Pipeline:
    """One candidate, trained in this process as the training job trains it."""

    spec: DatasetSpec
    model: inference.Model
    test: pd.DataFrame

    @property
    def target(self) -> np.ndarray:
        """The test rows' targets."""
        return self.test[self.spec.target.column].to_numpy()

    def probability(self, rows: pd.DataFrame | None = None) -> np.ndarray:
        """Predictions for raw rows, for the test rows unless told otherwise."""
        return self.model.probability(self.test if rows is None else rows)


def train(spec: DatasetSpec, clean: pd.DataFrame, candidate: str, seed: int = 0) -> Pipeline:
    """Split with `seed`, fit, train one candidate of the spec."""
    spec = spec.model_copy(update={"split": spec.split.model_copy(update={"seed": seed})})
    is_test = split(clean, spec)
    state = fit(clean[~is_test], spec)
    x = np.ascontiguousarray(transformed(state, clean[~is_test]).to_numpy())
    y = clean.loc[~is_test, spec.target.column].to_numpy(dtype="int64")
    chosen = spec.candidates[candidate]
    estimator = algorithms.fit(chosen.algorithm, dict(chosen.hyperparameters), x, y, seed)
    model = inference.Model(estimator, {"algorithm": chosen.algorithm}, state)
    return Pipeline(spec, model, clean[is_test].reset_index(drop=True))


@pytest.fixture(scope="session")
def clean_rows(project: Path) -> Callable[[str, Path], tuple[DatasetSpec, pd.DataFrame]]:
    """Spec and validated rows of a data set whose raw file stands in a folder."""

    @functools.cache
    def read(dataset: str, folder: Path) -> tuple[DatasetSpec, pd.DataFrame]:
        spec = load_spec(project / "include" / "datasets" / f"{dataset}.yaml")
        result = validate(read_raw([folder / SAMPLES[dataset].file_name], spec), spec)
        assert result.passed, result.report["problems"]
        return spec, result.clean

    return read


@pytest.fixture(
    scope="session", params=["samples", pytest.param("real", marks=pytest.mark.real_data)]
)
def trained(
    request: pytest.FixtureRequest, clean_rows, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Pipeline]:
    """Train a candidate of a data set once a session, on samples or on the real file."""

    def folder(dataset: str) -> Path:
        if request.param == "real":
            return request.getfixturevalue("real_data") / dataset
        return write_sample(dataset, tmp_path_factory.mktemp(dataset)).parent

    @functools.cache
    def make(dataset: str, candidate: str) -> Pipeline:
        return train(*clean_rows(dataset, folder(dataset)), candidate)

    return make
