"""Which specs have their data watched for drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millrace.datasets.drifts import Watch
from millrace.datasets.folder import AnySpec, usable_specs

__all__ = ["Watch", "watch_of", "watched_specs"]


def watch_of(spec: Any) -> Watch | None:
    """The section `drift` of a spec, None where it has none."""
    found = getattr(spec, "drift", None)
    return found if isinstance(found, Watch) else None


def watched_specs(folder: Path) -> dict[str, AnySpec]:
    """The specs that have the section, by name; broken specs have a DAG of their own."""
    return {name: spec for name, spec in usable_specs(folder).items() if watch_of(spec)}
