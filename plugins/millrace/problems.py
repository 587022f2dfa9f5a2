"""What is wrong with raw rows: problems one by one, and all that was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

FILE, ROW = "_file", "_row"  # columns that tell where a raw row stands
HIDDEN = "(hidden)"
LISTED = 1000  # problems kept of a column and check; the rest are counted
SHOWN = 80  # characters of a value that a problem quotes


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the raw files.

    Attributes:
        severity: `error` stops the run, `row` sets one row aside, `note` is for information.
        row: spreadsheet row (the header is 1), where the problem has one.
    """

    severity: Literal["error", "row", "note"]
    check: str
    found: str
    remedy: str
    file: str = ""
    row: int | None = None
    column: str | None = None


class Findings:
    """Problems found so far; the first `LISTED` of a column and check are kept, all are counted."""

    def __init__(self, frame: pd.DataFrame, problems: Sequence[Problem], private: Sequence[str]):
        self.frame = frame
        self.problems = list(problems)
        self.count = len(problems)
        self.reasons: dict[Any, list[str]] = defaultdict(list)  # by index of the frame
        self.cells: dict[str, set[Any]] = defaultdict(set)  # indexes with a reason, by column
        self.private = frozenset(private)

    def add(self, problem: Problem) -> None:
        """Note a problem of a file or of the whole partition."""
        self.problems.append(problem)
        self.count += 1

    def add_cells(
        self, where: pd.Index, name: str, check: str, remedy: str, shown: pd.Series
    ) -> None:
        """Set rows aside for what one column holds; `shown` is what the problem quotes."""
        self.count += len(where)
        self.cells[name].update(where)
        hidden = name in self.private
        found = [HIDDEN if hidden else shown_as(value) for value in shown.loc[where]]
        for index, text in zip(where, found, strict=True):
            self.reasons[index].append(f"{name}: {check}: {text}")
        for index, text in zip(where[:LISTED], found, strict=False):
            file, row = self.frame.at[index, FILE], int(self.frame.at[index, ROW])
            self.problems.append(Problem("row", check, text, remedy, file, row, name))


def shown_as(value: Any) -> str:
    """A value as a problem quotes it: cut where it is long."""
    import pandas as pd

    if pd.isna(value):
        return "nothing"
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(value)} characters)"
