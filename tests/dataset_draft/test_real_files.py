"""Drafts of real files, and of the samples that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from millrace.datasets import load_spec
from millrace.samples import write_sample
from millrace.settings import PROJECT
from tests.dataset_draft.conftest import Drafter
from tests.dataset_draft.sample import roles


def test_titanic(real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "titanic/train.csv")
    assert (spec.target.column, spec.target.positive, spec.target.negative) == (
        "Survived",
        "1",
        "0",
    )
    assert roles(spec) == {
        "id": ["PassengerId"],
        "numeric": ["Pclass", "Age", "SibSp", "Parch", "Fare"],
        "categorical": ["Sex", "Embarked"],
        "personal": ["Name"],
        "drop": ["Ticket", "Cabin"],
    }
    assert spec.columns["Embarked"].values == ["C", "Q", "S"]
    assert spec.raw.files == "*.csv"
    assert spec.features == {} and spec.gates == {} and spec.schedule is None
    assert spec.columns["Age"].minimum is None


def test_loan(real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "loan_default/Loan_Data.csv")
    assert spec.target.column == "default"
    assert spec.id_column == "customer_id"
    assert len(spec.columns_with("numeric")) == 6


def test_telco(real_data: Path, drafted: Drafter) -> None:
    path = real_data / "telecom_churn/WA_Fn-UseC_-Telco-Customer-Churn.csv"
    spec = drafted(path)
    assert (spec.target.column, spec.target.positive) == ("Churn", "Yes")
    assert spec.id_column == "customerID"
    assert len(spec.columns_with("categorical")) == 15
    assert "TotalCharges" in spec.columns_with("numeric")
    assert not spec.columns_with("drop", "outcome", "personal")


@pytest.mark.parametrize(
    "name", ["application_train.csv", "random_rows_1000/application_train.csv"]
)
def test_home_credit_is_wide(name: str, real_data: Path, drafted: Drafter) -> None:
    spec = drafted(real_data / "home_credit" / name)
    assert spec.target.column == "TARGET"
    assert spec.id_column == "SK_ID_CURR"
    assert spec.decision.maximise == "f1"  # 8 % positive
    assert len(spec.columns_with("numeric")) > 90
    assert len(spec.columns_with("categorical")) >= 15
    assert spec.columns["ORGANIZATION_TYPE"].missing in (["XNA"], [])
    assert not spec.columns_with("personal", "outcome")  # NAME_CONTRACT_TYPE is no name


@pytest.mark.parametrize("dataset", ["titanic", "loan_default", "telecom_churn"])
def test_the_samples_are_drafted(dataset: str, tmp_path: Path, drafted: Drafter) -> None:
    spec = drafted(write_sample(dataset, tmp_path))
    ours = load_spec(PROJECT / "include" / "datasets" / f"{dataset}.yaml")
    assert (spec.target.column, spec.target.positive) == (ours.target.column, ours.target.positive)
    assert spec.id_column == ours.id_column
    assert spec.columns_with("numeric", "categorical") == ours.columns_with(
        "numeric", "categorical"
    )
    assert spec.columns_with("personal") == ours.columns_with("personal")
