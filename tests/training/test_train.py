"""The training script, as the child process it is: what it writes, decides and refuses."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import train as script
from millrace.datasets import Candidate, Decision
from millrace.jobs.local import JobFailed
from millrace.metrics import METRICS
from millrace.training import (
    MODEL,
    OUTPUT,
    model_facts,
    train_arguments,
    train_locally,
    unpacked,
)
from tests.training.conftest import HYPERPARAMETERS, Channel

every_algorithm = pytest.mark.parametrize("algorithm", sorted(HYPERPARAMETERS))
FILES = {"xgboost": "model.ubj", "lightgbm": "model.txt"}


def listing(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def out_of_fold(folder: Path) -> pd.DataFrame:
    with tarfile.open(folder / OUTPUT) as tar:
        member = tar.extractfile("cross_validation.csv")
        assert member is not None
        return pd.read_csv(io.BytesIO(member.read()))


@every_algorithm
def test_training_writes_the_model_its_facts_and_its_transformation(channel, trained, algorithm):
    folder = trained(algorithm)
    file = FILES.get(algorithm, "model.skops")
    assert listing(folder / MODEL) == sorted(["model.json", file, "transformation.json"])
    facts = model_facts(folder / MODEL)
    assert facts["algorithm"] == algorithm
    assert facts["hyperparameters"] == HYPERPARAMETERS[algorithm]
    assert facts["rows"] == len(channel.train)
    assert (facts["threshold"], facts["threshold_rule"]) == (0.4, "fixed by the spec")
    assert [name for name, _ in sorted(facts["importance"])] == sorted(facts["features"])
    shares = [share for _, share in facts["importance"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert {"python", "numpy", "pandas"} <= set(facts["versions"])
    with unpacked(folder / MODEL) as model:
        assert json.loads((model / "transformation.json").read_text()) == channel.state


@every_algorithm
def test_the_scores_are_those_of_the_out_of_fold_predictions(channel, trained, algorithm):
    folder = trained(algorithm)
    rows = out_of_fold(folder)
    assert rows["target"].tolist() == channel.train["bears"].tolist()
    assert rows["probability"].between(0, 1).all()
    found = model_facts(folder / MODEL)["cross_validation"]
    assert set(found) == set(METRICS)
    assert found["roc_auc"] == metrics.roc_auc_score(rows["target"], rows["probability"])
    assert found["f1"] == metrics.f1_score(rows["target"], rows["probability"] >= 0.4)
    assert found["roc_auc"] > 0.55  # better than chance on rows it was not fitted to


@pytest.mark.parametrize("algorithm", ["xgboost", "random_forest"])
def test_the_same_training_gives_the_same_bytes(channel, trained, algorithm, tmp_path):
    candidate = Candidate(algorithm=algorithm, hyperparameters=HYPERPARAMETERS[algorithm])
    arguments = train_arguments(candidate, Decision(threshold=0.4), seed=3)
    train_locally(channel.train_folder, arguments, tmp_path, timeout=60)
    for name in (MODEL, OUTPUT):
        assert (tmp_path / name).read_bytes() == (trained(algorithm) / name).read_bytes()


def test_the_channel_reaches_the_script_bit_for_bit(channel: Channel):
    from millrace.preprocess import transformed

    names, x, y = script.read_channel(channel.train_folder)
    features = transformed(channel.state, channel.train)
    assert names == list(features)
    assert np.array_equal(x, features.to_numpy())
    assert np.array_equal(y, channel.train["bears"])


@pytest.mark.parametrize(
    ("algorithm", "hyperparameters", "said"),
    [
        ("xgboost", {"max_dept": 3}, r"xgboost has no hyperparameter \['max_dept'\]"),
        ("xgbost", {}, r"unknown algorithm 'xgbost'; write one of \['xgboost', "),
    ],
)  # fmt: skip
def test_what_it_does_not_know_stands_first_in_the_error(
    channel, tmp_path, algorithm, hyperparameters, said
):
    candidate = Candidate.model_construct(algorithm=algorithm, hyperparameters=hyperparameters)
    arguments = train_arguments(candidate, Decision(threshold=0.5), seed=0)
    with pytest.raises(JobFailed, match=said) as caught:
        train_locally(channel.train_folder, arguments, tmp_path, timeout=60)
    first = str(caught.value).splitlines()[0]
    assert first.startswith("train.py exited with code 1: ")
    assert "Error" in first
    assert not list(tmp_path.iterdir())


def test_arguments_become_options_and_hyperparameters_of_the_right_type():
    candidate = Candidate(
        algorithm="xgboost",
        hyperparameters={"eta": 1e-7, "max_depth": 5, "fold": 2, "tree_method": "hist",
                         "flag": True, "scale": -1, "text": "1e", "odd": "-x"},
    )  # fmt: skip
    arguments = train_arguments(candidate, Decision(maximise="f1"), seed=7)
    options, found = script.parse(arguments)
    assert (options.algorithm, options.maximise, options.seed) == ("xgboost", "f1", 7)
    assert found == candidate.hyperparameters
    assert [type(value) for value in found.values()] == [float, int, int, str, bool, int, str, str]
    assert (options.threshold, options.folds) == (None, 5)  # `fold` is no short form of `folds`


def test_arguments_as_sagemaker_passes_them_mean_the_same():
    given = ["-C", "0.5", "--algorithm", "xgboost", "--flag", "True", "--off", "False",
             "--text", "", "--names", "[1, 2]", "--tiny", "1e-07"]  # fmt: skip
    _, found = script.parse(given)
    assert found == {
        "C": 0.5, "flag": True, "off": False, "text": "", "names": "[1, 2]", "tiny": 1e-7
    }  # fmt: skip


def test_an_odd_argument_is_refused(capsys):
    with pytest.raises(SystemExit):
        script.parse(["--algorithm", "xgboost", "--eta"])
    assert "`--name value` pairs; got ['--eta']" in capsys.readouterr().err


def options_of(**given: object) -> SimpleNamespace:
    return SimpleNamespace(
        **{"threshold": None, "maximise": None, "cost_false_negative": None, **given}
    )


samples = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0]) | st.floats(0, 1)),
    min_size=2, max_size=40,
).filter(lambda rows: len({label for label, _ in rows}) == 2)  # fmt: skip


def score(metric: str, y: np.ndarray, said: np.ndarray) -> float:
    hits = float((y & said).sum())
    return 2 * hits / (y.sum() + said.sum()) if metric == "f1" else float((y == said).mean())


@settings(deadline=None, max_examples=100)
@given(samples, st.sampled_from(["f1", "accuracy"]))
def test_the_threshold_that_maximises_does_as_well_as_any(rows, metric):
    y, p = np.array([label for label, _ in rows]), np.array([value for _, value in rows])
    threshold, rule = script.choose_threshold(options_of(maximise=metric), y, p)
    assert 0 <= threshold <= 1
    possible = [cut for value in p for cut in (value, np.nextafter(value, 2)) if cut <= 1]
    best = max(score(metric, y, p >= cut) for cut in possible)
    assert score(metric, y, p >= threshold) == best
    assert rule.startswith(f"maximises {metric} ({best:.4f}) on the out-of-fold predictions")


def test_a_fixed_threshold_stays():
    y, p = np.array([0, 1]), np.array([0.1, 0.9])
    assert script.choose_threshold(options_of(threshold=0.3), y, p)[0] == 0.3
    assert script.choose_threshold(options_of(), y, p)[0] == 0.5


@pytest.mark.parametrize(("positives", "folds"), [(1, 0), (2, 2), (4, 4), (5, 5), (60, 5), (99, 0)])
def test_folds_are_as_many_as_the_rarer_class_allows(positives, folds):
    y = np.zeros(100 if positives < 99 else 99, dtype="int64")
    y[:positives] = 1
    assert script.fold_count(y, 5) == folds


def test_one_positive_row_can_be_trained_on_without_folds(plain_channel, tmp_path):
    x, y = np.arange(40.0).reshape(20, 2), np.array([1] + [0] * 19)
    target = tmp_path / "model"
    target.mkdir()
    arguments = train_arguments(
        Candidate(algorithm="decision_tree"), Decision(maximise="f1"), seed=0
    )
    train_locally(plain_channel(x, y), arguments, target, timeout=60)
    facts = model_facts(target / MODEL)
    assert facts["cross_validation"] == {}
    assert facts["threshold"] == 0.5
    assert facts["threshold_rule"].startswith("0.5, because the rarer class has too few rows")
    assert listing(target / OUTPUT) == []
