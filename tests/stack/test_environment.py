"""The environment of the components: one home, one set of secrets, the user's tuning kept."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from millrace.settings import Settings
from millrace.stack.environment import (
    mlflow_url,
    read_secrets,
    stack_environment,
    write_airflow_files,
)
from millrace.stack.ports import Ports


def settings(home: Path, **variables: str) -> Settings:
    return Settings.from_environment({"MILLRACE_HOME": str(home), **variables})


def test_every_address_follows_the_chosen_ports(tmp_path: Path) -> None:
    environment = stack_environment(settings(tmp_path), Ports(9001, 9002, 9003), {})
    assert environment["AIRFLOW__API__PORT"] == "9001"
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:9001"
    assert (
        environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9001/execution/"
    )
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9002"
    assert environment["AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT"] == "9003"
    assert environment["AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT"] == "9003"


def test_the_components_read_the_same_settings_back(tmp_path: Path) -> None:
    told = settings(tmp_path, MILLRACE_LAKE="s3://bucket/lake", MILLRACE_JOB_TIMEOUT="12.5")
    environment = stack_environment(told, Ports(), {})
    assert Settings.from_environment(environment) == told


def test_a_users_tuning_wins_but_not_over_what_holds_the_stack_together(tmp_path: Path) -> None:
    base = {
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "MINE": "1",
    }
    environment = stack_environment(settings(tmp_path), Ports(), base)
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "millrace.stack.executor.LocalExecutor"
    assert environment["MINE"] == "1"


def test_another_mlflow_server_is_used_instead_of_an_own_one(tmp_path: Path) -> None:
    told = settings(tmp_path, MLFLOW_TRACKING_URI="http://mlflow.example:80")
    assert mlflow_url(told, Ports()) == "http://mlflow.example:80"
    assert stack_environment(told, Ports(), {})["MILLRACE_OWN_MLFLOW"] == "false"


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    first = read_secrets(tmp_path)
    write_airflow_files(tmp_path)
    assert read_secrets(tmp_path) == first
    assert read_secrets(tmp_path / "other") != first
    passwords = tmp_path / "airflow" / "passwords.json"
    assert json.loads(passwords.read_text()) == {"admin": first["password"]}
    for path in (tmp_path / "secrets.json", passwords):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_a_proxy_is_not_asked_for_this_machine(tmp_path: Path, variable: str) -> None:
    environment = stack_environment(settings(tmp_path), Ports(), {variable: "example.org"})
    assert environment["NO_PROXY"] == environment["no_proxy"] == "example.org,127.0.0.1,localhost"


def test_deployments_are_verified_at_the_stacks_own_service_unless_another_is_named(
    tmp_path: Path,
) -> None:
    home = {"MILLRACE_HOME": str(tmp_path)}
    own = stack_environment(Settings.from_environment(home), Ports(service=8123), {})
    assert own["MILLRACE_SERVICE_URL"] == "http://127.0.0.1:8123"
    named = Settings.from_environment({**home, "MILLRACE_SERVICE_URL": "https://models.example"})
    told = stack_environment(named, Ports(service=8123), {})
    assert told["MILLRACE_SERVICE_URL"] == "https://models.example"
