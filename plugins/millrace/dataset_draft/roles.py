"""Guessing the roles of the columns, each guess with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from millrace.dataset_draft.outcomes import known_after
from millrace.dataset_draft.target import TargetGuess
from millrace.dataset_draft.values import Profile, same_label, spellings_of, words_of

ID_WORDS = frozenset("id uuid guid key".split())
LAST_ID_WORDS = frozenset("number no nr num ref reference".split())  # customer_no, not no_of_calls
CODE_WORDS = frozenset("id code type category".split())
PERSONAL_WORDS = frozenset(
    "name surname firstname lastname fullname forename email mail phone telephone mobile tel fax"
    " address addr street iban ssn passport birth birthday birthdate dob zip zipcode postcode"
    " postal plz".split()
)
NUMBER_PERSONAL = PERSONAL_WORDS & set(
    "phone telephone mobile tel fax iban ssn passport zip zipcode postcode postal plz".split()
)
PERSONAL_TEXT = {
    "e-mail addresses": r"[^@\s]+@[^@\s]+\.\w+",
    "account numbers (IBAN)": r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}",
    "social security numbers": r"\d{3}-\d{2}-\d{4}",
    "telephone numbers": r"\+\d[\d ()/.-]{6,}",
}
DATE = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:[T ].*)?"
DRESSED = r"[$€£%]?\s?[+-]?[\d.,' ]*\d\s?[$€£%]?"  # 1,234.50 $ 3 %
MOST = 0.9  # share of the values that must look alike
VALUES = 20  # labels that are listed in the spec
ROWS_A_LABEL = 20  # fewer, and a column of text is no category
UNSEEN = 0.01  # chance of a label the sample does not show, above which no list is written
SENTINELS = (-1, -9, -99, -999, -9999, 99, 999, 9999, 99999, 999999, 365243)


@dataclass(frozen=True)
class ColumnGuess:
    """A column of the drafted spec.

    Attributes:
        fields: what stands in the spec, the role first.
        why: the reason, for a comment.
        caution: what a person should look at before the first run, if anything.
    """

    name: str
    fields: dict[str, Any]
    why: str
    caution: str = ""

    @property
    def role(self) -> str:
        return str(self.fields["role"])


def guess_columns(
    profiles: list[Profile], target: TargetGuess, codes: pd.Series
) -> list[ColumnGuess]:
    """A guess for every column but the target; `codes` is the target as 1, 0 and missing."""
    id_column = _id_of(profiles)
    return [_guess(each, id_column, target, codes) for each in profiles]


def _guess(
    column: Profile, id_column: str | None, target: TargetGuess, codes: pd.Series
) -> ColumnGuess:
    if not len(column.text):
        return _drop(column, "no value in any row")
    if not column.name:
        return _drop(column, "no name in the header; row numbers as a rule")
    if column.name == id_column:
        return ColumnGuess(column.name, {"role": "id"}, "named like an id, each value once")
    if column.distinct == 1 and not column.missing:
        return _drop(column, "the same value in all rows")
    if why := known_after(column, target.column, codes):
        caution = f"{column.name}: is it known when a prediction is made? Taken for an outcome"
        return ColumnGuess(column.name, {"role": "outcome"}, why, caution)
    if column.distinct == 1:
        return _drop(column, "one value, or none")
    if why := _personal(column):
        return ColumnGuess(column.name, {"role": "personal"}, why)
    if _id_rank(column) is not None and column.distinct > len(column.text) / 2:
        return _second_id(column)
    if column.numbers is not None and not _codes(column):
        return _number(column, column.numbers)
    return _text(column)


def _drop(column: Profile, why: str, caution: str = "") -> ColumnGuess:
    return ColumnGuess(column.name, {"role": "drop"}, why, caution)


def _id_of(profiles: Iterable[Profile]) -> str | None:
    """The column that names each row: `id` at an end of the name first, then within, then `no`."""
    ranks = {each.name: _id_rank(each) for each in profiles if each.unique}
    usable = [name for name, rank in ranks.items() if rank is not None]
    return min(usable, key=lambda name: ranks[name] or 0, default=None)


def _id_rank(column: Profile) -> int | None:
    """How much a column looks like an id by its name, 0 the most; None where it does not."""
    words = words_of(column.name)
    amounts = column.numbers is not None and not (column.whole and column.numbers.min() >= 0)
    if amounts or PERSONAL_WORDS & set(words):
        return None
    if ID_WORDS & {*words[:1], *words[-1:]}:
        return 0
    if ID_WORDS & set(words):
        return 1
    return 2 if LAST_ID_WORDS & set(words[-1:]) else None


def _second_id(column: Profile) -> ColumnGuess:
    if column.unique:
        return _drop(column, "each value once, but the spec has one id")
    caution = (
        f"{column.name}: values repeat, so rows of one thing may stand on both sides of the split"
    )
    return _drop(column, "named like an id, but values repeat", caution)


def _codes(column: Profile) -> bool:
    """Whether whole numbers are names of something rather than amounts."""
    words = words_of(column.name)
    named = bool({*words[:1], *words[-1:]} & CODE_WORDS)
    return named and column.whole


def _personal(column: Profile) -> str:
    words = PERSONAL_WORDS & set(words_of(column.name))
    if column.numbers is not None:
        long = column.whole and (column.text.str.len() >= 5).mean() >= MOST
        if words & NUMBER_PERSONAL and long and column.distinct > VALUES:
            return "the name says so; hidden in reports, never a feature itself"
        return ""
    for what, pattern in PERSONAL_TEXT.items():
        if column.text.str.fullmatch(pattern).mean() >= MOST:
            return f"the values look like {what}"
    if words and column.distinct > min(VALUES, len(column.text) / 2):
        return "the name says so; hidden in reports, never a feature itself"
    return ""


def _number(column: Profile, numbers: pd.Series) -> ColumnGuess:
    fields: dict[str, Any] = {"role": "numeric"}
    if column.markers:
        fields["missing"] = list(column.markers)
    why = f"numbers, {numbers.min():g} to {numbers.max():g} in the sample{_missing(column)}"
    caution = ""
    if column.odd:
        caution = (
            f"{column.name}: text among the numbers, {_shown(column.odd)}, is taken for missing"
        )
    if (sentinel := _sentinel(numbers)) is not None:
        spelled = column.text[numbers == sentinel]
        listed = ", ".join(f'"{text}"' for text in sorted(spelled.unique()))
        caution = (
            f"{column.name}: {sentinel:g} stands in {len(spelled):,} rows; if it means missing,"
            f" write `missing: [{listed}]`"
        )
    return ColumnGuess(column.name, fields, why, caution)


def _sentinel(numbers: pd.Series) -> float | None:
    """A number that looks like `missing`: a known one, repeated, far away from all the others."""
    for value in {numbers.min(), numbers.max()} & {float(number) for number in SENTINELS}:
        others = numbers[numbers != value]
        repeated = len(numbers) - len(others) >= 3
        below = value < 0 <= others.min()
        above = value > 0 and value > 3 * np.abs(others).max()
        if repeated and len(others) and (below or above):
            return float(value)
    return None


def _text(column: Profile) -> ColumnGuess:
    if column.numbers is None:
        if column.text.str.fullmatch(DATE).mean() >= MOST:
            return _drop(column, "dates; deliver a number made of them, such as days since")
        if column.text.str.fullmatch(DRESSED).mean() >= MOST:
            caution = f"{column.name}: numbers with signs or separators; have them delivered plain"
            return _drop(column, "numbers, but not written plainly", caution)
    counts = column.text.value_counts()
    labels = spellings_of(counts, {value: same_label(value) for value in counts.index})
    rows = len(column.text)
    if len(labels) > rows / 2 or (len(labels) > VALUES and rows / len(labels) < ROWS_A_LABEL):
        return _drop(column, f"text with {len(labels):,} different values in {rows:,} rows")
    return _category(column, labels, counts)


def _category(column: Profile, labels: dict[str, list[str]], counts: pd.Series) -> ColumnGuess:
    fields: dict[str, Any] = {"role": "categorical"}
    # Good and Turing: the share of labels seen once estimates the chance of one not seen yet.
    once = sum(counts[[label, *others]].sum() == 1 for label, others in labels.items())
    listed = len(labels) <= VALUES and once <= UNSEEN * len(column.text)
    if listed:
        fields["values"] = sorted(labels)
    if spelled := {label: others for label, others in labels.items() if others}:
        fields["spellings"] = spelled
    if column.markers:
        fields["missing"] = list(column.markers)
    if len(labels) == 2:
        fields["encoding"] = "label"
    if column.missing > 0.05:  # so many may mean something: a category of their own
        fields["impute"] = "category"
    kind = "codes" if column.numbers is not None else "text"
    why = f"{kind} with {len(labels):,} values{_missing(column)}"
    if spelled:
        why += "; case and blanks are taken for spelling"
    if not listed:
        why += "; not listed, the sample need not show all"
    return ColumnGuess(column.name, fields, why)


def _missing(column: Profile) -> str:
    share = 100 * column.missing
    return f", {share:.1f} % missing" if share >= 0.05 else ", hardly any missing" if share else ""


def _shown(values: Iterable[str]) -> str:
    return ", ".join(repr(value[:20]) for value in values)
