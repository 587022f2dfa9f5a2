"""Several classes: training, every way of asking, and what two classes have in common with many."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import algorithms
import inference
from millrace.datasets import ClassCandidate
from millrace.jobs.local import JobFailed
from millrace.training import (
    MODEL,
    OUTPUT,
    train_arguments,
    train_locally,
    transform_locally,
    unpacked,
)

ALGORITHM = "multinomial_logistic_regression"
COLOURS = ["blue", 'a "b", c', "rouge \u00e9"]
LINES = "application/jsonlines"


def points(classes: int, rows: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clouds around as many corners, and the number of each point's corner."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    middle = rng.normal(size=(classes, 4)) * 2
    return middle[y] + rng.normal(size=(rows, 4)), y


def write_channel(folder: Path, x: np.ndarray, y: np.ndarray, classes: list[str]) -> Path:
    names = [f"f{place}" for place in range(x.shape[1])]
    frame = pd.DataFrame(x, columns=names)
    frame.insert(0, "label", y)
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "train.csv", index=False)
    state = {
        "inputs": [{"name": name, "type": "number"} for name in names],
        "engineered": [],
        "features": [{"name": name, "how": "number", "fill": None} for name in names],
        "classes": classes,
    }
    (folder / "transformation.json").write_text(json.dumps(state))
    (folder / "origin.json").write_text('{"from": "the test"}')
    return folder


def train(channel: Path, target: Path, **hyperparameters: Any) -> Path:
    target.mkdir(exist_ok=True)
    candidate = ClassCandidate(algorithm=ALGORITHM, hyperparameters=hyperparameters)
    train_locally(channel, train_arguments(candidate, None, seed=3), target, timeout=100)
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel of three classes in `channel/`, and its model and output."""
    folder = tmp_path_factory.mktemp("colours")
    write_channel(folder / "channel", *points(3), COLOURS)
    return train(folder / "channel", folder, C=0.5)


@pytest.fixture
def model(made: Path):
    with unpacked(made / MODEL) as folder:
        yield inference.model_fn(str(folder))


def test_the_model_carries_names_scores_and_all_that_stands_beside_the_rows(made):
    with unpacked(made / MODEL) as folder:
        facts = json.loads((folder / "model.json").read_text())
        assert (folder / "origin.json").read_text() == '{"from": "the test"}'
        assert not (folder / "train.csv").exists()
    assert facts["classes"] == COLOURS
    assert facts["threshold"] is None
    assert set(facts["cross_validation"]) == {
        "accuracy", "top_3_accuracy", "macro_f1", "log_loss",
    }  # fmt: skip
    assert 0.6 < facts["cross_validation"]["accuracy"] < 1
    assert facts["cross_validation"]["top_3_accuracy"] == 1  # of three
    assert sum(share for _, share in facts["importance"]) == pytest.approx(1)


def test_the_scores_are_those_of_the_out_of_fold_predictions(made):
    from sklearn import metrics

    with unpacked(made / OUTPUT) as folder:
        table = pd.read_csv(folder / "cross_validation.csv")
    with unpacked(made / MODEL) as folder:
        told = json.loads((folder / "model.json").read_text())["cross_validation"]
    y, p = table["target"], table[["p_0", "p_1", "p_2"]].to_numpy()
    assert y.tolist() == points(3)[1].tolist()
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-12
    assert told["accuracy"] == metrics.accuracy_score(y, p.argmax(axis=1))
    assert told["macro_f1"] == metrics.f1_score(y, p.argmax(axis=1), average="macro")
    assert told["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-12)


def test_probabilities_are_those_of_scikit_learn_and_the_same_bits_for_a_row_alone(made, model):
    x, y = points(3)
    found = algorithms.predict(ALGORITHM, model.estimator, x)
    assert np.abs(found - model.estimator.predict_proba(x)).max() < 1e-12
    for size in (1, 2, 7, 33):
        pieces = [
            algorithms.predict(ALGORITHM, model.estimator, x[start : start + size])
            for start in range(0, len(x), size)
        ]
        assert np.concatenate(pieces).tobytes() == found.tobytes()
    assert (found.argmax(axis=1) == y).mean() > 0.7


def test_very_large_margins_are_still_probabilities(model):
    found = algorithms.predict(ALGORITHM, model.estimator, np.full((2, 4), 1e6))
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx([1, 1])


def test_every_way_of_asking_gives_the_batch_jobs_answer(made, model, tmp_path):
    x, _ = points(3, rows=25, seed=5)
    names = [f"f{place}" for place in range(4)]
    frame = pd.DataFrame(x, columns=names)
    rows = tmp_path / "test.csv"
    frame.assign(id=[f'row "{n}", {n}' for n in range(25)])[["id", *names]].to_csv(
        rows, header=False, index=False
    )
    with unpacked(made / MODEL) as folder:
        transform_locally(folder, rows, tmp_path / "predictions.csv", timeout=60)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    wanted = [[float(value) for value in line[1:]] for line in lines]
    assert lines[3][0] == 'row "3", 3'
    assert {len(line) for line in lines} == {1 + len(COLOURS)}
    text = frame.to_csv(header=False, index=False)
    records = json.loads(frame.to_json(orient="records", double_precision=15))

    def ask(body: str, kind: str, accept: str) -> str:
        parsed = inference.input_fn(body.encode(), kind)
        return inference.output_fn(inference.predict_fn(parsed, model), accept)

    answer = ask(text, "text/csv", "text/csv")
    assert [[float(v) for v in line.split(",")] for line in answer.splitlines()] == wanted
    answer = ask(text, "text/csv", "application/json")
    assert json.loads(answer)["probability"] == wanted
    arrays = "".join(json.dumps(row) + "\n" for row in x.tolist())
    answer = ask(arrays, LINES, LINES)
    assert [json.loads(line)["probability"] for line in answer.splitlines()] == wanted
    alone = ask(json.dumps(records[7]), "application/json", "application/json")
    assert json.loads(alone)["probability"][0] == pytest.approx(wanted[7], rel=1e-9)
    with unpacked(made / MODEL) as folder:
        table = inference._load_pyfunc(str(folder)).predict(frame)
    assert list(table.columns) == COLOURS
    assert table.to_numpy().tolist() == wanted


def test_two_classes_get_the_probabilities_of_the_binary_algorithm():
    x, y = points(2)
    two = algorithms.fit(ALGORITHM, {}, x, y, 0)
    one = algorithms.fit("logistic_regression", {}, x, y, 0)
    found = algorithms.predict(ALGORITHM, two, x)
    assert found.shape == (len(x), 2)
    assert np.abs(found[:, 1] - algorithms.predict("logistic_regression", one, x)).max() < 1e-12


@pytest.mark.parametrize(
    ("classes", "y", "said"),
    [
        ([], [0, 1, 2], "needs two or more classes: name them as `classes`"),
        (["a"], [0, 0, 0], "needs two or more classes"),
        (["a", "b"], [0, 1, 2], "the target goes up to 2, and there are 2 classes"),
        (["a", "b", "c"], [0, 1, 1], r"no row of the train split is of the classes \['c'\]"),
    ],
)
def test_a_channel_that_does_not_fit_is_an_error_that_says_why(classes, y, said, tmp_path):
    channel = write_channel(tmp_path / "channel", np.eye(3), np.array(y), classes)
    with pytest.raises(JobFailed, match=said):
        train(channel, tmp_path)


def test_an_algorithm_of_two_classes_refuses_several(tmp_path):
    channel = write_channel(tmp_path / "channel", *points(3), COLOURS)
    with pytest.raises(JobFailed, match="xgboost knows two classes and the channel has 3"):
        train_locally(channel, ["--algorithm", "xgboost"], tmp_path, timeout=60)


def test_a_class_of_one_row_is_trained_without_cross_validation(tmp_path):
    x, y = points(3, rows=31)
    y = np.where(np.arange(31) == 30, 2, y % 2)
    train(write_channel(tmp_path / "channel", x, y, COLOURS), tmp_path)
    with unpacked(tmp_path / MODEL) as folder:
        assert json.loads((folder / "model.json").read_text())["cross_validation"] == {}


def test_training_again_gives_the_same_bytes(made: Path, tmp_path: Path):
    again = train(made / "channel", tmp_path, C=0.5)
    assert (again / MODEL).read_bytes() == (made / MODEL).read_bytes()


def test_an_interrupted_training_takes_up_its_folds(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    import train as script

    arguments = [
        "--algorithm", ALGORITHM, "--C", "0.5", "--seed", "3", "--train", str(made / "channel"),
        "--checkpoint-dir", str(tmp_path / "kept"), "--output-data-dir", str(tmp_path / "out"),
    ]  # fmt: skip
    fits: list[int] = []
    fit: Callable[..., Any] = algorithms.fit

    def counted(*given: Any) -> Any:
        fits.append(1)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return fit(*given)

    monkeypatch.setattr(algorithms, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        script.main([*arguments, "--model-dir", str(tmp_path / "first")])
    script.main([*arguments, "--model-dir", str(tmp_path / "second")])
    assert len(fits) == 4 + 2 + 1  # three folds were kept, two were left, then the whole
    with unpacked(made / OUTPUT) as folder:
        wanted = (folder / "cross_validation.csv").read_bytes()
    assert (tmp_path / "out" / "cross_validation.csv").read_bytes() == wanted
