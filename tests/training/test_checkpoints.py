"""Checkpoints: an interrupted training ends with the model it would have had."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import algorithms
import boosting
import checkpoints
from checkpoints import Checkpoints, checkpoints_of, default_folder
from millrace.datasets import Candidate, Decision
from millrace.training import source_folder, train_arguments


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.random((400, 6))
    x[::9, 1] = np.nan
    return x, (x[:, 0] + random.random(400) / 2 > 0.7).astype("int64")


class Interrupted(Checkpoints):
    """Keeps what it is given, and stops the training at the n-th piece."""

    def __init__(self, folder: Path, pieces: int) -> None:
        super().__init__(folder)
        self.left = pieces

    def write(self, name: str, content: bytes) -> None:
        super().write(name, content)
        self.left -= 1
        if self.left == 0:
            raise InterruptedError


DRAWS = [
    ("xgboost", {}),
    ("xgboost", {"subsample": 0.6, "colsample_bynode": 0.5}),
    ("xgboost", {"tree_method": "approx", "scale_pos_weight": 2}),
    ("xgboost", {"rate_drop": 0.3}),
    ("xgboost", {"num_parallel_tree": 2, "subsample": 0.5}),
    ("xgboost", {"booster": "gblinear", "updater": "coord_descent"}),
    ("lightgbm", {}),
    ("lightgbm", {"bagging_fraction": 0.7, "bagging_freq": 1, "feature_fraction": 0.5}),
    ("lightgbm", {"extra_trees": True, "bagging_seed": 5}),
    ("lightgbm", {"boosting": "dart"}),
]


@pytest.mark.parametrize(("algorithm", "more"), DRAWS, ids=str)
def test_an_interrupted_fit_ends_with_the_same_bytes(rows, tmp_path, monkeypatch, algorithm, more):
    monkeypatch.setattr(boosting, "STEP", 10)
    hyperparameters = {"num_round": 35, **more}
    whole = algorithms.fit(algorithm, hyperparameters, *rows, 3)
    at_once = any(kind in boosting.WHOLE for kind in more.values())  # one piece, when it is done
    for pieces in (1,) if at_once else (3, 1):  # the second attempt is interrupted too
        with pytest.raises(InterruptedError):
            algorithms.fit(
                algorithm, hyperparameters, *rows, 3, Interrupted(tmp_path / "kept", pieces)
            )
    taken_up = algorithms.fit(algorithm, hyperparameters, *rows, 3, Checkpoints(tmp_path / "kept"))
    files = []
    for name, model in (("whole", whole), ("taken up", taken_up)):
        (tmp_path / name).mkdir()
        algorithms.save(algorithm, model, tmp_path / name)
        files.append((tmp_path / name / algorithms.model_file(algorithm)).read_bytes())
    assert files[0] == files[1]


def test_steps_change_nothing_where_nothing_is_drawn(rows, monkeypatch):
    plain = algorithms.fit("lightgbm", {"num_round": 35}, *rows, 3)
    monkeypatch.setattr(boosting, "STEP", 10)
    stepped = algorithms.fit("lightgbm", {"num_round": 35}, *rows, 3)
    trees = [model.model_to_string().split("parameters:")[0] for model in (plain, stepped)]
    assert trees[0] == trees[1]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training script among its sources."""
    folder = tmp_path_factory.mktemp("source")
    with source_folder() as source:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return folder / "train.py"


Attempt = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def attempt(channel, script: Path, tmp_path: Path) -> Attempt:
    """Start the training script; its results go to a folder of that name."""

    def start(name: str, training: str, kept: Path | None = None) -> subprocess.Popen[bytes]:
        candidate = LONG[training][0]
        arguments = train_arguments(candidate, Decision(threshold=0.4), seed=3)
        environment = {
            **os.environ, "SM_CHANNEL_TRAIN": str(channel.train_folder), "SM_NUM_CPUS": "1",
            "SM_MODEL_DIR": str(tmp_path / name), "SM_OUTPUT_DATA_DIR": str(tmp_path / name),
            "SM_CHECKPOINT_DIR": str(kept or ""),
        }  # fmt: skip
        with (tmp_path / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, str(script), *arguments, "--folds", "2"], env=environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    return start


def long(algorithm: str, **more: Any) -> Candidate:
    asked = {name: more.pop(name) for name in ("balance", "calibrate") if name in more}
    return Candidate(algorithm=algorithm, hyperparameters=more, **asked)


BAGGED = {"num_round": 800, "num_leaves": 4, "bagging_fraction": 0.8, "bagging_freq": 1}
STOPPED = {"early_stopping_rounds": 100, "balance": "weights", "calibrate": "sigmoid"}
WENT_ON, STOPPED_BEFORE = "Going on from a checkpoint: ", "Early stopping: fold 1 of 2 was done be"
LONG: dict[str, tuple[Candidate, str, str]] = {  # the training, killed when, said then
    "xgboost": (long("xgboost", num_round=800, subsample=0.8), "model", WENT_ON),
    "lightgbm": (long("lightgbm", **BAGGED), "model", WENT_ON),
    "xgboost that stops early": (
        long("xgboost", num_round=800, subsample=0.8, **STOPPED), "stopped-1", STOPPED_BEFORE,
    ),
    "lightgbm that stops early": (
        long("lightgbm", **BAGGED, **STOPPED), "stopped-1", STOPPED_BEFORE,
    ),
    "random_forest": (
        long("random_forest", n_estimators=200), "fold-1",
        "Cross-validation: fold 1 of 2 was done be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("training", LONG)
def test_a_killed_training_that_runs_again_gives_the_same_files(attempt, tmp_path, training):
    candidate, piece, said = LONG[training]
    kept = tmp_path / "kept"
    killed = attempt("killed", training, kept)
    while not list(kept.glob(f"*/{piece}")):
        assert killed.poll() is None, (tmp_path / "killed.log").read_text()
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not list((tmp_path / "killed").glob("*"))
    again, whole = attempt("again", training, kept), attempt("whole", training)
    assert (again.wait(), whole.wait()) == (0, 0), (tmp_path / "again.log").read_text()
    assert said in (tmp_path / "again.log").read_text()
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(
        [algorithms.model_file(candidate.algorithm), "cross_validation.csv", "model.json",
         "transformation.json"]
    )  # fmt: skip
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_piece_that_is_not_whole_counts_as_none(tmp_path):
    kept = Checkpoints(tmp_path / "kept")
    assert kept.read("fold-1") is None
    kept.write("fold-1", b"some work")
    assert kept.read("fold-1") == b"some work"
    path = tmp_path / "kept" / "fold-1"
    for damaged in (path.read_bytes()[:-1], path.read_bytes()[:5], b""):
        path.write_bytes(damaged)
        assert kept.read("fold-1") is None
    assert [item.name for item in (tmp_path / "kept").iterdir()] == ["fold-1"]


def test_checkpoints_of_other_rows_settings_or_code_are_not_found(tmp_path, monkeypatch):
    channel, settings = tmp_path / "train.csv", {"algorithm": "xgboost", "seed": 1}
    channel.write_text("y,a\n1,2\n")
    code = tmp_path / "code"
    code.mkdir()
    for name in checkpoints.CODE:
        shutil.copy(Path(checkpoints.__file__).with_name(name), code)
    monkeypatch.setattr(checkpoints, "__file__", str(code / "checkpoints.py"))

    def found(**more: Any) -> bytes | None:
        return checkpoints_of(str(tmp_path / "kept"), channel, {**settings, **more}).read("model")

    checkpoints_of(str(tmp_path / "kept"), channel, settings).write("model", b"trees")
    assert found() == b"trees"
    assert found(seed=2) is None
    (code / "boosting.py").write_text("changed = True")
    assert found() is None
    shutil.copy(Path(boosting.__file__), code)
    assert found() == b"trees"
    channel.write_text("y,a\n1,3\n")
    assert found() is None


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SAGEMAKER_FOLDER", tmp_path / "absent")
    monkeypatch.delenv("SM_CHECKPOINT_DIR", raising=False)
    assert default_folder() is None
    kept = checkpoints_of(None, tmp_path / "train.csv", {})
    kept.write("model", b"trees")
    assert kept.read("model") is None
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(checkpoints, "SAGEMAKER_FOLDER", tmp_path)
    assert default_folder() == str(tmp_path)
    monkeypatch.setenv("SM_CHECKPOINT_DIR", "/elsewhere")
    assert default_folder() == "/elsewhere"
