"""A train channel of the orchard, and its models as the training script makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from millrace.datasets import Candidate, Decision
from millrace.preprocess import fit, split, transformed
from millrace.steps.preprocess import _write_channel, _write_test_rows
from millrace.training import MODEL, train_arguments, train_locally
from tests.orchard import orchard, orchard_clean

HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "xgboost": {"max_depth": 3, "num_round": 10},
    "lightgbm": {"num_leaves": 7, "num_round": 10},
    "logistic_regression": {"C": 0.5},
    "decision_tree": {"max_depth": 3},
    "random_forest": {"n_estimators": 10},
}


@dataclass(frozen=True)
class Channel:
    """What preprocess publishes: the train channel and the test rows, and the rows themselves."""

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame
    state: dict[str, Any]

    @property
    def train_folder(self) -> Path:
        return self.folder / "train"


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """Channel folders of the orchard, written by the step that writes them in a run."""
    folder = tmp_path_factory.mktemp("channel")
    spec = orchard()
    clean = orchard_clean(folder, spec, 150)
    is_test = split(clean, spec)
    train, test = clean[~is_test], clean[is_test]
    state = fit(train, spec)
    target = train[spec.target.column].to_numpy()
    _write_channel("bears", target, transformed(state, train), folder / "train")
    (folder / "train" / "transformation.json").write_text(json.dumps(state))
    _write_test_rows(test, spec, folder / "test")
    return Channel(folder, train, test, state)


@pytest.fixture(scope="session")
def trained(channel: Channel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with model.tar.gz and output.tar.gz of an algorithm, trained once a session."""
    made: dict[str, Path] = {}

    def train(algorithm: str) -> Path:
        if algorithm not in made:
            made[algorithm] = tmp_path_factory.mktemp(algorithm)
            candidate = Candidate(algorithm=algorithm, hyperparameters=HYPERPARAMETERS[algorithm])
            arguments = train_arguments(candidate, Decision(threshold=0.4), seed=3)
            train_locally(channel.train_folder, arguments, made[algorithm], timeout=60)
            assert (made[algorithm] / MODEL).exists()
        return made[algorithm]

    return train


@pytest.fixture
def plain_channel(tmp_path: Path) -> Callable[..., Path]:
    """Write a channel of given features and target, for what needs no raw rows."""

    def write(x: np.ndarray, y: np.ndarray) -> Path:
        names = [f"f{place}" for place in range(x.shape[1])]
        frame = pd.DataFrame(x, columns=names)
        frame.insert(0, "y", y)
        frame.to_csv(tmp_path / "train.csv", index=False)
        (tmp_path / "transformation.json").write_text("{}")
        return tmp_path

    return write
