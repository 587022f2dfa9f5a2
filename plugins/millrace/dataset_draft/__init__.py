"""Drafting a data set spec from a sample file: `make new-dataset CSV=<file>`.

What is written loads, and validation passes on the sample: both are tried before anything is
written. Every guess is marked in the file, for a person to check.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from millrace.dataset_draft.dialect import Dialect, DraftError, detect
from millrace.dataset_draft.roles import guess_columns
from millrace.dataset_draft.target import guess_target
from millrace.dataset_draft.text import Draft, spec_text
from millrace.dataset_draft.values import decimal_of, profile
from millrace.datasets import DatasetSpec, load_spec
from millrace.datasets.file import SpecError
from millrace.ingest import FILE, ROW, RawTable, read_raw
from millrace.pages.validation import validation_table
from millrace.validate import validate

__all__ = ["Draft", "DraftError", "draft_spec"]

Drafted = tuple[Draft, str, dict[str, Any]]
MOST_SET_ASIDE = 0.5  # share of unusable rows above which the guesses must be wrong


def draft_spec(path: Path, name: str, target: str | None = None) -> Drafted:
    """Draft the spec `name` from a sample: the guesses, the YAML, and validation's report.

    Raises:
        DraftError: the file cannot be used, or no spec fits it; the message says what to do.
    """
    dialect = detect(path)
    frame = read_sample(path, dialect)
    repeated = frame.duplicated()
    distinct = frame[~repeated]  # as validation drops them by default
    decimal = decimal_of(distinct)
    found = guess_target(distinct, target)
    profiles = [profile(distinct[each], decimal) for each in frame if each != found.column]
    columns = guess_columns(profiles, found, found.codes(distinct[found.column]))
    draft = Draft(
        path.name, len(frame), dialect, decimal, found, tuple(columns), _longest(frame),
        int(repeated.sum()),
    )  # fmt: skip
    if not {"numeric", "categorical"} & {column.role for column in columns}:
        roles = ", ".join(f"{each.name!r} {each.role} ({each.why})" for each in columns[:5])
        raise DraftError(f"{path}: no column is fit to be a feature: {roles}")
    return _checked(draft, path, name)


def read_sample(path: Path, dialect: Dialect) -> pd.DataFrame:
    """All columns as trimmed text, read the way validation will read them.

    Raises:
        DraftError: the file cannot be read so.
    """
    table = read_raw([path], _provisional(dialect))
    if table.broken or not len(table.frame):
        raise DraftError(_told(path, table))
    return table.frame.drop(columns=[FILE, ROW])


def _provisional(dialect: Dialect) -> DatasetSpec:
    """A spec that names the columns and says nothing true about them: reading needs no more."""
    *columns, target = dialect.header
    written = {"encoding": dialect.encoding, "delimiter": dialect.delimiter, "quote": dialect.quote}
    return DatasetSpec.model_validate(
        {
            "name": "sample",
            "description": "",
            "owner": "",
            "raw": written,
            "target": {"column": target, "positive": "1", "negative": "0"},
            "columns": {name: {"role": "categorical"} for name in columns},
            "candidates": {"any": {"algorithm": "xgboost"}},
        }
    )


def _told(path: Path, table: RawTable) -> str:
    problems = [f"{each.check}: {each.found}; {each.remedy}" for each in table.problems[:5]]
    return f"{path}: {'; '.join(problems) or 'found no data rows; give a file with some'}"


def _longest(frame: pd.DataFrame) -> int:
    """Bytes of the longest value."""
    longest = 0
    for _, text in frame.items():
        characters = int(text.str.len().max())
        if characters * 4 > longest:  # no character takes more than 4 bytes
            suspects = text[text.str.len() * 4 > longest]
            longest = max(longest, *(len(value.encode()) for value in suspects.unique()))
    return longest


def _checked(draft: Draft, path: Path, name: str) -> Drafted:
    """Load the draft and validate the sample with it; tolerate as many bad rows as that has."""
    text, report = _try(draft, path, name)
    checks = {problem["check"] for problem in report["problems"] if problem["severity"] == "error"}
    if checks == {"tolerance"}:
        share = report["rows_quarantined"] / report["rows_read"]
        if share <= MOST_SET_ASIDE:
            draft = replace(draft, tolerance=math.ceil(share * 100) / 100)
            text, report = _try(draft, path, name)
    if not report["passed"]:
        table = validation_table({**report, "partition": "sample"}, limit=10)
        raise DraftError(f"{path}: the drafted spec does not fit the file:\n{table}")
    return draft, text, report


def _try(draft: Draft, path: Path, name: str) -> tuple[str, dict[str, Any]]:
    text = spec_text(draft)
    with tempfile.TemporaryDirectory(prefix="millrace-draft-") as folder:
        written = Path(folder) / f"{name}.yaml"
        written.write_text(text, encoding="utf-8")
        try:
            spec = load_spec(written)
        except SpecError as error:
            raise DraftError(f"{path}: no valid spec can be drafted:\n{error}") from error
    return text, validate(read_raw([path], spec), spec).report
