"""What a spec says of scoring: that its champion scores every published partition of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millrace.datasets.file import SpecError
from millrace.datasets.folder import AnySpec, load_any_spec
from millrace.datasets.scores import Scoring

__all__ = ["Scoring", "scored_specs", "scoring_of"]


def scoring_of(spec: Any) -> Scoring | None:
    """The section of a spec, None where it has none."""
    found = getattr(spec, "scoring", None)
    return found if isinstance(found, Scoring) else None


def scored_specs(folder: Path) -> dict[str, AnySpec]:
    """The specs that have the section, by name; broken specs have a DAG of their own."""
    found: dict[str, AnySpec] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            spec = load_any_spec(path)
        except SpecError:
            continue
        if scoring_of(spec):
            found[spec.name] = spec
    return found
