"""Every table of `docs/scaling.md` by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.measure import PROJECT
from bench.scaling import alternatives, runs, sizing
from bench.scaling.inputs import Inputs
from bench.scaling.plan import BILLION_TASKS, Plan
from bench.scaling.sensitivity import sensitivity
from bench.scaling.table import Table

PAGE = PROJECT / "docs" / "scaling.md"
IMAGES: Path = PROJECT / "docs" / "images"

TABLES: dict[str, Callable[[Inputs, int], Table]] = {
    "instances": lambda inputs, seed: sizing.instances(inputs),
    "partitions": runs.partitions,
    "layouts": lambda inputs, seed: sizing.layouts(inputs),
    "storage": lambda inputs, seed: sizing.storage(inputs),
    "throttling": runs.throttling,
    "pca": lambda inputs, seed: sizing.pca(inputs),
    "spot": runs.spot,
    "growth": runs.ten_million,
    "billion": lambda inputs, seed: runs.growth(
        Plan(10**9, 8, packed=True, apply=True, partitions=BILLION_TASKS),
        runs.GROWTH_BILLION,
        inputs,
        seed,
        1,
    ),
    "usual": alternatives.usual,
    "places": alternatives.places,
    "sensitivity": sensitivity,
}


def tables(inputs: Inputs, seed: int, names: list[str] | None = None) -> dict[str, str]:
    """Tables as Markdown: those named, or all."""
    return {name: str(TABLES[name](inputs, seed)) for name in names or TABLES}
