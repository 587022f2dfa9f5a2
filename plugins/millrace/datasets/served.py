"""The section of a spec that says how its champion comes into service."""

from __future__ import annotations

from typing import Literal

from millrace.datasets.parts import Part


class Deploy(Part):
    """The section `deploy`.

    Attributes:
        approval: whether a person has to agree to each new version.
        target: where the service runs; `auto` is `ecs` where its cluster and service are set.
    """

    approval: bool = False
    target: Literal["auto", "local", "ecs"] = "auto"
