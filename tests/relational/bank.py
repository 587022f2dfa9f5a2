"""The seven tables of a small bank in the columns of `home_credit`: made up, seeded."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence

from millrace.datasets import RelationalSpec

Rows = list[dict[str, str]]

LABELS = {
    "STATUS": ["0", "1", "2", "5", "C", "X"],
    "CREDIT_ACTIVE": ["Active", "Closed", "Sold"],
    "CREDIT_TYPE": ["Consumer credit", "Credit card", "Mortgage"],
    "CODE_GENDER": ["F", "M"],
    "NAME_YIELD_GROUP": ["high", "low_normal", "XNA"],
    "CODE_REJECT_REASON": ["HC", "XAP", "SCO"],
}
STATUS = {
    "previous_application": ["Approved", "Refused", "Canceled"],
    "POS_CASH_balance": ["Active", "Completed", "Demand"],
    "credit_card_balance": ["Active", "Completed"],
}
WITHOUT_HISTORY = 3  # the first applicants appear in no other table


def tables(spec: RelationalSpec, applicants: int = 120, seed: int = 0) -> dict[str, Rows]:
    """Rows of every table; each key is there once."""
    rng = random.Random(seed)
    ids = [str(100_001 + i) for i in range(applicants)]
    made: dict[str, Rows] = {"application": [_applicant(spec, one, rng) for one in ids]}
    known = ids[WITHOUT_HISTORY:]
    made["bureau"] = [
        _row(spec, "bureau", rng, SK_ID_CURR=rng.choice(known), SK_ID_BUREAU=str(5_000_000 + i))
        for i in range(3 * applicants)
    ]
    made["bureau_balance"] = [
        _row(spec, "bureau_balance", rng, SK_ID_BUREAU=credit["SK_ID_BUREAU"],
             MONTHS_BALANCE=str(-month))
        for credit in made["bureau"][::2] for month in range(rng.randint(1, 20))
    ]  # fmt: skip
    made["previous_application"] = [
        _row(spec, "previous_application", rng, SK_ID_CURR=rng.choice(known),
             SK_ID_PREV=str(2_000_000 + i))
        for i in range(2 * applicants)
    ]  # fmt: skip
    loans = made["previous_application"]
    for name, part in (("POS_CASH_balance", loans[::2]), ("credit_card_balance", loans[1::4])):
        made[name] = [
            _row(spec, name, rng, **_of(loan), MONTHS_BALANCE=str(-month))
            for loan in part for month in range(1, rng.randint(2, 15))
        ]  # fmt: skip
    made["installments_payments"] = [
        _payment(spec, loan, number, rng) for loan in loans for number in range(rng.randint(0, 6))
    ]
    return made


def _of(loan: Mapping[str, str]) -> dict[str, str]:
    return {name: loan[name] for name in ("SK_ID_CURR", "SK_ID_PREV")}


def _applicant(spec: RelationalSpec, one: str, rng: random.Random) -> dict[str, str]:
    score = rng.random()
    fixed = {
        "SK_ID_CURR": one,
        "DAYS_BIRTH": str(-rng.randint(20 * 366, 65 * 366)),
        "DAYS_EMPLOYED": rng.choice(["365243", str(-rng.randint(1, 5000))]),
        "EXT_SOURCE_2": repr(score),
        "CNT_CHILDREN": str(rng.randint(0, 3)),
        "AMT_CREDIT": f"{rng.randint(50, 900) * 1000}.5",
        spec.target.column: str(int(rng.random() < 0.9 - 0.8 * score)),
    }
    return _row(spec, "application", rng, **fixed)


def _payment(
    spec: RelationalSpec, loan: Mapping[str, str], number: int, rng: random.Random
) -> dict[str, str]:
    due = -rng.randint(1, 900)
    fixed = {
        "NUM_INSTALMENT_NUMBER": str(number),
        "DAYS_INSTALMENT": f"{due}.0",
        "DAYS_ENTRY_PAYMENT": f"{due + rng.randint(-9, 20)}.0",
    }
    return _row(spec, "installments_payments", rng, **_of(loan), **fixed)


def _row(spec: RelationalSpec, table: str, rng: random.Random, **fixed: str) -> dict[str, str]:
    columns = spec.tables[table].columns
    row: dict[str, str] = {}
    for kind, names in columns.model_dump().items():
        for name in names:
            labels = STATUS[table] if name == "NAME_CONTRACT_STATUS" else LABELS.get(name)
            row[name] = (
                "" if rng.random() < 0.15 else _value(kind, labels or ["a", "b, c", 'd"e'], rng)
            )
    return row | fixed


def _value(kind: str, labels: Sequence[str], rng: random.Random) -> str:
    if kind == "text":
        return rng.choice(labels)
    if kind == "integer":
        return str(rng.choice([rng.randint(-900, -1), rng.randint(0, 3), 0]))
    return f"{rng.random() * 100_000:.3f}" if kind == "amount" else repr(rng.random())


def texts(spec: RelationalSpec, made: Mapping[str, Rows], bom: bool = False) -> dict[str, str]:
    """The tables as CSV files by name; `bom`: with a byte-order mark."""
    files: dict[str, str] = {}
    for table, rows in made.items():
        name = spec.tables[table].files.replace("*", "")
        out = io.StringIO(newline="")
        out.write("\ufeff" if bom else "")
        header = list(rows[0]) if rows else columns_of(spec, table)
        writer = csv.DictWriter(out, header)
        writer.writeheader()
        writer.writerows(rows)
        files[name] = out.getvalue()
    return files


def columns_of(spec: RelationalSpec, table: str) -> list[str]:
    """The header of a table."""
    target = [spec.target.column] if table == spec.entity else []
    return [*spec.tables[table].columns.types(), *target]


def shuffled(made: Mapping[str, Rows], seed: int) -> dict[str, Rows]:
    """The same rows of every table in another order."""
    rng = random.Random(seed)
    return {table: rng.sample(rows, len(rows)) for table, rows in made.items()}
