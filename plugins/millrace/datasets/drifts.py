"""The section of a spec that says when its data have drifted, and what then."""

from __future__ import annotations

from pydantic import Field

from millrace.datasets.parts import Part


class Watch(Part):
    """The section `drift`.

    Attributes:
        share: of the columns that must have drifted for an alarm; drifted predictions suffice.
        rows: fewer give no verdict.
        retrain: whether an alarm starts the pipeline for the newest partition.
    """

    share: float = Field(0.3, gt=0, le=1)
    rows: int = Field(200, ge=30)
    retrain: bool = False
