"""The tables of months and payments of approved earlier applications."""

from __future__ import annotations

import numpy as np

from millrace.samples.home_credit.previous import cards
from millrace.samples.home_credit.rows import Floats, Rows, apportion, within

LONGEST = 96  # months


def draw_pos(rng: np.random.Generator, previous: Rows, habit: Floats, total: int) -> Rows:
    """Months of loans, up to the end of each or to the month before the application."""
    loans = previous.has("NAME_CONTRACT_STATUS", "Approved") & ~cards(previous)
    elapsed = np.clip(np.ceil(-previous["DAYS_DECISION"] / 30.4), 1, LONGEST)
    planned = np.nan_to_num(previous["CNT_PAYMENT"], nan=12.0)
    counts = apportion(loans * np.minimum(planned, elapsed), total, LONGEST)
    loan, place = np.repeat(np.arange(previous.count), counts), within(counts)
    last = np.maximum(np.minimum(elapsed - counts + 1, LONGEST + 1 - counts), 1)
    rows = Rows("POS_CASH_balance", rng, len(loan))
    rows["SK_ID_PREV"] = previous["SK_ID_PREV"][loan]
    rows["SK_ID_CURR"] = previous["SK_ID_CURR"][loan]
    rows["MONTHS_BALANCE"] = -(last[loan] + place)
    rows["CNT_INSTALMENT"] = np.maximum(planned, 1)[loan]
    ahead = planned[loan] - (counts[loan] - 1 - place)
    rows["CNT_INSTALMENT_FUTURE"] = np.maximum(ahead, 0)
    rows.draw({})
    rows.put("NAME_CONTRACT_STATUS", np.ones(rows.count, dtype=bool), "Active")
    done = (place == 0) & (last[loan] > 1)
    rows.put("NAME_CONTRACT_STATUS", done, "Completed")
    late = rng.random(rows.count) < np.minimum(0.03 * np.exp(0.8 * habit), 0.6)[loan]
    days = np.ceil(rng.exponential(12, rows.count))
    rows["SK_DPD"] = np.where(late, days, 0)
    rows["SK_DPD_DEF"] = np.where(late & (rng.random(rows.count) < 0.4), days, 0)
    for name in ("CNT_INSTALMENT", "CNT_INSTALMENT_FUTURE"):
        rows.blank(name, rng.random(rows.count) < 0.0026)
    return rows


def draw_installments(rng: np.random.Generator, previous: Rows, habit: Floats, total: int) -> Rows:
    """Payments of loans and cards; some instalments are paid in two parts."""
    approved = previous.has("NAME_CONTRACT_STATUS", "Approved")
    card = cards(previous)
    elapsed = np.clip(np.ceil(-previous["DAYS_DECISION"] / 30.4), 1, LONGEST)
    planned = np.where(card, LONGEST, np.nan_to_num(previous["CNT_PAYMENT"], nan=12.0))
    counts = apportion(approved * np.minimum(planned, elapsed), total)
    loan, place = np.repeat(np.arange(previous.count), counts), within(counts)
    rows = Rows("installments_payments", rng, len(loan))
    rows["SK_ID_PREV"] = previous["SK_ID_PREV"][loan]
    rows["SK_ID_CURR"] = previous["SK_ID_CURR"][loan]
    rows["NUM_INSTALMENT_NUMBER"] = place + 1
    changed = rng.random(rows.count) < 0.1
    rows["NUM_INSTALMENT_VERSION"] = np.where(card[loan], 0, 1 + changed)
    between = np.minimum(30.0, -previous["DAYS_DECISION"] / np.maximum(counts + 1, 1))
    due = np.minimum(np.round(previous["DAYS_DECISION"][loan] + between[loan] * (place + 1)), -1)
    rows["DAYS_INSTALMENT"] = due
    late = rng.random(rows.count) < np.minimum(0.085 * np.exp(0.7 * habit), 0.9)[loan]
    early, after = rng.exponential(11, rows.count), rng.exponential(9, rows.count)
    paid = due + np.where(late, np.ceil(after), -np.floor(early))
    rows["DAYS_ENTRY_PAYMENT"] = np.minimum(paid, -1)
    annuity = np.maximum(np.nan_to_num(previous["AMT_ANNUITY"], nan=9_000.0), 500)[loan]
    rows["AMT_INSTALMENT"] = np.round(annuity, 2)
    short = rng.random(rows.count) < np.minimum(0.09 * np.exp(0.5 * habit), 0.9)[loan]
    part = np.where(short, rng.random(rows.count), 1.0)
    rows["AMT_PAYMENT"] = np.round(annuity * part, 2)
    missed = rng.random(rows.count) < 0.0002
    rows.blank("AMT_PAYMENT", missed)
    rows.blank("DAYS_ENTRY_PAYMENT", missed)
    return rows


def draw_cards(rng: np.random.Generator, previous: Rows, habit: Floats, total: int) -> Rows:
    """Months of credit cards: the limit, what is owed, drawn and paid."""
    card = cards(previous)
    counts = apportion(card * rng.beta(1.1, 1.6, previous.count), total, LONGEST)
    loan, place = np.repeat(np.arange(previous.count), counts), within(counts)
    rows = Rows("credit_card_balance", rng, len(loan))
    rows["SK_ID_PREV"] = previous["SK_ID_PREV"][loan]
    rows["SK_ID_CURR"] = previous["SK_ID_CURR"][loan]
    rows["MONTHS_BALANCE"] = -(place + 1)
    rows.draw({})
    limits = rows.at("AMT_CREDIT_LIMIT_ACTUAL", rng.random(previous.count))
    limit = limits[loan]
    level = 0.7 * habit + 0.7 * rng.standard_normal(previous.count)
    used = level[loan] + 0.4 * rng.standard_normal(rows.count)
    share = np.clip(0.35 * used + 0.12, 0, 1.1)
    balance = np.round(limit * share, 2)
    rows["AMT_CREDIT_LIMIT_ACTUAL"] = limit
    rows["AMT_BALANCE"] = balance
    for name, ratio in (("AMT_RECEIVABLE_PRINCIPAL", 0.96), ("AMT_RECIVABLE", 1.0),
                        ("AMT_TOTAL_RECEIVABLE", 1.0)):  # fmt: skip
        rows[name] = np.round(balance * ratio, 2)
    least = np.where(np.isnan(rows["AMT_INST_MIN_REGULARITY"]), np.nan, np.round(balance * 0.05, 2))
    rows["AMT_INST_MIN_REGULARITY"] = least
    rows["CNT_INSTALMENT_MATURE_CUM"] = np.where(np.isnan(least), np.nan, (counts[loan] - place))
    gone = np.isnan(rows["AMT_DRAWINGS_ATM_CURRENT"])
    drawn = np.zeros(rows.count)
    for kind in ("ATM", "OTHER", "POS"):
        for name in (f"AMT_DRAWINGS_{kind}_CURRENT", f"CNT_DRAWINGS_{kind}_CURRENT"):
            rows[name] = np.where(gone, np.nan, np.nan_to_num(rows[name]))
        drawn += np.nan_to_num(rows[f"AMT_DRAWINGS_{kind}_CURRENT"])
    rows["AMT_DRAWINGS_CURRENT"] = np.round(drawn, 2)
    late = rng.random(rows.count) < np.minimum(0.03 * np.exp(0.8 * habit), 0.6)[loan]
    rows["SK_DPD"] = np.where(late & (balance > 0), np.ceil(rng.exponential(15, rows.count)), 0)
    return rows
