"""The DAG files, parsed as Airflow parses them, with no connection and no database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from millrace.settings import PROJECT

# Airflow reads these when it is first imported, which fixtures are too late for.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="millrace-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "false")
os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", str(PROJECT / "dags"))
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "false")


@pytest.fixture(scope="session")
def dags() -> Iterator[dict[str, Any]]:
    """All DAGs of the project by id."""
    yield parse()


def parse() -> dict[str, Any]:
    """Parse dags/; fails on any import error."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags", collect_dags=True)
    assert not bag.import_errors
    return dict(bag.dags)
