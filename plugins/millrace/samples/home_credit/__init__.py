"""Sample of the seven tables of Home Credit, at any scale and with bounded memory.

Shares, quantiles and missing shares are the public files' (`profile.json`); keys join. At scale 1
every table has as many rows as the public one. Applicants are drawn in chunks of `CHUNK`, each with
its own random numbers and all its rows in the other tables, so memory does not grow with the scale.
Three latent numbers of an applicant make the target: one shows in the application, one in the
credits elsewhere, and one in how earlier loans were paid.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from millrace.samples.home_credit import application, bureau, payments, previous

log = logging.getLogger(__name__)

CHUNK = 8_000  # applicants
FILES = {"application": "application_train.csv"}
ROWS = {  # at scale 1
    "application": 307_511,
    "bureau": 1_716_428,
    "bureau_balance": 27_299_925,
    "previous_application": 1_670_214,
    "POS_CASH_balance": 10_001_358,
    "installments_payments": 13_605_401,
    "credit_card_balance": 3_840_312,
}


def write(folder: Path, *, scale: float = 0.01, seed: int = 0) -> dict[str, int]:
    """Write all tables to `<folder>/<table>.csv` and return how many rows each has.

    The same `scale` and `seed` give the same bytes. Each file appears whole or not at all.

    Args:
        scale: share of the public rows, above 0; 0.01 is 3,075 applicants and 25 MB.
        seed: 0 or more.

    Raises:
        ValueError: `scale` or `seed` is too small.
    """
    applicants = round(scale * ROWS["application"])
    if applicants < 1 or seed < 0:
        raise ValueError(f"scale is {scale:g} and seed is {seed}; give a scale that makes at least"
                         " one applicant (0.0001 does), and a seed of 0 or more")  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    targets = {table: folder / FILES.get(table, f"{table}.csv") for table in ROWS}
    end = f".{secrets.token_hex(4)}.partial"
    partial = {table: path.with_name(f".{path.name}{end}") for table, path in targets.items()}
    try:
        rows = _write(partial, applicants, scale, seed)
        for table, path in partial.items():
            os.replace(path, targets[table])
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return rows


def _write(paths: dict[str, Path], applicants: int, scale: float, seed: int) -> dict[str, int]:
    started = time.monotonic()
    rows = dict.fromkeys(paths, 0)
    writers: dict[str, pcsv.CSVWriter] = {}
    with ExitStack() as stack:
        for start in range(0, applicants, CHUNK):
            stop = min(start + CHUNK, applicants)
            for table, batch in draw(seed, scale, start, stop):
                if table not in writers:
                    writers[table] = stack.enter_context(pcsv.CSVWriter(paths[table], batch.schema))
                writers[table].write_batch(batch)
                rows[table] += batch.num_rows
            log.info("Wrote %s of %s applicants, %s rows in all, %.0f s.", f"{stop:,}",
                     f"{applicants:,}", f"{sum(rows.values()):,}",
                     time.monotonic() - started)  # fmt: skip
    return rows


def draw(seed: int, scale: float, start: int, stop: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of the applicants from `start` to `stop` in every table, table by table."""
    rng = np.random.default_rng([seed, start])
    begin = {table: _rows_before(table, scale, start) for table in ROWS}
    count = {table: _rows_before(table, scale, stop) - begin[table] for table in ROWS}
    people, rows = application.draw(rng, start, stop - start)
    yield "application", rows.batch(shuffle=False)
    rows, months = bureau.draw(
        rng, people, begin["bureau"], count["bureau"], count["bureau_balance"]
    )
    yield "bureau", rows.batch()
    yield "bureau_balance", months.batch()
    rows, habit = previous.draw(
        rng, people, begin["previous_application"], count["previous_application"]
    )
    yield "previous_application", rows.batch()
    for table, make in (
        ("POS_CASH_balance", payments.draw_pos),
        ("installments_payments", payments.draw_installments),
        ("credit_card_balance", payments.draw_cards),
    ):
        yield table, make(rng, rows, habit, count[table]).batch()


def _rows_before(table: str, scale: float, applicant: int) -> int:
    """How many rows of a table belong to the applicants before this one."""
    applicants = round(scale * ROWS["application"])
    return round(scale * ROWS[table]) * applicant // applicants
