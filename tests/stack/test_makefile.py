"""The Makefile: its help, its usage errors, and where its settings come from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from millrace.settings import PROJECT

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("MILLRACE_", "MAKE", "MFLAGS"))
    }
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**clean, **variables}, text=True, capture_output=True, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile with a set-up that does nothing and a Python that prints its settings."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    for path, text in (
        ("scripts/setup.sh", ""),
        (".venv/bin/python", 'echo "$@"; env | grep ^MILLRACE_'),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"#!/bin/sh\n{text}\nexit 0\n")
        (tmp_path / path).chmod(0o755)
    return tmp_path


def test_help_is_the_default_and_lists_every_command() -> None:
    said = make(PROJECT).stdout
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^  make ([a-z-]+) +\S", said, re.M)) == targets


@pytest.mark.parametrize(
    ("command", "variable"),
    [("new-dataset", "CSV"), ("rollback", "DATASET"), ("sample", "DATASET"), ("erase", "DATASET")],
)
def test_a_missing_argument_is_one_line_of_usage(
    project: Path, command: str, variable: str
) -> None:
    outcome = make(project, command)
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines()[0].startswith(f"usage: make {command} {variable}=<")


def test_a_data_folder_with_spaces_reaches_the_demo(project: Path) -> None:
    assert (
        make(project, "demo", "DATA=my data").stdout.splitlines()[0]
        == "-m millrace.demo --data my data"
    )
    assert make(project, "demo").stdout.splitlines()[0] == "-m millrace.demo"


def test_parameters_of_the_stack_reach_the_deployment(project: Path) -> None:
    asked = make(project, "deploy", "PARAMETERS=Bucket=our-lake LogDays=30", "STACK=second")
    command = "-m millrace.infrastructure deploy"
    assert asked.stdout.splitlines()[0] == f"{command} --stack second Bucket=our-lake LogDays=30"
    assert make(project, "deploy", "YES=yes").stdout.splitlines()[0] == f"{command} --yes"
    assert make(project, "deploy", "YES=no").stdout.splitlines()[0] == command


def test_settings_come_from_the_env_file_and_the_environment_wins(project: Path) -> None:
    lines = ["# ports", "MILLRACE_AIRFLOW_PORT=9001", "#MILLRACE_LAKE=no", "MILLRACE_HOME=/a b", ""]
    (project / ".env").write_text("\n".join(lines))
    said = make(project, "up", MILLRACE_AIRFLOW_PORT="9002").stdout.splitlines()
    assert sorted(said[1:]) == ["MILLRACE_AIRFLOW_PORT=9002", "MILLRACE_HOME=/a b"]
    assert "MILLRACE_AIRFLOW_PORT=9001" in make(project, "up").stdout


def test_the_example_can_be_used_as_it_is(project: Path) -> None:
    shutil.copy(PROJECT / ".env.example", project / ".env")
    assert make(project, "up").stdout.splitlines() == ["-m millrace.stack up"]
