"""The scripts under the Python and the libraries of AWS's images, run by AWS's own toolkits.

Every algorithm an image can train is trained and served there, and the model is loaded here.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import algorithms
import inference
from millrace.aws.images import framework_of
from millrace.training import REQUIREMENTS, pack, source_folder
from tests.training.conftest import HYPERPARAMETERS, Channel
from tests.training.containers.conftest import Container
from tests.training.test_classes import ALGORITHM, COLOURS, points, write_channel
from tests.training.test_inference import json_lines, records, requests

pytestmark = pytest.mark.integration

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
# Sums of leaves are equal; only a linear model's sums may differ in the last digits.
EQUAL_TO = {"logistic_regression": 1e-6, "xgboost": 1e-6, "lightgbm": 1e-6}


@dataclass(frozen=True)
class Models:
    """The base folders (for /opt/ml) of an image's training jobs, and its answers to requests."""

    container: Container
    folders: Mapping[str, Path]
    answers: Mapping[str, list[str]]  # of CSV, JSON, JSON Lines


@pytest.fixture(scope="session")
def models(
    container: Container, channel: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Models:
    """Train every algorithm of an image there, and ask each model for the test rows."""
    folders = {}
    for algorithm in container.image.algorithms:
        folders[algorithm] = tmp_path_factory.mktemp(algorithm) / "ml"
        sent = {"algorithm": algorithm, "threshold": 0.4, "seed": 3, **HYPERPARAMETERS[algorithm]}
        done = container.train(folders[algorithm], channel.train_folder, sent)
        assert done.returncode == 0, done.stdout + done.stderr
    bodies = {
        CSV: "".join(requests(channel)), JSON: json.dumps(records(channel)),
        LINES: json_lines(channel),
    }  # fmt: skip
    asked = [{"kind": kind, "accept": kind, "body": body} for kind, body in bodies.items()]
    serving = tmp_path_factory.mktemp("serving")
    answers = container.answers(
        serving, {str(folder / "model"): asked for folder in folders.values()}
    )
    found = {name: answers[str(folder / "model")] for name, folder in folders.items()}
    return Models(container, folders, found)


def probabilities(answers: list[str]) -> list[list[float]]:
    """The numbers in the answers in CSV, JSON and JSON Lines."""
    csv, whole, lines = answers
    return [
        [float(line) for line in csv.splitlines()],
        json.loads(whole)["probability"],
        [json.loads(line)["probability"] for line in lines.splitlines()],
    ]


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model" / "model.json").read_text())


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==([\w.]+)", text, flags=re.MULTILINE))


def test_the_scripts_ran_with_the_versions_of_the_image(models: Models):
    image = models.container.image
    wanted = pinned(image.lock.with_suffix(".in").read_text()) | pinned(REQUIREMENTS.read_text())
    for folder in models.folders.values():
        ran = facts(folder)["versions"]
        assert ran.pop("python").startswith("3.12.")
        assert ran == {name: version for name, version in wanted.items() if name in ran}
        assert {"numpy", "pandas", "scikit-learn", "skops", "lightgbm"} <= set(ran)


def test_the_requirements_change_nothing_the_image_has(container: Container):
    done = container.run(
        ["-m", "pip", "install", "--dry-run", "--no-index", "-r", REQUIREMENTS], {}
    )
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout
    for name, version in pinned(container.image.lock.with_suffix(".in").read_text()).items():
        assert f"\n{name.lower()}=={version} " in container.image.lock.read_text()


def test_hyperparameters_arrive_as_they_were_sent(models: Models):
    for algorithm, folder in models.folders.items():
        found = facts(folder)
        assert found["hyperparameters"] == HYPERPARAMETERS[algorithm]
        assert found["threshold"] == 0.4
        assert (folder / "output" / "data" / "cross_validation.csv").exists()


def test_every_format_gets_the_same_answer(models: Models, channel: Channel):
    for algorithm, answers in models.answers.items():
        csv, whole, lines = probabilities(answers)
        assert csv == whole == lines, algorithm
        assert len(csv) == len(channel.test)
        assert len(set(csv)) > 3


def test_the_models_load_here_without_a_word_and_predict_the_same(
    models: Models, channel: Channel, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    names = [item["name"] for item in channel.state["inputs"]]
    for algorithm, folder in models.folders.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = inference.model_fn(str(folder / "model"))
            text = io.StringIO("".join(requests(channel)), newline="")
            [frame] = inference.read_csv(text, names, None)
            found = model.probability(frame)
        wanted = probabilities(models.answers[algorithm])[0]
        assert np.abs(found - wanted).max() <= EQUAL_TO.get(algorithm, 0), algorithm
    assert (capfd.readouterr(), caplog.text) == (("", ""), "")


PROBE = """
import json, os, pathlib, train
options, found = train.parse(None)
told = {**found, "algorithm": options.algorithm, "seed": options.seed}
pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
"""


def test_values_of_every_type_pass_the_toolkit(
    container: Container, channel: Channel, tmp_path: Path
):
    sent = {
        "algorithm": "xgboost", "seed": 7, "C": 0.5, "on": True, "off": False, "empty": "",
        "tiny": 1e-7, "below": -1, "text": "1e", "dash": "-x", "listed": "[1, -1]", "two": "a b",
    }  # fmt: skip
    with source_folder() as source:
        (source / "probe.py").write_text(PROBE)
        pack(source, tmp_path / "probe.tar.gz")
    program = {
        "sagemaker_program": "probe.py",
        "sagemaker_submit_directory": str(tmp_path / "probe.tar.gz"),
    }
    done = container.train(tmp_path / "ml", channel.train_folder, {**sent, **program})
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "ml" / "model" / "told.json").read_text()) == sent


def test_an_error_of_the_script_is_in_the_output_and_fails_the_job(
    container: Container, channel: Channel, tmp_path: Path
):
    sent = {"algorithm": "decision_tree", "max_dept": 3}
    done = container.train(tmp_path, channel.train_folder, sent)
    assert done.returncode != 0
    assert "decision_tree has no hyperparameter ['max_dept']" in done.stdout + done.stderr
    assert (tmp_path / "output" / "failure").read_text()


def test_a_model_of_several_classes_is_trained_and_served_there_and_loads_here(
    container: Container, tmp_path: Path
):
    if framework_of(ALGORITHM) != {"sklearn": "scikit-learn"}.get(container.image.name):
        pytest.skip(f"{ALGORITHM} is never sent to the {container.image.name} image")
    channel = write_channel(tmp_path / "channel", *points(3), COLOURS)
    done = container.train(tmp_path / "ml", channel, {"algorithm": ALGORITHM, "seed": 3, "C": 0.5})
    assert done.returncode == 0, done.stdout + done.stderr
    found = facts(tmp_path / "ml")
    assert (found["classes"], found["threshold"]) == (COLOURS, None)
    assert (tmp_path / "ml" / "model" / "origin.json").exists()
    rows = points(3, rows=20, seed=5)[0]
    bodies = {
        CSV: "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()),
        JSON: json.dumps([dict(zip("f0 f1 f2 f3".split(), row, strict=True))
                          for row in rows.tolist()]),
        LINES: "".join(json.dumps(row) + "\n" for row in rows.tolist()),
    }  # fmt: skip
    asked = [{"kind": kind, "accept": kind, "body": body} for kind, body in bodies.items()]
    folder = str(tmp_path / "ml" / "model")
    (tmp_path / "serving").mkdir()
    csv, whole, lines = container.answers(tmp_path / "serving", {folder: asked})[folder]
    wanted = [[float(value) for value in line.split(",")] for line in csv.splitlines()]
    assert [json.loads(line)["probability"] for line in lines.splitlines()] == wanted
    # that image's pandas reads a number of 17 digits from text a last bit off
    assert np.abs(np.array(json.loads(whole)["probability"]) - wanted).max() < 1e-14
    here = algorithms.predict(ALGORITHM, inference.model_fn(folder).estimator, rows)
    assert np.abs(here - wanted).max() <= EQUAL_TO["logistic_regression"]


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
@pytest.mark.parametrize("algorithm", ["lightgbm", "xgboost"])
def test_a_model_that_stops_early_and_is_calibrated_says_the_same_there_and_here(
    container: Container, channel: Channel, tmp_path: Path, algorithm: str, method: str
):
    if algorithm not in container.image.algorithms:
        pytest.skip(f"{algorithm} is never sent to the {container.image.name} image")
    sent = {
        "algorithm": algorithm, "seed": 3, "balance": "weights", "calibrate": method,
        "cost_false_negative": 10.0, "cost_false_positive": 1.0,
        **HYPERPARAMETERS[algorithm], "num_round": 300, "early_stopping_rounds": 10,
    }  # fmt: skip
    done = container.train(tmp_path / "ml", channel.train_folder, sent)
    assert done.returncode == 0, done.stdout + done.stderr
    found = facts(tmp_path / "ml")
    assert (found["balance"], found["calibration"]["method"]) == ("weights", method)
    assert found["rounds"] == round(np.mean(found["rounds_of_folds"])) < 300
    assert found["threshold_rule"].startswith("minimises the expected cost")
    asked = [{"kind": CSV, "accept": CSV, "body": "".join(requests(channel))}]
    folder = str(tmp_path / "ml" / "model")
    (tmp_path / "serving").mkdir()
    [csv] = container.answers(tmp_path / "serving", {folder: asked})[folder]
    there = np.array([float(line) for line in csv.splitlines()])
    model = inference.model_fn(folder)
    text = io.StringIO("".join(requests(channel)), newline="")
    [frame] = inference.read_csv(text, model.inputs, None)
    assert np.abs(model.probability(frame) - there).max() <= EQUAL_TO[algorithm]
    plain = inference.Model(model.estimator, {"algorithm": algorithm}, model.state)
    assert np.abs(plain.probability(frame) - there).max() > 0.01  # so it was calibrated there
