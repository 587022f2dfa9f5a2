"""Settings: defaults for a laptop, and errors that say what to write."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.settings import PROJECT, Settings, SettingsError


def test_defaults_keep_everything_on_this_machine() -> None:
    settings = Settings.from_environment({})
    assert settings.home == PROJECT / "var"
    assert settings.lake == str(PROJECT / "var" / "lake")
    assert settings.datasets == PROJECT / "include" / "datasets"
    assert settings.mlflow_uri == "http://127.0.0.1:5000"
    assert settings.mlflow_budget == 45
    assert settings.job_timeout == 3600
    assert settings.poll_interval == 15
    assert settings.aws_connection == "aws_default"
    assert settings.aws is None
    assert not settings.has_aws_target


def test_an_empty_variable_is_an_unset_one() -> None:
    names = [
        "MILLRACE_HOME", "MILLRACE_LAKE", "MILLRACE_DATASETS", "MLFLOW_TRACKING_URI",
        "MILLRACE_MLFLOW_BUDGET", "MILLRACE_JOB_TIMEOUT", "MILLRACE_AWS_CONNECTION",
        "MILLRACE_POLL_INTERVAL", "MILLRACE_AWS_REGION", "MILLRACE_SAGEMAKER_ROLE",
        "MILLRACE_TRAINING_INSTANCE", "MILLRACE_TRANSFORM_INSTANCE", "MILLRACE_TRAINING_VOLUME",
        "MILLRACE_SPOT", "MILLRACE_KMS_KEY", "MILLRACE_SUBNETS", "MILLRACE_SECURITY_GROUPS",
        "MILLRACE_XGBOOST_IMAGE", "MILLRACE_SKLEARN_IMAGE", "MILLRACE_EVENTS_QUEUE",
        "MILLRACE_METRICS_NAMESPACE", "MILLRACE_PRICES", "MILLRACE_ALLOW_REGION_OUTSIDE_EU",
    ]  # fmt: skip
    assert Settings.from_environment(dict.fromkeys(names, "")) == Settings.from_environment({})


def test_the_lake_stands_in_the_home(tmp_path: Path) -> None:
    settings = Settings.from_environment({"MILLRACE_HOME": str(tmp_path)})
    assert settings.lake == str(tmp_path / "lake")


def test_paths_are_absolute_and_know_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = Settings.from_environment(
        {"MILLRACE_HOME": "here", "MILLRACE_LAKE": "~/lake", "MILLRACE_DATASETS": "specs"}
    )
    assert settings.home == tmp_path / "here"
    assert settings.lake == "/home/someone/lake"
    assert settings.datasets == tmp_path / "specs"


@pytest.mark.parametrize(
    ("lake", "root"),
    [("s3://bucket", "s3://bucket"), ("s3://bucket/a/b/", "s3://bucket/a/b")],
)
def test_a_lake_on_s3(lake: str, root: str) -> None:
    assert Settings.from_environment({"MILLRACE_LAKE": lake}).lake == root


@pytest.mark.parametrize(
    "lake",
    [
        "s3://",
        "s3:///prefix",
        "s3:/bucket",
        "S3://bucket",
        "s3://Our_Lake/lake",
        "gs://bucket",
        "file:///x",
    ],
)
def test_a_lake_that_is_neither_is_refused(lake: str) -> None:
    with pytest.raises(SettingsError, match=r"MILLRACE_LAKE is .*s3://bucket/prefix"):
        Settings.from_environment({"MILLRACE_LAKE": lake})


def test_the_address_of_mlflow_loses_its_last_slash() -> None:
    settings = Settings.from_environment({"MLFLOW_TRACKING_URI": "https://mlflow.example:5000/"})
    assert settings.mlflow_uri == "https://mlflow.example:5000"


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "127.0.0.1:5000", "http://", "databricks"])
def test_mlflow_must_be_a_server(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"MLFLOW_TRACKING_URI is .*http://host:port"):
        Settings.from_environment({"MLFLOW_TRACKING_URI": uri})


@pytest.mark.parametrize(
    "name", ["MILLRACE_MLFLOW_BUDGET", "MILLRACE_JOB_TIMEOUT", "MILLRACE_POLL_INTERVAL"]
)
@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1,5"])
def test_seconds_are_a_positive_number(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{text}'; write a .*number of seconds"):
        Settings.from_environment({name: text})


def test_seconds_may_have_a_fraction() -> None:
    assert Settings.from_environment({"MILLRACE_MLFLOW_BUDGET": "1.5"}).mlflow_budget == 1.5


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_environment({}).lake = "elsewhere"  # type: ignore[misc]


def test_reading_the_settings_makes_no_folder(tmp_path: Path) -> None:
    Settings.from_environment({"MILLRACE_HOME": str(tmp_path / "new")})
    assert not (tmp_path / "new").exists()


ON_AWS = {
    "MILLRACE_LAKE": "s3://lake/millrace",
    "MILLRACE_AWS_REGION": "eu-central-1",
    "MILLRACE_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/jobs",
}


def test_bucket_region_and_role_make_an_aws_target() -> None:
    settings = Settings.from_environment(ON_AWS)
    assert settings.has_aws_target
    assert settings.aws_target().region == "eu-central-1"
    assert settings.aws_target() is settings.aws


@pytest.mark.parametrize("missing", ON_AWS)
def test_what_is_missing_for_aws_is_named(missing: str) -> None:
    settings = Settings.from_environment({k: v for k, v in ON_AWS.items() if k != missing})
    assert not settings.has_aws_target
    with pytest.raises(SettingsError, match=f"engine aws needs more settings: {missing}") as found:
        settings.aws_target()
    assert str(found.value).count("MILLRACE_") == 1


def test_everything_that_is_missing_for_aws_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as found:
        Settings.from_environment({}).aws_target()
    assert all(name in str(found.value) for name in ON_AWS)


def test_reading_the_settings_loads_no_library_of_aws() -> None:
    code = (
        "import sys; from millrace.settings import Settings; Settings.from_environment();"
        "print({'boto3', 'botocore', 'urllib.request', 'pandas'} & set(sys.modules))"
    )
    environment = {**ON_AWS, "PYTHONPATH": str(PROJECT / "plugins")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
