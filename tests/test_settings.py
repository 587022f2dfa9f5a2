"""Settings: defaults for a laptop, and errors that say what to write."""

from __future__ import annotations

import dataclasses
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
    assert settings.aws_connection == "aws_default"


def test_an_empty_variable_is_an_unset_one() -> None:
    names = [
        "MILLRACE_HOME", "MILLRACE_LAKE", "MILLRACE_DATASETS", "MLFLOW_TRACKING_URI",
        "MILLRACE_MLFLOW_BUDGET", "MILLRACE_JOB_TIMEOUT", "MILLRACE_AWS_CONNECTION",
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
    "lake", ["s3://", "s3:///prefix", "s3:/bucket", "S3://bucket", "gs://bucket", "file:///x"]
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


@pytest.mark.parametrize("name", ["MILLRACE_MLFLOW_BUDGET", "MILLRACE_JOB_TIMEOUT"])
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
