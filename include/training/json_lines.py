"""JSON Lines, as batch transform sends and takes them: a request of raw rows, a line a row.

A line is an array of raw values in the order of the model's inputs, or an object of named values.
A value is text, a number or null, and means what the same characters mean in CSV; null is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

KIND = "application/jsonlines"


class Lines(list[str]):
    """The lines of a request, not yet parsed: their fields are known only with the model."""


def split(text: str) -> Lines:
    """The lines of a request, without the end of the last one."""
    # Only line feeds end a line; text may hold other signs that Python would split at.
    return Lines(text[:-1].split("\n") if text.endswith("\n") else text.split("\n"))


def parse(lines: Lines, names: Sequence[str]) -> pd.DataFrame:
    """A frame of text, one column a name.

    Raises:
        ValueError: a line is no JSON array or object, or its fields are not those of the model; the
            message names the line, counted from 1, and the field.
    """
    rows = [_row(f"line {number}", line, names) for number, line in enumerate(lines, start=1)]
    columns = zip(names, zip(*rows))
    return pd.DataFrame({name: np.array(column, dtype="object") for name, column in columns})


def _row(place: str, line: str, names: Sequence[str]) -> list[str]:
    try:
        # Numbers stay the characters they are: 1.0 and 1 differ where they are labels.
        row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError as error:
        raise ValueError(f"{place} is no JSON: {error}") from None
    if isinstance(row, dict):
        if absent := [name for name in names if name not in row]:
            raise ValueError(f"{place} lacks the fields {absent}; it has {list(row)}")
        row = [row[name] for name in names]
    if not isinstance(row, list):
        raise ValueError(f"{place} is {line[:50]!r}; send an array or an object of raw values")
    if len(row) != len(names):
        raise ValueError(
            f"{place} has {len(row)} values; the model needs {len(names)}: {list(names)}"
        )
    return [_text(f"{place}, field {name!r}", value) for name, value in zip(names, row)]


def _text(place: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{place} is {json.dumps(value)[:50]}; send text, a number or null")
    return value


def dump(probability: np.ndarray) -> str:
    """One object a line."""
    return "".join(f"{json.dumps({'probability': value})}\n" for value in probability.tolist())
