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
) -> dict[str, Any]:
    """The card of the winner of an evaluation, JSON-serialisable.

    Args:
        tables: the spec of the one table that the model was trained on; None for images.
        state: the fitted transformation.
        summary: summary.json of the evaluation.
        descriptions: of features, by name.
        personal: inputs and features made of personal data, besides the columns that the spec
            calls personal.
    """
    [winner] = [item for item in summary["candidates"] if item["candidate"] == summary["winner"]]
    columns = tables.columns if tables else {}
    markers = tables.raw.missing if tables else []
    usual = {feature["name"]: feature.get("fill") for feature in state["features"]}
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
        "fields": [
            field_of(item, columns.get(item["name"]), markers, usual.get(item["name"]))
            | ({"personal": True} if item["name"] in personal else {})
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
