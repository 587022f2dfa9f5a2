"""Models are checked against the environment of Spark on AWS before there is a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from millrace.datasets import load_relational_spec
from millrace.lake import LocalStore
from millrace.lake.sent import send_once, sent_key
from millrace.settings import PROJECT, Settings
from millrace.spark_versions import ModelTooNew, check_readable, packed
from millrace.steps.champion import Champion
from millrace.steps.run import Run
from millrace.steps.scoring import check_model
from millrace.training import MODEL, pack

AWS = {
    "MILLRACE_LAKE": "s3://a-lake/lake", "MILLRACE_AWS_REGION": "eu-central-1",
    "MILLRACE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/sagemaker",
    "MILLRACE_EMR_SERVICE_ROLE": "arn:aws:iam::123456789012:role/emr",
    "MILLRACE_EMR_INSTANCE_PROFILE": "machines",
}  # fmt: skip


def facts(algorithm: str, **versions: str) -> dict[str, Any]:
    known = {name.replace("_", "-"): version for name, version in versions.items()}
    return {"algorithm": algorithm, "versions": known}


def test_the_lock_that_is_shipped_has_an_xgboost_that_misreads_new_models() -> None:
    assert packed("xgboost-cpu") == "2.1.4" and packed("xgboost") is None
    with pytest.raises(ModelTooNew, match=r"made with XGBoost 3\.2\.0, .* has 2\.1\.4, which"):
        check_readable(facts("xgboost", xgboost_cpu="3.2.0"))
    with pytest.raises(ModelTooNew, match=r"made with XGBoost 3\.10\.0"):
        check_readable(facts("xgboost", xgboost="3.10.0"))


@pytest.mark.parametrize(
    "model",
    [
        facts("xgboost", xgboost="3.0.5"),
        facts("xgboost"),
        facts("lightgbm", xgboost_cpu="3.2.0", lightgbm="4.7.0"),
        {"algorithm": "logistic_regression"},
    ],
)
def test_other_models_pass(model: dict[str, Any]) -> None:
    check_readable(model)


def test_a_newer_lock_reads_every_model(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("numpy==1.26.4\nxgboost-cpu==3.1.0 \\\n    --hash=sha256:00\n")
    check_readable(facts("xgboost", xgboost="3.4.0"), lock)


def test_the_champion_in_the_lake_is_checked_unless_the_environment_is_another(
    tmp_path: Path,
) -> None:
    store = LocalStore(tmp_path / "lake")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(facts("xgboost", xgboost_cpu="3.2.0")))
    pack(folder, tmp_path / MODEL)
    champion = Champion("1", "0" * 64, sent_key("0" * 64, MODEL))
    send_once(store, tmp_path / MODEL, champion.key)
    spec = load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")

    def run(**more: str) -> Run:
        settings = Settings.from_environment({**AWS, **more})
        return Run(spec, "2026-03-01", store, settings, (), engine="aws")

    with pytest.raises(ModelTooNew, match="set MILLRACE_SPARK_ARCHIVE"):
        check_model(run(), champion)
    check_model(run(MILLRACE_SPARK_ARCHIVE="s3://a-lake/lake/environments/own.tar.gz"), champion)
