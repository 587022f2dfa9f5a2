"""Which DAGs a new champion starts."""

from __future__ import annotations

from typing import Any

from millrace.datasets.deployment import deploy_of
from millrace.datasets.scoring import scoring_of


def listeners_of(spec: Any) -> list[str]:
    """Ids of the DAGs that hear of a new champion of the spec; none where it asks for none."""
    return [
        *([f"deploy_{spec.name}"] if deploy_of(spec) else []),
        *(["start_scoring"] if scoring_of(spec) else []),
    ]
