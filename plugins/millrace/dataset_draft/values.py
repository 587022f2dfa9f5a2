"""What the values of a column are: missing markers, numbers, labels and their spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from millrace.validate import COMMA_NUMBER

MARKERS = frozenset(
    "? na n/a #n/a n.a. nan null nil (null) \\n - -- --- . .. unknown missing xna #value! #null!"
    " undefined".split()
) | {"not available", "not known"}
NUMBER_MARKERS = MARKERS | {"none", "inf", "-inf"}  # among labels `none` is a label
ODD_VALUES, ODD_SHARE = 3, 0.05  # other text among numbers that still counts as a marker
DECIMAL_ROWS = 20_000


@dataclass(frozen=True)
class Profile:
    """One column of the sample.

    Attributes:
        text: the values that are there, trimmed; neither blank nor a marker.
        markers: texts that stand for a missing value, besides the blank.
        odd: those of them that no convention knows.
        numbers: the values as float64 where all are numbers, else None.
    """

    name: str
    rows: int
    text: pd.Series
    markers: tuple[str, ...]
    odd: tuple[str, ...]
    numbers: pd.Series | None

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - len(self.text) / self.rows

    @property
    def distinct(self) -> int:
        return int(self.text.nunique())

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return len(self.text) == self.rows == self.distinct

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers, written without a fraction."""
        return self.numbers is not None and bool(self.text.str.fullmatch(r"[+-]?\d+").all())


def profile(text: pd.Series, decimal: str) -> Profile:
    """What stands in one column of trimmed text."""
    there = text[text != ""]
    folded = there.str.casefold()
    marked = folded.isin(NUMBER_MARKERS)
    plain = there[~marked]
    numbers = as_numbers(plain, decimal)
    odd = plain[numbers.isna()]
    few = odd.nunique() <= ODD_VALUES and len(odd) <= ODD_SHARE * len(plain)
    if len(plain) and len(odd) < len(plain) and few:
        return Profile(
            str(text.name), len(text), plain.drop(odd.index), _distinct(there[marked], odd),
            _distinct(odd), numbers.drop(odd.index),
        )  # fmt: skip
    marked = folded.isin(MARKERS)
    return Profile(str(text.name), len(text), there[~marked], _distinct(there[marked]), (), None)


def _distinct(*texts: pd.Series) -> tuple[str, ...]:
    return tuple(sorted({value for text in texts for value in text.unique()}))


def as_numbers(text: pd.Series, decimal: str) -> pd.Series:
    """Text to float64 as validation reads it; missing where it is no finite number."""
    if decimal == ",":
        text = text.where(text.str.fullmatch(COMMA_NUMBER, na=False))
        text = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def decimal_of(frame: pd.DataFrame) -> str:
    """The decimal mark that more columns are sure about.

    1,234 alone proves nothing: it may be a thousand. A comma counts once some value of a column
    of numbers has other than three digits behind it.
    """
    commas = points = 0
    for _, text in frame.head(DECIMAL_ROWS).items():
        there = text[(text != "") & ~text.str.casefold().isin(NUMBER_MARKERS)]
        if there.empty:
            continue
        fits = there.str.fullmatch(COMMA_NUMBER).all()
        commas += bool(fits and there.str.contains(r",(?:\d{1,2}|\d{4,})$").any())
        points += bool(
            as_numbers(there, ".").notna().all() and there.str.contains(".", regex=False).any()
        )
    return "," if commas > points else "."


def same_label(text: str) -> str:
    """Spellings that differ only in case and blanks are one label, and so are 1 and 1.0."""
    folded = " ".join(text.casefold().split())
    return (
        str(int(folded.partition(".")[0]))
        if re.fullmatch(r"[+-]?\d{1,9}(\.0+)?", folded)
        else folded
    )


def spellings_of(counts: pd.Series, key: dict[str, str]) -> dict[str, list[str]]:
    """Each label, in its most frequent spelling, with the other ones; `key` says what is one."""
    groups: dict[str, list[str]] = {}
    for spelling in sorted(counts.index, key=lambda value: (-counts[value], value)):
        groups.setdefault(key[spelling], []).append(spelling)
    return {found[0]: found[1:] for found in groups.values()}


def words_of(name: str) -> list[str]:
    """The words of a column name, in lower case: customerID -> customer, id."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in re.split(r"[\W_\d]+", split.casefold()) if word]
