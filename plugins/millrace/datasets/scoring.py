"""What a spec says of scoring: that its champion scores every published partition of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millrace.datasets.folder import AnySpec, usable_specs
from millrace.datasets.scores import Scoring

__all__ = ["Scoring", "scored_specs", "scoring_of"]


def scoring_of(spec: Any) -> Scoring | None:
    """The section of a spec, None where it has none."""
    found = getattr(spec, "scoring", None)
    return found if isinstance(found, Scoring) else None


def scored_specs(folder: Path) -> dict[str, AnySpec]:
    """The specs that have the section, by name; broken specs have a DAG of their own."""
    return {name: spec for name, spec in usable_specs(folder).items() if scoring_of(spec)}
