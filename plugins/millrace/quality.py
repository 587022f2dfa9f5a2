"""Operators that check the features in SQL before a model learns from them.

The common-sql provider's own, on the published files in place of a server: wherever the features
were made, they are checked by the same engine. A failing check tells its name and its figure.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.sql.operators.sql import (
    SQLColumnCheckOperator,
    SQLTableCheckOperator,
)

from millrace.datasets import ROW_ID, RelationalSpec
from millrace.runs import this_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from millrace.hooks.duckdb import DuckDbHook

FEATURES = "features"  # what the table is called in checks


class _OnPublishedFiles:
    """Where the provider's operators find their database."""

    spec: RelationalSpec

    @cached_property
    def _database(self) -> DuckDbHook:
        from millrace.hooks.duckdb import DuckDbHook
        from millrace.steps.sql_features import published_files

        run = this_run(self.spec)
        # Kept: the local copies of what lies in S3 go with them.
        self._published = (run.published("processed", "tables", "load_tables"), run.features())
        files = published_files(self.spec, *self._published)
        return DuckDbHook(files, run.settings.sql_memory)

    def get_db_hook(self) -> DuckDbHook:
        return self._database


class CheckColumns(_OnPublishedFiles, SQLColumnCheckOperator):
    """Checks single features, and that no subject is there twice."""

    def __init__(self, *, spec: RelationalSpec, **kwargs: Any):
        zero = {"equal_to": 0}
        columns: dict[str, Any] = {ROW_ID: {"null_check": {**zero}, "unique_check": {**zero}}}
        for name, checks in spec.checks.columns.items():
            columns[name] = {figure: dict(bounds) for figure, bounds in checks.items()}
        super().__init__(table=FEATURES, column_mapping=columns, retry_on_failure=False, **kwargs)
        self.spec = spec


class CheckTable(_OnPublishedFiles, SQLTableCheckOperator):
    """Checks the whole table, and that the joins kept every subject."""

    def __init__(self, *, spec: RelationalSpec, **kwargs: Any):
        subjects = f"(SELECT COUNT(*) FROM {spec.entity})"  # noqa: S608 (from a checked spec)
        checks = {
            "every_subject_is_there": {
                "check_statement": f"COUNT(*) = {subjects}", "figure": "COUNT(*)",
            },
            **{
                name: {"check_statement": check.statement, "figure": check.figure}
                for name, check in spec.checks.table.items()
            },
        }  # fmt: skip
        super().__init__(table=FEATURES, checks=checks, retry_on_failure=False, **kwargs)
        self.spec = spec

    def execute(self, context: Context) -> None:
        """Find the figures first, so that a failure tells them."""
        hook = self.get_db_hook()
        for check in self.checks.values():
            query = f"SELECT {check['figure']} FROM {FEATURES}"  # noqa: S608 (from a checked spec)
            check["found"] = hook.get_first(query)[0]
        super().execute(context)
