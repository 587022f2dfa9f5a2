"""The tables `bureau` and `bureau_balance`: credits with other lenders, and their months."""

from __future__ import annotations

import numpy as np

from millrace.samples.home_credit.application import Applicants
from millrace.samples.home_credit.rows import Floats, Ints, Rows, apportion, within

NO_CREDIT = 0.14  # share of applicants that the bureau does not know
MONTHS = 0.48  # share of credits with a history of months
LONGEST = 97  # months


def draw(
    rng: np.random.Generator, people: Applicants, first: int, credits: int, months: int
) -> tuple[Rows, Rows]:
    """Credits with numbers from `first` on, and `months` rows of their months."""
    known = rng.random(len(people.ids)) >= NO_CREDIT
    weights = known * rng.gamma(1.7, 1.0, len(people.ids)) * np.exp(0.15 * people.debt)
    owner = np.repeat(np.arange(len(people.ids)), apportion(weights, credits))
    rows = Rows("bureau", rng, len(owner))
    debt = people.debt[owner]
    rows["SK_ID_CURR"] = people.ids[owner]
    rows["SK_ID_BUREAU"] = 5_000_000 + first + np.arange(len(owner))
    rows.draw({"DAYS_CREDIT": (debt, 0.35), "CREDIT_ACTIVE": (debt, 0.4),
               "CREDIT_TYPE": (debt, 0.2), "AMT_CREDIT_MAX_OVERDUE": (debt, 0.3)})  # fmt: skip
    _consistent(rows, debt)
    return rows, _months(rows, debt, months)


def _consistent(rows: Rows, debt: Floats) -> None:
    """Ends after beginnings, and debts only where a credit is open."""
    rng, count = rows.rng, rows.count
    began, closed = rows["DAYS_CREDIT"], rows.has("CREDIT_ACTIVE", "Closed")
    planned = np.round(rng.choice([180.0, 365, 730, 1096, 1826, 10_950], count,
                                  p=[0.2, 0.3, 0.22, 0.12, 0.12, 0.04]))  # fmt: skip
    gone = np.isnan(rows["DAYS_CREDIT_ENDDATE"])
    rows["DAYS_CREDIT_ENDDATE"] = np.where(gone, np.nan, began + planned)
    ended = np.minimum(began + np.round(planned * rng.uniform(0.3, 1.05, count)), -2)
    rows["DAYS_ENDDATE_FACT"] = np.where(closed, np.maximum(ended, began), np.nan)
    update = np.where(closed, rows["DAYS_ENDDATE_FACT"], began)
    rows["DAYS_CREDIT_UPDATE"] = np.round(update * rng.random(count) ** 1.5) - 1
    owed = rows["AMT_CREDIT_SUM"] * rows.rank(debt, 0.55) ** 1.4
    owed = np.where(closed, 0, np.round(owed, 2))
    rows["AMT_CREDIT_SUM_DEBT"] = np.where(rng.random(count) < 0.14, np.nan, owed)
    late = ~closed & (rows.rank(debt, 0.35) > 0.97)
    rows["CREDIT_DAY_OVERDUE"] = np.where(late, np.ceil(rng.exponential(60, count)), 0)
    overdue = np.round(0.05 * rows["AMT_CREDIT_SUM"], 1)
    rows["AMT_CREDIT_SUM_OVERDUE"] = np.where(late, overdue, 0)


def _months(credits: Rows, debt: Floats, total: int) -> Rows:
    rng = credits.rng
    weights = (rng.random(credits.count) < MONTHS) * rng.beta(1.2, 2.1, credits.count)
    if total and not weights.any():
        weights = np.ones(credits.count)
    counts = apportion(weights, total, LONGEST)
    credit, place = np.repeat(np.arange(credits.count), counts), within(counts)
    rows = Rows("bureau_balance", rng, len(credit))
    rows["SK_ID_BUREAU"] = credits["SK_ID_BUREAU"][credit]
    rows["MONTHS_BALANCE"] = -place
    rows["STATUS"] = _status(rows, credits, debt, credit, place, counts)
    return rows


def _status(
    rows: Rows, credits: Rows, debt: Floats, credit: Ints, place: Ints, counts: Ints
) -> Floats:
    """Unknown, closed, or 0 to 5: by how far a month is overdue."""
    rng = rows.rng
    codes = {value: code for code, value in enumerate(rows.profile["STATUS"]["values"])}
    unknown = (rng.random(credits.count) < 0.21)[credit]
    share = np.where(credits.has("CREDIT_ACTIVE", "Closed"), rng.beta(2.2, 1.1, credits.count), 0)
    closed = place < np.round(share * counts)[credit]
    late = rng.random(rows.count) < np.minimum(0.022 * np.exp(0.8 * debt), 0.6)[credit]
    worse = np.minimum(rng.geometric(0.72, rows.count), 5)
    level = np.array([codes[str(number)] for number in range(6)])[np.where(late, worse, 0)]
    status: Floats = np.where(closed, codes["C"], np.where(unknown, codes["X"], level)).astype(
        float
    )
    return status
