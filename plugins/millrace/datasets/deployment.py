"""What a spec says of deployment: that a new champion comes into service by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millrace.datasets.folder import AnySpec, usable_specs
from millrace.datasets.served import Deploy

__all__ = ["Deploy", "deploy_of", "deployed_specs", "needs_approval"]


def deploy_of(spec: Any) -> Deploy | None:
    """The section of a spec, None where it has none."""
    found = getattr(spec, "deploy", None)
    return found if isinstance(found, Deploy) else None


def needs_approval(spec: Any) -> bool:
    """Whether a person has to agree to each new version."""
    said = deploy_of(spec)
    return said is not None and said.approval


def deployed_specs(folder: Path) -> dict[str, AnySpec]:
    """The specs that have the section, by name; broken specs have a DAG of their own."""
    return {name: spec for name, spec in usable_specs(folder).items() if deploy_of(spec)}
