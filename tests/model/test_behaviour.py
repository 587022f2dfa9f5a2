"""What a good model of each data set must do, whatever its score.

After Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList":
invariance, direction, and a floor; and train/serve agreement, row by row.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import algorithms
import inference
from millrace.preprocess import transformed

WINNERS = [
    ("titanic", "xgboost"), ("loan_default", "logistic_regression"), ("telecom_churn", "xgboost"),
]  # fmt: skip
every_data_set = pytest.mark.parametrize(("dataset", "candidate"), WINNERS)


@every_data_set
def test_the_order_of_rows_does_not_matter(trained, dataset, candidate):
    pipeline = trained(dataset, candidate)
    order = np.random.default_rng(0).permutation(len(pipeline.test))
    mixed = pipeline.test.iloc[order]
    assert np.array_equal(pipeline.probability(mixed), pipeline.probability()[order])


@every_data_set
def test_the_name_of_a_row_does_not_matter(trained, dataset, candidate):
    pipeline = trained(dataset, candidate)
    column = pipeline.spec.id_column
    renamed = pipeline.test.assign(**{column: "x", "_row_id": "x"})
    assert np.array_equal(pipeline.probability(renamed), pipeline.probability())
    assert np.array_equal(
        pipeline.probability(pipeline.test.drop(columns=[column, "_row_id"])),
        pipeline.probability(),
    )


def test_a_passengers_surname_ticket_and_cabin_number_do_not_matter(trained):
    pipeline = trained("titanic", "xgboost")
    rows = pipeline.test
    other = rows.assign(
        Name=rows["Name"].str.replace(r"^[^,]+", "Nobody", regex=True),
        Ticket="none",
        Cabin=rows["Cabin"].where(rows["Cabin"].isna(), "Z99"),
    )
    assert not other["Name"].equals(rows["Name"])
    assert np.array_equal(pipeline.probability(other), pipeline.probability())


def test_women_survive_more_often_than_men(trained):
    pipeline = trained("titanic", "xgboost")
    p, sex = pipeline.probability(), pipeline.test["Sex"]
    assert p[sex == "female"].mean() > p[sex == "male"].mean() + 0.3
    as_women = pipeline.probability(pipeline.test.assign(Sex="female"))
    as_men = pipeline.probability(pipeline.test.assign(Sex="male"))
    assert as_women.mean() > as_men.mean()


def test_first_class_survives_more_often_than_third(trained):
    pipeline = trained("titanic", "xgboost")
    first = pipeline.probability(pipeline.test.assign(Pclass=1.0))
    third = pipeline.probability(pipeline.test.assign(Pclass=3.0))
    assert first.mean() > third.mean()


@pytest.mark.parametrize(
    ("column", "change"), [("total_debt_outstanding", 5000.0), ("credit_lines_outstanding", 1.0)]
)
def test_more_debt_and_more_credit_lines_raise_the_risk_of_every_borrower(trained, column, change):
    pipeline = trained("loan_default", "logistic_regression")
    rows = pipeline.test
    before = pipeline.probability()
    after = pipeline.probability(rows.assign(**{column: rows[column] + change}))
    assert (after >= before).all()
    assert after.mean() > before.mean()


def test_a_better_credit_score_does_not_raise_the_risk(trained):
    pipeline = trained("loan_default", "logistic_regression")
    rows = pipeline.test
    better = pipeline.probability(rows.assign(fico_score=rows["fico_score"] + 50))
    assert better.mean() <= pipeline.probability().mean()


def test_a_monthly_contract_is_riskier_than_two_years(trained):
    pipeline = trained("telecom_churn", "xgboost")
    monthly = pipeline.probability(pipeline.test.assign(Contract="Month-to-month"))
    two_years = pipeline.probability(pipeline.test.assign(Contract="Two year"))
    assert monthly.mean() > two_years.mean() + 0.1
    assert (monthly > two_years).mean() > 0.95


def test_new_customers_leave_more_often_than_old_ones(trained):
    pipeline = trained("telecom_churn", "xgboost")
    p, tenure = pipeline.probability(), pipeline.test["tenure"]
    assert p[tenure <= 12].mean() > p[tenure > 48].mean() + 0.2


@every_data_set
def test_it_beats_knowing_nothing(trained, dataset, candidate):
    pipeline = trained(dataset, candidate)
    y, p = pipeline.target, pipeline.probability()
    assert ((p >= 0.5) == y).mean() > max(y.mean(), 1 - y.mean()) + 0.03
    assert metrics.roc_auc_score(y, p) > 0.75
    assert metrics.brier_score_loss(y, p) < 0.8 * y.mean() * (1 - y.mean())


@every_data_set
def test_serving_agrees_with_training_row_by_row(trained, dataset, candidate):
    pipeline = trained(dataset, candidate)
    model, rows = pipeline.model, pipeline.test
    matrix = np.ascontiguousarray(transformed(model.state, rows).to_numpy())
    wanted = algorithms.predict(model.facts["algorithm"], model.estimator, matrix)
    text = rows[model.inputs].to_csv(header=False, index=False)
    assert (
        inference.predict_fn(inference.input_fn(text, "text/csv"), model).tolist()
        == wanted.tolist()
    )
    for place in range(0, len(rows), max(1, len(rows) // 40)):
        one = rows[model.inputs].iloc[[place]]
        line = one.to_csv(header=False, index=False)
        record = {name: None if pd.isna(one[name].iloc[0]) else one[name].iloc[0] for name in one}
        for body, kind in ((line, "text/csv"), (json.dumps(record), "application/json")):
            answer = inference.predict_fn(inference.input_fn(body, kind), model)
            assert answer.tolist() == [wanted[place]]
