"""The usual way to features of Home Credit: pandas, table by table, group by and aggregate.

    usual_sql_features.py <folder of CSV files> <Parquet file for the features>

The pattern of the well-known public notebooks, in our own words: read a table whole, turn text into
one column a value, aggregate every column to the applicant by min, max, mean, sum and variance, do
the same for a few subsets (active and closed credits, approved and refused applications), and join.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

source, target = Path(sys.argv[1]), sys.argv[2]
NEVER = 365243


def one_hot(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    texts = [name for name in table if table[name].dtype.kind not in "biuf"]
    coded = pd.get_dummies(table, columns=texts, dummy_na=True)
    return coded, [name for name in coded if name not in set(table)]


def aggregate(
    table: pd.DataFrame, key: str, numbers: dict[str, list[str]], texts: list[str], prefix: str
) -> pd.DataFrame:
    how = {**numbers, **{name: ["mean"] for name in texts}}
    found = table.groupby(key).agg(how)
    found.columns = [f"{prefix}_{name}_{what}".upper() for name, what in found.columns]
    return found


def application() -> pd.DataFrame:
    table = pd.read_csv(source / "application_train.csv")
    for name in ("CODE_GENDER", "FLAG_OWN_CAR", "FLAG_OWN_REALTY"):
        table[name] = pd.factorize(table[name])[0]
    table, _ = one_hot(table)
    table["DAYS_EMPLOYED"] = table["DAYS_EMPLOYED"].replace(NEVER, np.nan)
    table["EMPLOYED_SHARE"] = table["DAYS_EMPLOYED"] / table["DAYS_BIRTH"]
    table["INCOME_CREDIT"] = table["AMT_INCOME_TOTAL"] / table["AMT_CREDIT"]
    table["INCOME_PERSON"] = table["AMT_INCOME_TOTAL"] / table["CNT_FAM_MEMBERS"]
    table["ANNUITY_INCOME"] = table["AMT_ANNUITY"] / table["AMT_INCOME_TOTAL"]
    table["PAYMENT_RATE"] = table["AMT_ANNUITY"] / table["AMT_CREDIT"]
    return table.set_index("SK_ID_CURR")


def bureau() -> pd.DataFrame:
    months, month_texts = one_hot(pd.read_csv(source / "bureau_balance.csv"))
    months = aggregate(
        months, "SK_ID_BUREAU", {"MONTHS_BALANCE": ["min", "max", "size"]}, month_texts, "bb"
    )
    table, texts = one_hot(pd.read_csv(source / "bureau.csv"))
    table = table.join(months, on="SK_ID_BUREAU")
    numbers = {
        "DAYS_CREDIT": ["min", "max", "mean", "var"],
        "DAYS_CREDIT_ENDDATE": ["min", "max", "mean"],
        "DAYS_CREDIT_UPDATE": ["mean"],
        "CREDIT_DAY_OVERDUE": ["max", "mean"],
        "AMT_CREDIT_MAX_OVERDUE": ["mean"],
        "AMT_CREDIT_SUM": ["max", "mean", "sum"],
        "AMT_CREDIT_SUM_DEBT": ["max", "mean", "sum"],
        "AMT_CREDIT_SUM_OVERDUE": ["mean"],
        "AMT_CREDIT_SUM_LIMIT": ["mean", "sum"],
        "AMT_ANNUITY": ["max", "mean"],
        "CNT_CREDIT_PROLONG": ["sum"],
        "BB_MONTHS_BALANCE_MIN": ["min"],
        "BB_MONTHS_BALANCE_MAX": ["max"],
        "BB_MONTHS_BALANCE_SIZE": ["mean", "sum"],
    }
    month_means = [name for name in months if name.endswith("_MEAN")]
    found = aggregate(table, "SK_ID_CURR", numbers, [*texts, *month_means], "bureau")
    for status in ("Active", "Closed"):
        part = table[table[f"CREDIT_ACTIVE_{status}"]]
        found = found.join(aggregate(part, "SK_ID_CURR", numbers, [], status))
    return found


def previous() -> pd.DataFrame:
    table, texts = one_hot(pd.read_csv(source / "previous_application.csv"))
    days = [name for name in table if name.startswith("DAYS_") and name != "DAYS_DECISION"]
    table[days] = table[days].replace(NEVER, np.nan)
    table["APP_CREDIT"] = table["AMT_APPLICATION"] / table["AMT_CREDIT"]
    numbers = {
        name: ["min", "max", "mean"]
        for name in ("AMT_ANNUITY", "AMT_APPLICATION", "AMT_CREDIT", "APP_CREDIT",
                     "AMT_DOWN_PAYMENT", "AMT_GOODS_PRICE", "HOUR_APPR_PROCESS_START",
                     "RATE_DOWN_PAYMENT", "DAYS_DECISION")
    } | {"CNT_PAYMENT": ["mean", "sum"]}  # fmt: skip
    found = aggregate(table, "SK_ID_CURR", numbers, texts, "prev")
    for status in ("Approved", "Refused"):
        part = table[table[f"NAME_CONTRACT_STATUS_{status}"]]
        found = found.join(aggregate(part, "SK_ID_CURR", numbers, [], status))
    return found


def pos() -> pd.DataFrame:
    table, texts = one_hot(pd.read_csv(source / "POS_CASH_balance.csv"))
    numbers = {
        "MONTHS_BALANCE": ["max", "mean", "size"], "SK_DPD": ["max", "mean"],
        "SK_DPD_DEF": ["max", "mean"],
    }  # fmt: skip
    return aggregate(table, "SK_ID_CURR", numbers, texts, "pos")


def installments() -> pd.DataFrame:
    table = pd.read_csv(source / "installments_payments.csv")
    table["PAYMENT_SHARE"] = table["AMT_PAYMENT"] / table["AMT_INSTALMENT"]
    table["PAYMENT_LEFT"] = table["AMT_INSTALMENT"] - table["AMT_PAYMENT"]
    delay = table["DAYS_ENTRY_PAYMENT"] - table["DAYS_INSTALMENT"]
    table["DAYS_LATE"], table["DAYS_EARLY"] = delay.clip(lower=0), (-delay).clip(lower=0)
    numbers = {
        "NUM_INSTALMENT_VERSION": ["nunique"],
        "DAYS_LATE": ["max", "mean", "sum"], "DAYS_EARLY": ["max", "mean", "sum"],
        "PAYMENT_SHARE": ["max", "mean", "sum", "var"],
        "PAYMENT_LEFT": ["max", "mean", "sum", "var"],
        "AMT_INSTALMENT": ["max", "mean", "sum"], "AMT_PAYMENT": ["min", "max", "mean", "sum"],
        "DAYS_ENTRY_PAYMENT": ["max", "mean", "sum"], "SK_ID_PREV": ["size"],
    }  # fmt: skip
    return aggregate(table, "SK_ID_CURR", numbers, [], "inst")


def cards() -> pd.DataFrame:
    table, _ = one_hot(pd.read_csv(source / "credit_card_balance.csv"))
    table = table.drop(columns="SK_ID_PREV")
    every = {name: ["min", "max", "mean", "sum", "var"] for name in table if name != "SK_ID_CURR"}
    return aggregate(table, "SK_ID_CURR", every, [], "card")


began = time.monotonic()
features = application()
for make in (bureau, previous, pos, installments, cards):
    features = features.join(make())
features.to_parquet(target)
print(json.dumps({
    "seconds": time.monotonic() - began, "rows": len(features), "columns": features.shape[1] - 1,
}))  # fmt: skip
