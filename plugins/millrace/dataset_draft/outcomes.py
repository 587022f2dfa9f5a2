"""Columns known only after what is predicted: by their names, or because they tell it perfectly."""

from __future__ import annotations

import pandas as pd

from millrace.dataset_draft.values import Profile, words_of

AFTER_WORDS = frozenset(
    "after resolution resolved closed closing closure settled settlement recovery recoveries"
    " refunded chargeoff terminated termination".split()
)
PROOF = 10  # rows of each class before a perfect prediction is no accident


def known_after(column: Profile, target: str, codes: pd.Series) -> str:
    """Why a column looks as if it were known only with the outcome; empty where it does not."""
    words = words_of(column.name)
    if found := AFTER_WORDS & set(words):
        return f"the name ({sorted(found)[0]}) says that it is known only afterwards"
    stem = words_of(target)
    if stem and stem != ["y"] and words[: len(stem)] == stem and words != stem:
        return "named after the target, so very likely known only with it"
    present = codes.index.isin(column.text.index)
    known = codes.notna().to_numpy()
    if _separates(pd.Series(present)[known], codes[known]):
        return "it holds a value for one class only: filled in afterwards?"
    known_text = column.text[codes[column.text.index].notna()]
    classes = codes[known_text.index]
    if known_text.nunique() <= len(known_text) / PROOF and _separates(known_text, classes):
        return (
            "each value belongs to one class only: known only afterwards, or a copy of the target?"
        )
    if column.numbers is not None and _one_cut(column.numbers[known_text.index], classes):
        return "one cut separates the classes without an error: known only afterwards?"
    return ""


def _enough(classes: pd.Series) -> bool:
    return bool(min((classes == 0).sum(), (classes == 1).sum()) >= PROOF)


def _separates(values: pd.Series, classes: pd.Series) -> bool:
    """Whether each value stands with one class only."""
    if not _enough(classes) or values.nunique() < 2:
        return False
    return bool((classes.groupby(values.to_numpy()).nunique() == 1).all())


def _one_cut(numbers: pd.Series, classes: pd.Series) -> bool:
    if not _enough(classes):
        return False
    low, high = numbers[classes == 0], numbers[classes == 1]
    return bool(low.max() < high.min() or high.max() < low.min())
