"""Guessing the target: which column is to be predicted, and which of its classes is positive."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from millrace.dataset_draft.dialect import DraftError
from millrace.dataset_draft.values import MARKERS, same_label, spellings_of, words_of
from millrace.datasets.file import nearest

HINTS = (
    "target label churn churned default defaulted survived fraud outcome exited attrition"
    " subscribed converted response deposit class y"
).split()
YES = frozenset(
    "yes y true t 1 positive pos on churned default defaulted survived fraud bad".split()
)
NO = frozenset("no n false f 0 negative neg off none good".split())
LAST = "the last column with two values"
RAREST = 0.01  # share of the rarer value, below which only a name makes a target
FEW = 10  # values that a column named like a target may have to be told about


@dataclass(frozen=True)
class TargetGuess:
    """The target with its two classes.

    Attributes:
        spellings: other spellings, by label.
        share: of positive rows among those with a class.
        counts: rows of the negative and of the positive class.
        named: whether its name was given, or is that of a target.
        others: further columns with two values.
        unusable: rows that hold neither class.
    """

    column: str
    positive: str
    negative: str
    spellings: dict[str, list[str]]
    why: str
    why_positive: str
    counts: tuple[int, int]
    named: bool
    others: tuple[str, ...]
    unusable: int

    @property
    def share(self) -> float:
        return self.counts[1] / sum(self.counts)

    def codes(self, text: pd.Series) -> pd.Series:
        """1 and 0 for the classes, missing for everything else."""
        labels = {self.positive: 1.0, self.negative: 0.0}
        labels |= {s: labels[label] for label, found in self.spellings.items() for s in found}
        return text.map(labels).astype("float64")


def guess_target(frame: pd.DataFrame, wanted: str | None) -> TargetGuess:
    """The target of a table of trimmed text; `wanted` names its column.

    Raises:
        DraftError: no column has two values, or the wanted one has not.
    """
    classes = {name: _classes(frame[name]) for name in frame.columns}
    two_valued = [name for name in frame.columns if len(classes[name]) == 2]
    if wanted is not None:
        column, why = _wanted(frame, wanted, classes), "asked for with --target"
    else:
        column, why = _likeliest(frame, two_valued, classes)
    counts = _counts(frame[column])
    totals = {
        label: int(counts[[label, *others]].sum()) for label, others in classes[column].items()
    }
    positive, why_positive = _positive(totals)
    negative = next(label for label in totals if label != positive)
    spellings = {label: others for label, others in classes[column].items() if others}
    return TargetGuess(
        column=column,
        positive=positive,
        negative=negative,
        spellings=spellings,
        why=why,
        why_positive=why_positive,
        counts=(totals[negative], totals[positive]),
        named=why != LAST,
        others=tuple(name for name in two_valued if name != column),
        unusable=len(frame) - sum(totals.values()),
    )


def _counts(text: pd.Series) -> pd.Series:
    counts = text.value_counts()
    return counts[(counts.index != "") & ~counts.index.str.casefold().isin(MARKERS)]


def _classes(text: pd.Series) -> dict[str, list[str]]:
    """The labels of a column with their other spellings; empty where there are too many."""
    counts = _counts(text)
    if not 2 <= len(counts) <= 50:
        return {}
    key = {value: same_label(value) for value in counts.index}
    if len(set(key.values())) > 2 and set(key.values()) <= YES | NO:
        key = {value: "yes" if found in YES else "no" for value, found in key.items()}
    return spellings_of(counts, key)


def _wanted(frame: pd.DataFrame, wanted: str, classes: dict[str, dict[str, list[str]]]) -> str:
    if wanted not in frame:
        hint = nearest(wanted, list(frame.columns))
        raise DraftError(
            f"--target {wanted!r}: found no such column{hint}; the file has"
            f" {', '.join(map(repr, frame.columns))}"
        )
    if len(classes[wanted]) != 2:
        counts = _counts(frame[wanted])
        raise DraftError(
            f"--target {wanted!r}: found {_listed(counts)} instead of two; Millrace predicts one"
            " of two classes: name another column, or have this one recoded"
        )
    return wanted


def _likeliest(
    frame: pd.DataFrame, two_valued: list[str], classes: dict[str, dict[str, list[str]]]
) -> tuple[str, str]:
    hinted = [name for name in two_valued if _rank(name) is not None]
    if hinted:
        column = min(hinted, key=lambda name: (_rank(name), -two_valued.index(name)))
        return column, "two values, and named like a target"
    for name in frame.columns:
        counts = _counts(frame[name])
        if name.casefold() in HINTS and 2 < len(counts) <= FEW:
            raise DraftError(
                f"the column {name!r} is named like a target, but holds {_listed(counts)};"
                " Millrace predicts one of two classes: have it recoded, or pass --target COLUMN"
                " (with make: TARGET=COLUMN)"
            )
    if not two_valued:
        raise DraftError(
            "no column has exactly two values, so none can be the target; pass --target COLUMN"
            " (with make: TARGET=COLUMN), or add a column that says yes or no to"
            " what is to be predicted"
        )
    enough = [name for name in two_valued if _rarer_share(frame[name], classes[name]) >= RAREST]
    return (enough or two_valued)[-1], LAST


def _rarer_share(text: pd.Series, classes: dict[str, list[str]]) -> float:
    counts = _counts(text)
    return float(min(counts[[label, *found]].sum() for label, found in classes.items()) / len(text))


def _rank(name: str) -> tuple[bool, int] | None:
    """How much a name looks like a target's; None where it does not, the smallest is best."""
    if name.casefold() in HINTS:
        return False, HINTS.index(name.casefold())
    found = [HINTS.index(word) for word in words_of(name) if word in HINTS and word != "y"]
    return (True, min(found)) if found else None


def _positive(totals: dict[str, int]) -> tuple[str, str]:
    """The positive label and why it is taken for that."""
    keys = {label: same_label(label) for label in totals}
    yes = [label for label, key in keys.items() if key in YES]
    no = [
        label for label, key in keys.items() if key in NO or key.startswith(("not ", "no ", "non"))
    ]
    if len(yes) == 1:
        return yes[0], "it reads like a yes"
    if len(no) == 1:
        return next(label for label in totals if label != no[0]), "the other one reads like a no"
    return min(totals, key=lambda label: (totals[label], label)), "the rarer class"


def _listed(counts: pd.Series) -> str:
    shown = ", ".join(f"{str(value)[:30]!r} ({count:,})" for value, count in counts.head(6).items())
    more = f" and {len(counts) - 6:,} more" if len(counts) > 6 else ""
    return f"{len(counts):,} values: {shown}{more}" if len(counts) else "no value"
