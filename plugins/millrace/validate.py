"""From raw text to typed, trusted rows: everything wrong is found at once, bad rows are set aside.

The spec becomes a pandera schema; what a schema cannot say (single-class target, all-null
column, text that is no number, repeated rows) is checked beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.compute as pc
from pandera.errors import SchemaErrors

from millrace.datasets import ROW_ID, Column, DatasetSpec
from millrace.ingest import RawTable
from millrace.problems import FILE, LISTED, ROW, Findings, Problem, shown_as

COMMA_NUMBER = r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"  # 1.234,5 and 1234,5, but not 1.5


@dataclass
class Validation:
    """What became of the raw rows of a partition.

    Attributes:
        clean: typed rows: `_row_id`, the columns of the spec, and the target as 0/1.
        quarantine: rows set aside: file, row, reasons, and the record as JSON text.
        report: counts, verdict and problems, JSON-serialisable.
    """

    clean: pd.DataFrame
    quarantine: pd.DataFrame
    report: dict[str, Any]

    @property
    def passed(self) -> bool:
        return bool(self.report["passed"])


def validate(table: RawTable, spec: DatasetSpec) -> Validation:
    """Check raw rows against the spec and type them."""
    frame, duplicates = table.frame, 0
    findings = Findings(frame, table.problems, spec.private_columns())
    clean = quarantine = pd.DataFrame()
    if not table.broken:
        frame = _drop_duplicates(frame, spec, findings)
        duplicates = len(table.frame) - len(frame)
        typed = _typed(frame, spec, findings)
        _check_schema(typed, spec, findings)
        bad = frame.index.isin(list(findings.reasons))
        clean = _finished(typed[~bad] if bad.any() else typed, spec)
        quarantine = _quarantine(table, frame[bad], findings)
        for problem in _whole_table_problems(table, clean, len(quarantine), spec):
            findings.add(problem)
    report = _report(table, spec, findings, len(clean), len(quarantine), duplicates)
    return Validation(clean, quarantine, report)


def schema_of(spec: DatasetSpec) -> pa.DataFrameSchema:
    """The pandera schema of the typed rows: types, ranges, labels, required values, unique id."""
    columns = {name: _schema_column(column) for name, column in spec.columns.items()}
    labels = pa.Check.isin([spec.target.negative, spec.target.positive], error="label")
    columns[spec.target.column] = pa.Column(str, labels, nullable=False)
    return pa.DataFrameSchema(columns, strict=False)


def _schema_column(column: Column) -> pa.Column:
    checks = []
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error="minimum"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error="maximum"))
    if column.values is not None:
        checks.append(pa.Check.isin(column.values, error="values"))
    return pa.Column(
        float if column.role == "numeric" else str,
        checks,
        nullable=not (column.required or column.role == "id"),
        unique=column.role == "id",
    )


def _drop_duplicates(frame: pd.DataFrame, spec: DatasetSpec, findings: Findings) -> pd.DataFrame:
    if spec.raw.duplicate_rows == "keep" or (spec.id_column and frame[spec.id_column].is_unique):
        return frame
    repeated = frame.drop(columns=[FILE, ROW]).duplicated()
    if not repeated.any():
        return frame
    found = f"{int(repeated.sum())} repeated rows"
    first = frame.loc[repeated].iloc[0]
    place = (first[FILE], int(first[ROW]))
    if spec.raw.duplicate_rows == "error":
        remedy = "have them removed, or set `raw.duplicate_rows: drop`"
        findings.add(Problem("error", "duplicate rows", found, remedy, *place))
    else:
        findings.add(
            Problem("note", "duplicate rows", found, "dropped; the first is named", *place)
        )
    return frame.loc[~repeated]


def _typed(frame: pd.DataFrame, spec: DatasetSpec, findings: Findings) -> pd.DataFrame:
    """Missing markers to missing, spellings to labels, numbers to float64."""
    typed: dict[str, pd.Series] = {}
    for name, column in spec.columns.items():
        _check_text(frame[name], spec.raw.max_field_bytes, findings)
        text = _without_markers(frame[name], [*spec.raw.missing, *column.missing])
        if column.role == "numeric":
            typed[name] = _numbers(text, spec.raw.decimal)
            unreadable = frame.index[text.notna() & typed[name].isna()]
            remedy = "write a number, or list the text under `missing:`"
            findings.add_cells(unreadable, name, "number", remedy, frame[name])
        else:
            typed[name] = _respelled(text, column.spellings)
    target = _without_markers(frame[spec.target.column], spec.raw.missing)
    typed[spec.target.column] = _respelled(target, spec.target.spellings)
    return pd.DataFrame(typed, index=frame.index)


def _without_markers(text: pd.Series, markers: Sequence[str]) -> pd.Series:
    """A blank is missing whatever else is; values are trimmed, so markers are too."""
    return text.mask(text.isin(["", *(marker.strip() for marker in markers)]))


def _respelled(text: pd.Series, spellings: dict[str, list[str]]) -> pd.Series:
    canonical = {spelling: label for label, found in spellings.items() for spelling in found}
    return text.replace(canonical) if canonical else text


def _numbers(text: pd.Series, decimal: str) -> pd.Series:
    """Text to float64; missing where it is no finite number."""
    if decimal == ",":
        text = text.where(text.str.fullmatch(COMMA_NUMBER, na=False))
        text = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    numbers = _parsed(text)
    return numbers.where(np.isfinite(numbers))


def _parsed(text: pd.Series) -> pd.Series:
    """Text to float64. Arrow is quick, but refuses a column with text; both read alike."""
    try:
        values = pc.cast(pyarrow.array(text, from_pandas=True), pyarrow.float64())
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        return pd.to_numeric(text, errors="coerce").astype("float64")
    return pd.Series(values.to_numpy(zero_copy_only=False), text.index)


def _check_text(text: pd.Series, limit: int, findings: Findings) -> None:
    """Set aside values no data should hold: NUL bytes, and fields too long to be true."""
    name, lengths = str(text.name), text.str.len()
    nul = text.index[text.str.contains("\x00", regex=False, na=False)]
    findings.add_cells(nul, name, "NUL byte", "have the file exported again", text)
    suspects = text[lengths * 4 > limit]  # no character takes more than 4 bytes
    long = suspects.index[suspects.map(lambda value: len(value.encode()) > limit).astype(bool)]
    remedy = "look for a missing quote, or raise `raw.max_field_bytes`"
    findings.add_cells(long, name, f"at most {limit} bytes", remedy, text)


def _check_schema(typed: pd.DataFrame, spec: DatasetSpec, findings: Findings) -> None:
    try:
        schema_of(spec).validate(typed, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        for (name, check), group in cases.groupby(["column", "check"], sort=False):
            check = {"not_nullable": "required", "field_uniqueness": "unique id"}.get(check, check)
            if group["index"].isna().any():
                found = shown_as(group["failure_case"].iloc[0])
                findings.add(Problem("error", check, found, "mend the column", column=name))
                continue
            where = pd.Index(group["index"].astype(int))
            if check == "required":  # a cell that is no number is not missing
                where = where[~where.isin(findings.cells[name])]
            findings.add_cells(where, name, check, _remedy(check, name, spec), typed[name])


def _remedy(check: str, name: str, spec: DatasetSpec) -> str:
    if name == spec.target.column:
        labels = f"{spec.target.negative!r} or {spec.target.positive!r}"
        return f"write {labels}, or add it to `target.spellings`"
    column = spec.columns[name]
    bound = column.minimum if check == "minimum" else column.maximum
    return {
        "minimum": f"write at least {bound or 0:.15g}",
        "maximum": f"write at most {bound or 0:.15g}",
        "values": f"write one of {column.values}, or add it to `spellings` or `values`",
        "required": "deliver a value, or take `required` out of the spec",
        "unique id": "name each row once",
    }.get(check, "mend the value")


def _finished(typed: pd.DataFrame, spec: DatasetSpec) -> pd.DataFrame:
    """The typed rows with the target as 0/1 and an id for each row in front."""
    target = (typed[spec.target.column] == spec.target.positive).astype("int8")
    row_id = typed[spec.id_column] if spec.id_column else pd.RangeIndex(1, len(typed) + 1)
    clean = typed.assign(**{spec.target.column: target})
    clean.insert(0, ROW_ID, row_id.astype(str))
    return clean.reset_index(drop=True)


def _quarantine(table: RawTable, bad: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """The rows set aside, each with all its reasons and its text."""
    ragged = {
        (problem.file, problem.row): f"{problem.check}: {problem.found}"
        for problem in table.problems
        if problem.severity == "row"
    }
    rows = [(file, row, ragged[file, row], text) for file, row, text in table.unreadable]
    records = bad.drop(columns=[FILE, ROW]).to_dict("records")
    places = zip(bad.index, bad[FILE], bad[ROW], strict=True)
    for (index, file, row), record in zip(places, records, strict=True):
        reasons = "; ".join(findings.reasons[index])
        rows.append((file, row, reasons, json.dumps(record, ensure_ascii=False)))
    rows.sort(key=lambda item: item[:2])
    return pd.DataFrame(rows, columns=["file", "row", "reasons", "record"])


def _whole_table_problems(
    table: RawTable, clean: pd.DataFrame, quarantined: int, spec: DatasetSpec
) -> Iterator[Problem]:
    """What only the whole partition shows; each stops the run."""
    if table.rows == 0:
        yield Problem("error", "rows", "0 rows", "deliver a file with data rows")
        return
    share = quarantined / table.rows
    if share > spec.raw.tolerance:
        found = f"{quarantined} bad rows of {table.rows} ({share:.2%})"
        remedy = f"mend the rows, or raise `raw.tolerance` (now {spec.raw.tolerance:.2%})"
        yield Problem("error", "tolerance", found, remedy)
    if clean.empty:
        return
    classes = clean[spec.target.column].unique()
    if len(classes) < 2:
        label = spec.target.positive if classes[0] else spec.target.negative
        remedy = "deliver rows of both classes, or mend `target.positive` / `target.negative`"
        found = f"only {label!r} in {len(clean)} rows"
        yield Problem("error", "two classes", found, remedy, column=spec.target.column)
    for name in spec.columns_with("numeric", "categorical"):
        if clean[name].isna().all():
            remedy = "deliver values, or give the column the role drop"
            yield Problem("error", "all missing", "no value in any row", remedy, column=name)


def _report(
    table: RawTable,
    spec: DatasetSpec,
    findings: Findings,
    clean: int,
    quarantined: int,
    duplicates: int,
) -> dict[str, Any]:
    order = {"error": 0, "row": 1, "note": 2}
    problems = sorted(
        findings.problems, key=lambda p: (order[p.severity], p.file, p.row or 0, p.column or "")
    )
    return {
        "dataset": spec.name,
        "rows_read": table.rows,
        "rows_clean": clean,
        "rows_quarantined": quarantined,
        "rows_duplicate": duplicates,
        "tolerance": spec.raw.tolerance,
        "passed": not any(problem.severity == "error" for problem in problems),
        "problems": [asdict(problem) for problem in problems[:LISTED]],
        "problem_count": findings.count,
    }
