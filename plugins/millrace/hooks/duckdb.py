"""A database that is made of published Parquet files, for operators of the common-sql provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.common.sql.hooks.sql import DbApiHook


class DuckDbHook(DbApiHook):
    """DuckDB in memory, with a view for each Parquet file; there is no server and no connection.

    Args:
        files: for each table, its files.
        memory: an amount such as `2g`.
    """

    conn_name_attr = "duckdb_conn_id"
    supports_autocommit = True

    def __init__(self, files: Mapping[str, Sequence[Path]], memory: str = "2g"):
        super().__init__(log_sql=False)
        self.files, self.memory = files, memory

    def get_conn(self) -> Any:
        """A connection of its own."""
        import duckdb

        from millrace.relational.engine import name_tables

        connection = duckdb.connect(":memory:", config={"memory_limit": self.memory.upper() + "iB"})
        name_tables(connection, self.files)
        return connection

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        """DuckDB commits by itself outside transactions."""

    def get_autocommit(self, conn: Any) -> bool:
        """Always."""
        return True
