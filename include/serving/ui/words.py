"""What a page says of a model: title, verdict, labels; in words, from the card. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.forms import accepted

LONGEST = 70  # letters of a description that can stand as a label


def shown_as(card: Mapping[str, Any]) -> dict[str, Any]:
    """The section `page` of a card; a card of before there were pages has a plain verdict."""
    target = card.get("target") or {"column": "", "positive": "", "negative": ""}
    usual = {
        "kind": "verdict" if card.get("target") else "photo", "title": card["dataset"],
        "positive": f"{target['column']}: {target['positive']}",
        "negative": f"{target['column']}: {target['negative']}",
        "good": "negative", "changeable": [],
    }  # fmt: skip
    return {**usual, **(card.get("page") or {})}


def name_of(field: Mapping[str, Any]) -> str:
    """What a field is called: its description where that is short, else its name."""
    text = (field.get("description") or "").strip()
    return text if 0 < len(text) <= LONGEST else str(field["name"])


def about(field: Mapping[str, Any]) -> str:
    """What stands below the label: the field's name, the values it takes, whether it is personal.

    A longer description stands here too.
    """
    text = (field.get("description") or "").strip()
    parts = [text] if len(text) > LONGEST else []
    if name_of(field) != field["name"]:
        parts.append(field["name"])
    if field["type"] == "number":
        parts.append(in_words(field))
    if field.get("required"):
        parts.append("required")
    if field.get("personal"):
        parts.append("personal: used for the answer, never recorded")
    return ". ".join(part[:1].upper() + part[1:] if at else part for at, part in enumerate(parts))


def in_words(field: Mapping[str, Any]) -> str:
    """What a field accepts, for people."""
    return accepted(field).replace(", or null", "")


def complaint(problem: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> str:
    """One problem of a refused request, for the person who typed it."""
    field = fields.get(str(problem.get("field")))
    if field is None:
        return str(problem["message"])
    empty = "" if field.get("required") else ", or leave it empty"
    return f"{name_of(field)}: write {in_words(field)}{empty}."
