"""Write the shares and quantiles that the Home Credit sample is drawn from.

Usage: profile_home_credit.py FOLDER > plugins/millrace/samples/home_credit/profile.json
FOLDER holds application_train.csv and random_rows_1000/ with 1,000 rows of each other table. Only
quantiles (three significant digits), shares and missing shares leave it, no row.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PROBABILITIES = (0, 0.01, *(round(0.05 * step, 2) for step in range(1, 20)), 0.99, 1)
CONDITIONAL = {"DAYS_EMPLOYED": 365243, "ORGANIZATION_TYPE": "XNA"}  # set apart by the generator
TABLES = (
    "bureau", "bureau_balance", "previous_application", "POS_CASH_balance",
    "installments_payments", "credit_card_balance",
)  # fmt: skip
VALUES = 40  # up to as many numbers are drawn by their shares


def profile(column: pd.Series) -> dict[str, Any]:
    """Kind, missing share and distribution of one column."""
    if str(column.name).startswith("SK_ID_"):
        return {"kind": "key"}
    missing = round(float(column.isna().mean()), 4)
    column = column.dropna()
    column = column[column != CONDITIONAL.get(str(column.name))]
    number = pd.api.types.is_numeric_dtype(column)
    whole = number and bool((column == column.round()).all())
    found: dict[str, Any] = {
        "kind": ("integer" if whole else "number") if number else "text", "missing": missing,
    }  # fmt: skip
    if not number or column.nunique() <= VALUES:
        shares = column.value_counts(normalize=True)
        shares = shares.sort_index() if number else shares
        found["values"] = [value if not number else float(value) for value in shares.index]
        found["shares"] = [float(f"{share:.2g}") for share in shares]
        if not number and str(column.name) in CONDITIONAL:  # the generator sets it by other columns
            found["values"].append(CONDITIONAL[str(column.name)])
            found["shares"].append(0.0)
    else:
        found["quantiles"] = [float(f"{x:.3g}") for x in np.quantile(column, PROBABILITIES)]
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    tables = {"application": pd.read_csv(folder / "application_train.csv")}
    for name in TABLES:
        tables[name] = pd.read_csv(folder / "random_rows_1000" / f"{name}.csv", index_col=0)
    profiles = {
        name: {str(column): profile(table[column]) for column in table}
        for name, table in tables.items()
    }
    json.dump({"probabilities": PROBABILITIES, "tables": profiles}, sys.stdout, indent=None)


if __name__ == "__main__":
    main()
