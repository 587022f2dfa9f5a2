"""The process of one query of Athena: DuckDB over the files of its tables.

As on AWS names are in lower case, a file whose type is not the table's is an error, and the rows
come in no order, in several files without a suffix.
"""

# ruff: noqa: S608 - names come from DDL that was parsed, paths are the stand-in's own

from __future__ import annotations

import json
import random
import sys
import uuid
from pathlib import Path

TYPES = {"bigint": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "int": "INTEGER",
         "tinyint": "TINYINT", "boolean": "BOOLEAN"}  # fmt: skip
FILES = 3


def main(task: str) -> int:
    """Run the query of a task; its last line on stderr says why it failed."""
    import duckdb
    import pyarrow.parquet as pq

    asked = json.loads(Path(task).read_text())
    connection = duckdb.connect(":memory:")
    try:
        for name, table in asked["tables"].items():
            connection.execute(f'CREATE VIEW "{name}" AS {_view(connection, table)}')
        found = connection.sql(asked["query"]).to_arrow_table()
    except (duckdb.Error, TypeError) as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1
    found = found.rename_columns([name.lower() for name in found.column_names])
    order = list(range(found.num_rows))
    random.Random(0).shuffle(order)
    Path(asked["written"]).mkdir()
    for part in range(FILES):
        if rows := order[part::FILES]:
            path = Path(asked["written"]) / f"20260101_000000_0000{part}_{uuid.uuid4()}"
            pq.write_table(found.take(rows), path, compression="snappy")
    return 0


def _view(connection, table) -> str:  # type: ignore[no-untyped-def]
    """A table's rows from all files of its folder; no file: no row."""
    files = sorted(str(path) for path in Path(table["folder"]).rglob("*") if path.is_file())
    types = {name: TYPES.get(kind, kind.upper()) for name, kind in table["columns"]}
    if not files:
        empty = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in types.items())
        return f"SELECT {empty} WHERE FALSE"
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    source = f"read_parquet([{listed}])"
    rows = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    held = {row[0].lower(): row[1] for row in rows}
    for name, kind in types.items():
        if name in held and held[name].replace(" ", "") != kind.replace(" ", ""):
            raise TypeError(f"HIVE_BAD_DATA: Field {name}'s type {held[name]} in parquet file is"
                            f" incompatible with type {kind} defined in table schema")  # fmt: skip
    columns = ", ".join(
        f'"{name}"' if name in held else f'CAST(NULL AS {kind}) AS "{name}"'
        for name, kind in types.items()
    )
    return f"SELECT {columns} FROM {source}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
