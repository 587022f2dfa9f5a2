"""A small bank in a lake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millrace.datasets import RelationalSpec, load_relational_spec
from millrace.settings import PROJECT
from millrace.steps.run import Run
from tests.relational import bank


@pytest.fixture(scope="session")
def spec() -> RelationalSpec:
    """The spec of home_credit as it is."""
    return load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")


@pytest.fixture
def bank_run(make_run: Callable[..., Run], spec: RelationalSpec) -> Callable[..., Run]:
    """A run over the tables of a bank."""

    def make(made: dict[str, bank.Rows] | None = None, **options: Any) -> Run:
        rows = bank.tables(spec) if made is None else made
        used = options.pop("spec", spec)
        return make_run(used, bank.texts(spec, rows, options.pop("bom", False)), **options)

    return make
