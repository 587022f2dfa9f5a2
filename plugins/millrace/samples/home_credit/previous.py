"""The table `previous_application`: earlier applications at Home Credit."""

from __future__ import annotations

import numpy as np

from millrace.samples.draws import choose
from millrace.samples.home_credit.application import Applicants
from millrace.samples.home_credit.rows import Bools, Floats, Rows, apportion

NO_HISTORY = 0.054  # share of applicants without an earlier application
APPROVED, CARDS = 0.62, 0.1  # share of all, and of the approved
NEVER = 365243  # days
TERMS = (
    "DAYS_FIRST_DRAWING", "DAYS_FIRST_DUE", "DAYS_LAST_DUE_1ST_VERSION", "DAYS_LAST_DUE",
    "DAYS_TERMINATION", "NFLAG_INSURED_ON_APPROVAL",
)  # fmt: skip


def draw(
    rng: np.random.Generator, people: Applicants, first: int, total: int
) -> tuple[Rows, Floats]:
    """Applications with numbers from `first` on, and the habit of who made them."""
    known = rng.random(len(people.ids)) >= NO_HISTORY
    owner = np.repeat(
        np.arange(len(people.ids)), apportion(known * rng.gamma(1.7, 1.0, len(known)), total)
    )
    rows = Rows("previous_application", rng, len(owner))
    habit = people.habit[owner]
    rows["SK_ID_CURR"] = people.ids[owner]
    rows["SK_ID_PREV"] = 1_000_000 + first + np.arange(len(owner))
    size = rng.standard_normal(len(owner))
    rows.draw({"AMT_APPLICATION": (size, 0.95), "AMT_CREDIT": (size, 0.95),
               "AMT_GOODS_PRICE": (size, 0.95), "AMT_ANNUITY": (size, 0.8),
               "CNT_PAYMENT": (size, 0.5), "DAYS_DECISION": (habit, 0.15)})  # fmt: skip
    approved = choose(rng, np.exp(-0.45 * habit), APPROVED)
    _status(rows, habit, approved)
    _terms(rows, approved)
    return rows, habit


def cards(rows: Rows) -> Bools:
    """Which of the approved are credit cards."""
    return rows.has("NAME_CONTRACT_STATUS", "Approved") & rows.has(
        "NAME_CONTRACT_TYPE", "Revolving loans"
    )


def _status(rows: Rows, habit: Floats, approved: Bools) -> None:
    rng, count = rows.rng, rows.count
    refused = rows.rank(habit, 0.4) > 0.6
    unused = rng.random(count) < 0.04
    for where, status in (
        (approved, "Approved"), (~approved & refused, "Refused"),
        (~approved & ~refused, "Canceled"), (~approved & ~refused & unused, "Unused offer"),
    ):  # fmt: skip
        rows.put("NAME_CONTRACT_STATUS", where, status)
    rows.put("CODE_REJECT_REASON", ~rows.has("NAME_CONTRACT_STATUS", "Refused"), "XAP")
    odd = rows.has("NAME_CONTRACT_STATUS", "Refused") & rows.has("CODE_REJECT_REASON", "XAP")
    rows.put("CODE_REJECT_REASON", odd, "HC")
    revolving = np.zeros(count, dtype=bool)
    revolving[approved] = choose(rng, np.ones(int(approved.sum())), CARDS)
    revolving |= ~approved & (rng.random(count) < CARDS)
    consumer = rng.random(count) < np.where(approved, 0.6, 0.18)
    for where, kind in (
        (revolving, "Revolving loans"), (~revolving & consumer, "Consumer loans"),
        (~revolving & ~consumer, "Cash loans"),
    ):  # fmt: skip
        rows.put("NAME_CONTRACT_TYPE", where, kind)
    for where, name in ((revolving, "Cards"), (~revolving & consumer, "POS"),
                        (~revolving & ~consumer, "Cash")):  # fmt: skip
        rows.put("NAME_PORTFOLIO", where & (approved | refused), name)


def _terms(rows: Rows, approved: Bools) -> None:
    """Annuities and days: what was not approved has none, a card has no number of payments."""
    rng, count = rows.rng, rows.count
    rows["AMT_ANNUITY"] = rows.at("AMT_ANNUITY", rng.random(count))
    length = np.maximum(rows.at("CNT_PAYMENT", rng.random(count)), 4)
    length = np.where(cards(rows), 0, length)
    rows["CNT_PAYMENT"] = length
    none = rows.has("NAME_CONTRACT_STATUS", "Canceled", "Unused offer")
    rows.blank("AMT_ANNUITY", none)
    rows.blank("CNT_PAYMENT", none)
    down = rows.has("NAME_CONTRACT_TYPE", "Consumer loans") & (rng.random(count) < 0.95)
    rows["AMT_DOWN_PAYMENT"] = rows.at("AMT_DOWN_PAYMENT", rng.random(count))
    rows["RATE_DOWN_PAYMENT"] = rows.at("RATE_DOWN_PAYMENT", rng.random(count))
    rows.blank("AMT_DOWN_PAYMENT", ~down)
    rows.blank("RATE_DOWN_PAYMENT", ~down)
    began = np.minimum(rows["DAYS_DECISION"] + 31, -1)
    planned = began + 30 * (np.maximum(length, 1) - 1)
    ended = np.minimum(planned, began + np.round(30 * length * rng.uniform(0.5, 1.0, count)))
    rows["DAYS_FIRST_DRAWING"] = np.where(cards(rows), began, NEVER)
    rows["DAYS_FIRST_DUE"] = began
    rows["DAYS_LAST_DUE_1ST_VERSION"] = planned
    rows["DAYS_LAST_DUE"] = np.where(ended < 0, ended, NEVER)
    rows["DAYS_TERMINATION"] = np.where(ended < -7, ended + 7, NEVER)
    insured = rng.random(count) < 0.33
    rows["NFLAG_INSURED_ON_APPROVAL"] = insured
    for name in TERMS:
        rows.blank(name, ~approved)
