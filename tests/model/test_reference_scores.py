"""Scores on the real files, against those measured independently of this project."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from tests.model.conftest import train

pytestmark = pytest.mark.real_data


def test_titanic_accuracy(real_data, clean_rows):
    spec, clean = clean_rows("titanic", real_data / "titanic")
    pipelines = [train(spec, clean, "xgboost", seed) for seed in range(10)]
    scores = [((each.probability() >= 0.5) == each.target).mean() for each in pipelines]
    assert np.mean(scores) >= 0.82, scores


def test_loan_default_logistic_regression_is_the_best_of_its_three(real_data, clean_rows):
    spec, clean = clean_rows("loan_default", real_data / "loan_default")
    auc, f1 = {}, {}
    for candidate in spec.candidates:
        pipelines = [train(spec, clean, candidate, seed) for seed in range(2)]
        auc[candidate] = np.mean(
            [metrics.roc_auc_score(p.target, p.probability()) for p in pipelines]
        )
        f1[candidate] = np.mean(
            [metrics.f1_score(p.target, p.probability() >= 0.5) for p in pipelines]
        )
    assert len(auc) == 3
    assert max(auc, key=auc.__getitem__) == "logistic_regression", auc
    assert auc["logistic_regression"] >= 0.999
    assert f1["logistic_regression"] >= 0.99


@pytest.mark.parametrize("candidate", ["xgboost", "logistic_regression"])
def test_telecom_churn_auc_of_both_candidates(real_data, clean_rows, candidate):
    spec, clean = clean_rows("telecom_churn", real_data / "telecom_churn")
    pipelines = [train(spec, clean, candidate, seed) for seed in range(10)]
    scores = [metrics.roc_auc_score(each.target, each.probability()) for each in pipelines]
    assert np.mean(scores) >= 0.84, scores
