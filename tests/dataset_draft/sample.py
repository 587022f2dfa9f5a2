"""A sample file made for a test, and the roles of what is drafted from it."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path

from millrace.datasets import DatasetSpec

ROLES = ("id", "numeric", "categorical", "personal", "outcome", "drop")


def roles(spec: DatasetSpec) -> dict[str, list[str]]:
    return {role: names for role in ROLES if (names := spec.columns_with(role))}  # type: ignore[arg-type]


def table(rows: int = 60, **columns: Callable[[int], object]) -> list[list[str]]:
    """Rows of text, header first: an id, a number, a category, more columns, and the target."""
    draw = random.Random(0)
    made: dict[str, Callable[[int], object]] = {
        "customer_id": lambda row: f"C{row:04d}",
        "income": lambda _: round(draw.uniform(1000, 5000), 2),
        "region": lambda _: draw.choice(["north", "south", "west"]),
        **columns,
        "churn": lambda _: "yes" if draw.random() < 0.3 else "no",
    }
    return [list(made), *([str(value(row)) for value in made.values()] for row in range(rows))]


def written(
    folder: Path, rows: list[list[str]], name: str = "sample.csv", encoding: str = "utf-8",
    **dialect: str,
) -> Path:  # fmt: skip
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **dialect).writerows(rows)
    path = folder / name
    path.write_bytes(text.getvalue().encode(encoding))
    return path
