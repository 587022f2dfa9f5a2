"""Sample of the loan default teaching set: two classes that a straight line almost separates.

Shares, means and coefficients are rounded from the real file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from millrace.samples.draws import happens, shortest

# Customers with 0 to 5 open credit lines: their share, and their debt as a fraction of income.
LINES_SHARE = np.array([0.4128, 0.2590, 0.0902, 0.0599, 0.0484, 0.1297])
DEBT_MEAN = np.array([0.0592, 0.1023, 0.1426, 0.1890, 0.2352, 0.2895])
DEBT_SPREAD = np.array([0.0262, 0.0180, 0.0234, 0.0204, 0.0240, 0.0269])


def draw(rng: np.random.Generator, rows: int) -> dict[str, list[object]]:
    """Draw `rows` customers, by column name."""
    fico_z, years_z, lines_z = _correlated(rng, rows)
    fico = np.clip(np.rint(637.6 + 60.7 * fico_z), 300, 850).astype(int)
    years = np.clip(np.rint(4.55 + 1.55 * years_z), 0, 10).astype(int)
    lines = np.searchsorted(np.quantile(lines_z, np.cumsum(LINES_SHARE)[:-1]), lines_z)
    income = np.maximum(rng.normal(70_000, 20_000, rows), 1_000)
    loan = income * np.maximum(rng.normal(0.0594, 0.0106, rows), 0.012)
    debt = income * np.maximum(rng.normal(DEBT_MEAN[lines], DEBT_SPREAD[lines]), 0.01)
    default = happens(rng, _risk(lines, loan, debt, income, years, fico))
    return {
        "customer_id": (1_000_000 + rng.choice(8_000_000, rows, replace=False)).tolist(),
        "credit_lines_outstanding": lines.tolist(),
        "loan_amt_outstanding": shortest(loan).tolist(),
        "total_debt_outstanding": shortest(debt).tolist(),
        "income": shortest(income).tolist(),
        "years_employed": years.tolist(),
        "fico_score": fico.tolist(),
        "default": default.astype(int).tolist(),
    }


def _correlated(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """Standard normal scores behind FICO, years employed and credit lines, of shape (3, rows)."""
    correlation = [[1.0, 0.26, -0.30], [0.26, 1.0, -0.14], [-0.30, -0.14, 1.0]]
    return rng.multivariate_normal([0, 0, 0], correlation, rows, method="cholesky").T


def _risk(
    lines: NDArray[np.intp],
    loan: NDArray[np.float64],
    debt: NDArray[np.float64],
    income: NDArray[np.float64],
    years: NDArray[np.intp],
    fico: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Logit of default. The factor 6 makes it steep: few customers have an uncertain outcome."""
    risk: NDArray[np.float64] = (
        5.1 * lines
        + 63 * debt / income
        + 20 * loan / income
        - 2.0 * years
        - 0.023 * (fico - 640)
        - 22.7
    )
    return 6 * risk
