"""One person in a data set, and which rows are that person's."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from millrace.datasets import ROW_ID, AnySpec, DatasetSpec, RelationalSpec
from millrace.errors import MillraceError

Doom = Mapping[str, frozenset[str]]
"""For a column the values of which a row is erased; one column is enough."""


class ErasureError(MillraceError):
    """Somebody cannot be erased; the message says what to do, and never whom."""


@dataclass(frozen=True, repr=False)
class Subject:
    """One person of a data set.

    Attributes:
        identifier: the value of the spec's id column, trimmed.
        pseudonym: HMAC-SHA256 of data set and identifier under the installation's key, 64 hex
            digits: equal for the same person, and of no use to who lacks the key.
    """

    dataset: str
    identifier: str
    pseudonym: str

    @classmethod
    def of(cls, spec: AnySpec, identifier: str, key: bytes) -> Subject:
        """The person whom `identifier` names.

        Raises:
            ErasureError: the data set names nobody, or the identifier is empty.
        """
        if not isinstance(spec, DatasetSpec | RelationalSpec) or spec.id_column is None:
            raise ErasureError(
                f"{spec.name} has no column with the role id, so no row can be told to be"
                " somebody's; give the column that names a person that role"
            )
        found = canonical(identifier)
        if not found or any(mark in found for mark in "\r\n\0"):
            raise ErasureError(f"the identifier for {spec.name} is empty or no single line of text")
        digest = hmac.new(key, f"{spec.name}\0{found}".encode(), hashlib.sha256).hexdigest()
        return cls(spec.name, found, digest)

    def __repr__(self) -> str:
        """Without the identifier: this reaches logs and tracebacks."""
        return f"Subject({self.dataset}, {self.pseudonym[:12]})"


def canonical(text: str) -> str:
    """An identifier as it is compared: trimmed, and a whole number without `+`, zeros and `.0`.

    Typed tables hold the number 100001 for the texts `0100001` and `100001.0` of a raw file.
    """
    text = text.strip().strip("\ufeff").strip()
    if text.isdecimal() and text.isascii() and text[0] != "0":  # most of them
        return text
    if whole := re.fullmatch(r"([+-]?)0*(\d+)(?:\.0*)?", text):
        return f"{'-' if whole[1] == '-' and whole[2] != '0' else ''}{whole[2]}"
    return text


def doomed_fields(names: list[str], doom: Doom) -> list[tuple[int, frozenset[str]]]:
    """Which fields of a record decide whether it is erased, and the values that doom it."""
    return [(place, doom[name]) for place, name in enumerate(names) if name in doom]


def is_doomed(record: list[str], fields: list[tuple[int, frozenset[str]]]) -> bool:
    """Whether a record is to be erased; a field that it lacks dooms nothing."""
    return any(place < len(record) and canonical(record[place]) in ids for place, ids in fields)


def doom_of_rows(spec: AnySpec, subject: Subject) -> Doom:
    """What marks the subject's rows in everything made of one row a subject."""
    ids = frozenset({subject.identifier})
    column = spec.id_column if isinstance(spec, DatasetSpec | RelationalSpec) else None
    return {ROW_ID: ids, **({column: ids} if column else {})}
