"""The inputs of a page, made from the fields of a card, and the record that they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from millrace.preprocess import MISSING
from serving.ui.words import about, name_of

UNKNOWN = "(not known)"
Field = Mapping[str, Any]


def widgets(fields: Sequence[Field], state: Mapping[str, Any], filled: bool = True) -> list[Any]:
    """One input a field, in order, with its example.

    Args:
        state: the transformation; the labels that it learnt are offered where a card lists none.
        filled: whether the examples stand in them.
    """
    return [
        _widget(field, labels_of(field, state), field["example"] if filled else None)
        for field in fields
    ]


def labels_of(field: Field, state: Mapping[str, Any]) -> list[str]:
    """The labels of a field of text: the card's, else those that the transformation learnt."""
    if field.get("values"):
        return list(field["values"])
    features = {feature["name"]: feature for feature in state["features"]}
    learnt = features.get(field["name"], {}).get("categories", [])
    return [label for label in learnt if label != MISSING]


def record_of(fields: Sequence[Field], values: Sequence[Any]) -> dict[str, Any]:
    """What stands in the inputs; what is empty is left out, as a request would."""
    pairs = zip((field["name"] for field in fields), values, strict=True)
    return {name: value for name, value in pairs if value is not None and value != ""}


def signature(fields: Sequence[Field]) -> str:
    """Names a set of inputs: a page that was opened before a change sends another one."""
    listed = json.dumps([[field["name"], field["type"]] for field in fields])
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def _widget(field: Field, labels: Sequence[str], example: Any) -> Any:
    told: dict[str, Any] = {
        "label": name_of(field), "info": about(field) or None, "interactive": True,
        "elem_classes": ["personal"] if field.get("personal") else [],
    }  # fmt: skip
    if field["type"] == "number":
        # No bounds here: what is out of range is told by the same check as the API's.
        return gr.Number(value=example, step=_step(field), **told)
    if not labels:
        return gr.Textbox(value=example, max_lines=1, max_length=10_000, **told)
    choices = [(label, label) for label in labels]
    if not field.get("required"):
        choices.append((UNKNOWN, ""))
    return gr.Dropdown(choices, value=example if example in labels else "", **told)


def _step(field: Field) -> float:
    """What an arrow key adds: a hundredth where all values are small, else one."""
    seen = field.get("observed")
    return 0.01 if seen and not seen["whole"] and seen["high"] - seen["low"] <= 10 else 1
