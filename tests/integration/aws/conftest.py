"""What tests of the operator outside a scheduler share; each module has an `aws` of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from millrace.runs import open_lake
from millrace.steps.run import Run
from tests.integration.aws.standin import StandIn
from tests.steps.club import club_run, prepare

LAKE = "s3://club/lake"


@pytest.fixture
def connection(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connection is the root's; no fault is left to the next test."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection())
    yield
    aws.clear_faults()


@pytest.fixture(scope="module")
def lake(aws: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Rows ready to be trained on."""
    return prepare(club_run(aws, tmp_path_factory.mktemp("club"), LAKE))


@pytest.fixture
def run_with(aws: StandIn, lake: Run, tmp_path: Path) -> Callable[..., Run]:
    """A run whose work is done by no job yet, with other settings."""

    def make(root: str = LAKE, **variables: str) -> Run:
        found = club_run(aws, tmp_path, root, **variables)
        return replace(found, store=open_lake(found.settings), again=True, run_id=tmp_path.name)

    return make
