"""The table `application`: one row for each applicant, with the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from millrace.samples.draws import choose
from millrace.samples.home_credit.rows import Floats, Ints, Rows

DEFAULTS = 0.0807  # share of the target
NOT_EMPLOYED = 365243  # days
LOADS = {  # correlation with the risk that an application shows
    "EXT_SOURCE_1": -0.64, "EXT_SOURCE_2": -0.6, "EXT_SOURCE_3": -0.62, "DAYS_BIRTH": 0.24,
    "DAYS_REGISTRATION": 0.1, "DAYS_ID_PUBLISH": 0.14, "DAYS_LAST_PHONE_CHANGE": 0.16,
    "REGION_RATING_CLIENT": 0.17, "REGION_RATING_CLIENT_W_CITY": 0.18, "DAYS_EMPLOYED": 0.2,
    "REGION_POPULATION_RELATIVE": -0.1, "CODE_GENDER": 0.15, "NAME_EDUCATION_TYPE": -0.17,
    "REG_CITY_NOT_WORK_CITY": 0.14, "REG_CITY_NOT_LIVE_CITY": 0.12, "FLAG_DOCUMENT_3": 0.12,
    "DEF_30_CNT_SOCIAL_CIRCLE": 0.09, "DEF_60_CNT_SOCIAL_CIRCLE": 0.09, "OWN_CAR_AGE": 0.1,
    "AMT_REQ_CREDIT_BUREAU_YEAR": 0.06,
}  # fmt: skip
BUILDING = 47  # columns about the building from APARTMENTS_AVG to EMERGENCYSTATE_MODE


@dataclass(frozen=True)
class Applicants:
    """What the other tables need to know of the applicants of one chunk.

    Attributes:
        ids: SK_ID_CURR.
        debt, habit: standard normal; the more, the more indebted elsewhere, and the later paid.
    """

    ids: Ints
    debt: Floats
    habit: Floats


def draw(rng: np.random.Generator, start: int, count: int) -> tuple[Applicants, Rows]:
    """The applicants `start` to `start + count`, and their rows."""
    shown, debt, habit, size = rng.standard_normal((4, count))
    numbers = np.arange(start, start + count, dtype=np.int64)
    people = Applicants(100_002 + numbers * 356_254 // 307_511, debt, habit)
    rows = Rows("application", rng, count)
    rows["SK_ID_CURR"] = people.ids
    rows["TARGET"] = choose(rng, np.exp(1.25 * shown + 0.55 * debt + 0.6 * habit), DEFAULTS)
    _building(rows)
    loads = {name: (shown, load) for name, load in LOADS.items()}
    loads |= {"AMT_CREDIT": (size, 0.98), "AMT_GOODS_PRICE": (size, 0.98),
              "AMT_ANNUITY": (size, 0.78), "AMT_INCOME_TOTAL": (size, 0.4)}  # fmt: skip
    rows.draw(loads)
    _consistent(rows)
    return people, rows


def _building(rows: Rows) -> None:
    """Figures of the building: the three of a kind agree, and tend to be missing together."""
    quality, unknown = rows.rng.standard_normal((2, rows.count))
    names = list(rows.profile)
    first = names.index("APARTMENTS_AVG")
    drawn: dict[str, tuple[Floats, Floats]] = {}
    for name in names[first : first + BUILDING]:
        kind = name.rpartition("_")[0]
        if kind not in drawn:
            gone = ndtr(0.95 * unknown + 0.31 * rows.rng.standard_normal(rows.count))
            drawn[kind] = (rows.rank(quality, 0.6), gone)
        ranks, gone = drawn[kind]
        rows[name] = rows.at(name, ranks)
        rows.blank(name, gone < rows.profile[name]["missing"])


def _consistent(rows: Rows) -> None:
    """Bring columns that depend on each other into line."""
    rng, count = rows.rng, rows.count
    idle = rows.has("NAME_INCOME_TYPE", "Pensioner", "Unemployed")
    rows["DAYS_EMPLOYED"] = np.where(
        idle, NOT_EMPLOYED, np.maximum(rows["DAYS_EMPLOYED"], rows["DAYS_BIRTH"] + 6_000)
    )
    rows["FLAG_EMP_PHONE"] = ~idle
    rows.put("ORGANIZATION_TYPE", idle, "XNA")
    rows["OCCUPATION_TYPE"] = rows.at("OCCUPATION_TYPE", rng.random(count))
    rows.blank("OCCUPATION_TYPE", idle | (rng.random(count) < 0.162))
    rows["OWN_CAR_AGE"] = rows.at("OWN_CAR_AGE", rng.random(count))
    rows.blank("OWN_CAR_AGE", rows.has("FLAG_OWN_CAR", "N"))
    pair = rows.has("NAME_FAMILY_STATUS", "Married", "Civil marriage")
    rows["CNT_FAM_MEMBERS"] = rows["CNT_CHILDREN"] + 1 + pair
    for days in ("30", "60"):
        seen, bad = f"OBS_{days}_CNT_SOCIAL_CIRCLE", f"DEF_{days}_CNT_SOCIAL_CIRCLE"
        rows[bad] = np.minimum(rows[bad], rows[seen])
    gone = rng.random(count) < rows.profile["AMT_REQ_CREDIT_BUREAU_DAY"]["missing"]
    for name in rows.profile:
        if name.startswith("AMT_REQ_"):
            rows[name] = np.where(gone, np.nan, np.nan_to_num(rows[name]))
