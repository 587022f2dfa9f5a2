"""What whoever uses a model must know of it: its card, which is registered with it. Pure.

The service makes its request forms, its checks and its pages from the card alone, so it needs
neither the specs nor the lake.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from millrace.datasets import AnySpec, Column, DatasetSpec, ImageSpec

FILE = "card.json"
FOLDER = "service"  # of the run's artifacts


def card_of(
    spec: AnySpec,
    tables: DatasetSpec | None,
    state: Mapping[str, Any],
    summary: Mapping[str, Any],
    descriptions: Mapping[str, str],
    personal: Collection[str],
    statistics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The card of the winner of an evaluation, JSON-serialisable.

    Args:
        tables: the spec of the one table that the model was trained on; None for images.
        state: the fitted transformation.
        summary: summary.json of the evaluation.
        descriptions: of features, by name.
        personal: inputs and features made of personal data, besides the columns that the spec
            calls personal.
        statistics: of the clean rows (see `describe`), for the range that a number was seen in.
    """
    [winner] = [item for item in summary["candidates"] if item["candidate"] == summary["winner"]]
    columns = tables.columns if tables else {}
    markers = tables.raw.missing if tables else []
    usual = {feature["name"]: feature.get("fill") for feature in state["features"]}
    seen = (statistics or {}).get("columns", {})
    return {
        "dataset": spec.name,
        "description": spec.description,
        "partition": summary["partition"],
        "candidate": winner["candidate"],
        "algorithm": winner["algorithm"],
        "metric": summary["metric"],
        "metrics": winner["metrics"],
        "rows": summary["rows"],
        "data_fingerprint": summary["data_fingerprint"],
        "git_commit": summary["git_commit"],
        "trained": summary["created"],
        "target": None if isinstance(spec, ImageSpec) else spec.target.model_dump(
            include={"column", "positive", "negative", "description"}
        ),
        "page": page_of(spec, tables, personal),
        "fields": [
            field_of(item, columns.get(item["name"]), markers, usual.get(item["name"]))
            | ({"personal": True} if item["name"] in personal else observed(seen.get(item["name"])))
            for item in state["inputs"]
        ],
        "features": {
            feature["name"]: {
                "description": descriptions.get(feature["name"], ""),
                "personal": feature["name"] in personal,
            }
            for feature in state["features"]
        },
    }  # fmt: skip


def page_of(spec: AnySpec, tables: DatasetSpec | None, personal: Collection[str]) -> dict[str, Any]:
    """How the service shows the model; what a person cannot see, it does not propose to change."""
    if tables is None or isinstance(spec, ImageSpec):
        return {"kind": "photo", "title": spec.name, "changeable": []}
    page, target = tables.page, tables.target
    return page.model_dump() | {
        "title": page.title or spec.name,
        "positive": page.positive or f"{target.column}: {target.positive}",
        "negative": page.negative or f"{target.column}: {target.negative}",
        "changeable": [name for name in page.changeable if name not in personal],
    }


def observed(column: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where 98 of 100 values of a number lie, and whether they are whole; no person's own value."""
    quantiles = (column or {}).get("quantiles", {})
    low, high = quantiles.get("1%"), quantiles.get("99%")
    if low is None or high is None:
        return {}
    whole = all(float(value).is_integer() for value in quantiles.values())
    return {"observed": {"low": low, "high": high, "whole": whole}}


def field_of(
    item: Mapping[str, str], column: Column | None, markers: Sequence[str], usual: Any
) -> dict[str, Any]:
    """One field of a request: what it means and what it takes.

    Args:
        item: name and type, `number` or `text`, of an input of the model.
        column: what the spec says of it.
        markers: texts that mean that a value is missing.
        usual: what stands for a missing value; an example, where the spec gives none.
    """
    found: dict[str, Any] = {"name": item["name"], "type": item["type"]}
    is_number = item["type"] == "number"
    if column is None:
        return {**found, "example": usual if usual is not None else (0.0 if is_number else "")}
    given = column.example if column.example is not None else usual
    if given is None and column.values:
        given = column.values[0]
    return found | {
        "description": column.description,
        "personal": column.role == "personal",
        "required": column.required,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "values": column.values,
        "spellings": column.spellings,
        "missing": [] if is_number else [*markers, *column.missing],
        "example": float(given or 0) if is_number else str(given or ""),
    }
