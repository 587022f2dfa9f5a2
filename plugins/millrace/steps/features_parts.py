"""The published layout of features that SQL made: sorted parts, and what the features are."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from millrace.datasets import ROW_ID, RelationalSpec
from millrace.errors import MillraceError
from millrace.features_sql import Feature
from millrace.features_sql.table import features_json
from millrace.lake import Attempt
from millrace.relational.parquet import regrouped

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

ROWS = 50_000  # rows of a part


def write_features(
    batches: Iterable[pa.RecordBatch], spec: RelationalSpec, features: Sequence[Feature],
    subjects: int, attempt: Attempt,
) -> None:  # fmt: skip
    """Write rows that come sorted by the subject, and `features.json`.

    Raises:
        MillraceError: there are not as many rows as subjects.
    """
    import pyarrow.parquet as pq

    started, rows = time.monotonic(), 0
    schema = schema_of(spec, features)
    texts = [feature.name for feature in features if feature.type == "string"]
    (attempt.folder / "features").mkdir()
    typed = (batch.cast(schema) for batch in batches)
    for part, table in enumerate(regrouped(typed, schema, ROWS)):
        path = attempt.folder / "features" / f"part-{part:05d}.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=ROWS,
                       use_dictionary=texts)  # fmt: skip
        rows += table.num_rows
        log.info("Wrote %s of %s rows, %.0f rows/s.", f"{rows:,}", f"{subjects:,}",
                 rows / (time.monotonic() - started))  # fmt: skip
    if rows != subjects:
        raise MillraceError(f"the features have {rows:,} rows for {subjects:,} subjects; every SQL"
                            f" file must give one row for each {spec.id_column}")  # fmt: skip
    attempt.write_json("features.json", features_json(features))
    attempt.facts |= {"rows": rows, "features": len(features)}


def columns_of_features(spec: RelationalSpec, features: Sequence[Feature]) -> list[str]:
    """The columns of the published features: id, features, target."""
    return [ROW_ID, *(feature.name for feature in features), spec.target.column]


def schema_of(spec: RelationalSpec, features: Sequence[Feature]) -> pa.Schema:
    """Those columns with their types."""
    import pyarrow as pa

    kinds = {"double": pa.float64(), "string": pa.string()}
    types = [pa.string(), *(kinds[feature.type] for feature in features), pa.int8()]
    return pa.schema(list(zip(columns_of_features(spec, features), types, strict=True)))
