"""The document that lists a data set's features: made from the SQL files, never written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from millrace.datasets import RelationalSpec
from millrace.features_sql.queries import Query
from millrace.features_sql.table import Feature


def document(
    spec: RelationalSpec, queries: Mapping[str, Query], features: Sequence[Feature]
) -> str:
    """All features by the SQL file that makes them, as Markdown."""
    lines = [
        f"# Features of {spec.name}",
        "",
        f"{len(features)} features, one row for each `{spec.id_column}`. Made by"
        " `python -m millrace.features_sql` from the comments in"
        f" `include/sql/{spec.sql}`; write there, not here.",
    ]
    for table, query in queries.items():
        own = [feature for feature in features if feature.table == table]
        lines += ["", f"## {table}.sql: {len(own)} features", ""]
        read = ", ".join(f"`{name}`" for name in spec.tables if name in query.reads)
        lines += [f"Reads {read}.", "", "| feature | type | what it is |", "|---|---|---|"]
        lines += [
            f"| `{feature.name}` | {'number' if feature.type == 'double' else 'text'}"
            f" | {feature.description} |"
            for feature in own
        ]
    return "\n".join(lines) + "\n"
