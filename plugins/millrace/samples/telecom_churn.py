"""Sample of the IBM Telco churn data: customers, their services, their bills, and who left.

Shares, coefficients (of logistic fits) and prices are rounded from the real file.
"""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray

from millrace.samples.draws import choose, happens, pick, shortest, texts

type Mask = NDArray[np.bool_]
type Numbers = NDArray[np.float64]

NO_YES = texts(["No", "Yes"])
INTERNET = texts(["DSL", "Fiber optic", "No"])
CONTRACT = texts(["Month-to-month", "One year", "Two year"])
PAYMENT = texts(
    ["Bank transfer (automatic)", "Credit card (automatic)", "Electronic check", "Mailed check"]
)
NEW_SHARE = 11 / 7043  # customers with tenure 0, who have no bill yet

INTERNET_SHARE = [[0.366, 0.384, 0.250], [0.227, 0.728, 0.045]]  # by SeniorCitizen
PAPERLESS_SHARE = np.array([[0.59, 0.53, 0.49], [0.79, 0.74, 0.71], [0.33, 0.27, 0.27]])
PAYMENT_SHARE = [  # by internet service, then by contract
    [0.16, 0.15, 0.39, 0.30], [0.25, 0.30, 0.20, 0.24], [0.36, 0.38, 0.09, 0.17],
    [0.15, 0.14, 0.61, 0.10], [0.29, 0.28, 0.36, 0.07], [0.38, 0.36, 0.21, 0.05],
    [0.12, 0.12, 0.13, 0.62], [0.24, 0.21, 0.10, 0.45], [0.28, 0.30, 0.03, 0.39],
]  # fmt: skip
# Service: price, then the logit of having it: constant, per 72 months, fiber, 1-year, 2-year.
SERVICES = {
    "OnlineSecurity": (5, -1.27, 1.69, -0.88, 0.56, 1.04),
    "OnlineBackup": (5, -1.53, 2.54, -0.03, 0.13, 0.21),
    "DeviceProtection": (5, -1.57, 1.75, 0.20, 0.69, 1.26),
    "TechSupport": (5, -1.17, 1.03, -0.72, 0.90, 1.90),
    "StreamingTV": (10, -1.50, 1.37, 0.93, 0.52, 0.90),
    "StreamingMovies": (10, -1.45, 1.44, 0.86, 0.55, 0.93),
}


def draw(rng: np.random.Generator, rows: int) -> dict[str, list[object]]:
    """Draw `rows` customers, by column name."""
    senior = rng.random(rows) < 0.162
    partner = rng.random(rows) < np.where(senior, 0.50, 0.48)
    dependents = rng.random(rows) < np.select(
        [senior & partner, senior, partner], [0.145, 0.014, 0.589], 0.115
    )
    tenure = _tenure(rng, partner, dependents)
    internet = pick(rng, INTERNET_SHARE, senior.astype(int))
    contract = _contract(rng, tenure, internet, dependents, senior)
    phone = (internet != 0) | (rng.random(rows) < 0.718)
    lines = phone & happens(
        rng, 2.55 * tenure / 72 + np.array([0.83, 1.87, 0.0])[internet] + 0.4 * senior - 2.5
    )
    services = _services(rng, tenure, internet, contract)
    paperless = rng.random(rows) < PAPERLESS_SHARE[internet, contract]
    payment = pick(rng, PAYMENT_SHARE, 3 * internet + contract)
    monthly = _monthly(rng, phone, lines, internet, services)
    churn = (tenure > 0) & happens(
        rng,
        _leaving(tenure, contract, internet, services)
        + 0.22 * senior - 0.13 * dependents + 0.37 * lines - 0.53 * phone
        + 0.35 * paperless + np.array([0.13, 0.05, 0.39, 0.0])[payment],
    )  # fmt: skip
    offline = internet == 2
    columns = {
        "customerID": _identifiers(rng, rows),
        "gender": texts(["Female", "Male"])[rng.integers(0, 2, rows)],
        "SeniorCitizen": senior.astype(int),
        "Partner": NO_YES[partner.astype(int)],
        "Dependents": NO_YES[dependents.astype(int)],
        "tenure": tenure,
        "PhoneService": NO_YES[phone.astype(int)],
        "MultipleLines": np.where(phone, NO_YES[lines.astype(int)], "No phone service"),
        "InternetService": INTERNET[internet],
        "Contract": CONTRACT[contract],
        "PaperlessBilling": NO_YES[paperless.astype(int)],
        "PaymentMethod": PAYMENT[payment],
        "MonthlyCharges": shortest(monthly),
        "TotalCharges": _total(rng, tenure, monthly),
        "Churn": NO_YES[churn.astype(int)],
    }
    for name, has in services.items():
        columns[name] = np.where(offline, "No internet service", NO_YES[has.astype(int)])
    return {name: values.tolist() for name, values in columns.items()}


def _tenure(rng: np.random.Generator, partner: Mask, dependents: Mask) -> NDArray[np.intp]:
    """Months as a customer, many near 1 and 72; exactly 0 for the share of new customers."""
    life = rng.beta(np.where(partner, 0.726, 0.455), np.where(partner, 0.518, 0.945))
    tenure = np.clip(np.ceil(72 * life), 1, 72).astype(int)
    tenure[choose(rng, np.where(dependents, 1.0, 1e-6), NEW_SHARE)] = 0
    return tenure


def _contract(
    rng: np.random.Generator,
    tenure: NDArray[np.intp],
    internet: NDArray[np.intp],
    dependents: Mask,
    senior: Mask,
) -> NDArray[np.intp]:
    """0, 1 or 2 by a multinomial logit (largest of the utilities plus Gumbel noise)."""
    life = tenure / 72
    one = 5.43 * life - np.array([1.15, 2.41, 0])[internet] + 0.48 * dependents - 0.65 * senior
    two = 9.52 * life - np.array([2.32, 4.25, 0])[internet] + 0.79 * dependents - 1.10 * senior
    utility = np.stack([np.zeros(len(life)), one - 1.74, two - 3.5])
    contract = np.argmax(utility + rng.gumbel(size=utility.shape), axis=0)
    return np.where(tenure == 0, 2, contract)


def _services(
    rng: np.random.Generator,
    tenure: NDArray[np.intp],
    internet: NDArray[np.intp],
    contract: NDArray[np.intp],
) -> dict[str, Mask]:
    """Which internet services each customer has; a shared taste makes them go together."""
    taste = rng.normal(0, 0.7, len(tenure))
    return {
        name: (internet != 2)
        & happens(
            rng,
            constant + life * tenure / 72 + fiber * (internet == 1)
            + np.array([0, one, two])[contract] + taste,
        )
        for name, (_, constant, life, fiber, one, two) in SERVICES.items()
    }  # fmt: skip


def _monthly(
    rng: np.random.Generator,
    phone: Mask,
    lines: Mask,
    internet: NDArray[np.intp],
    services: dict[str, Mask],
) -> Numbers:
    """Monthly charge in dollars: list prices plus noise, to the nearest 5 cents."""
    price: Numbers = 20.0 * phone + 5.0 * lines + np.array([25.0, 50.0, 0.0])[internet]
    for name, has in services.items():
        price = price + SERVICES[name][0] * has
    price = np.clip(price + rng.normal(0, 1.0, len(price)), 18.25, 118.75)
    return np.round(np.rint(price * 20) / 20, 2)


def _total(
    rng: np.random.Generator, tenure: NDArray[np.intp], monthly: Numbers
) -> NDArray[np.object_]:
    """Charges so far: about tenure times the monthly charge; a single space for new customers."""
    drift = np.where(tenure > 1, rng.normal(0, 0.17, len(tenure)) * np.sqrt(tenure), 0)
    total = np.maximum(monthly * (tenure + drift), monthly)
    return np.where(tenure == 0, " ", shortest(np.round(np.rint(total * 20) / 20, 2)))


def _leaving(
    tenure: NDArray[np.intp],
    contract: NDArray[np.intp],
    internet: NDArray[np.intp],
    services: dict[str, Mask],
) -> Numbers:
    """The part of the logit of churn that tenure, contract and internet services explain."""
    logit: Numbers = -0.05 - 0.75 * np.log1p(tenure) + 0.13 * tenure / 72
    logit += np.array([0.0, -0.7, -1.7])[contract] + np.array([0.82, 1.76, 0.0])[internet]
    logit -= 0.32 * services["OnlineSecurity"] + 0.28 * services["TechSupport"]
    logit += 0.30 * services["StreamingTV"] + 0.32 * services["StreamingMovies"]
    logit -= 0.13 * services["OnlineBackup"]
    return logit


def _identifiers(rng: np.random.Generator, rows: int) -> NDArray[np.object_]:
    """Different customer ids such as `7590-VHVEG`: four digits and five capital letters."""
    numbers = rng.choice(10_000 * 26**5, rows, replace=False)
    text = texts([f"{number:04d}-" for number in range(10_000)])[numbers // 26**5]
    letters = texts(list(string.ascii_uppercase))
    for place in range(5):
        text = text + letters[numbers // 26**place % 26]
    return text
