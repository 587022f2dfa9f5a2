"""What every kind of spec has in common: its name, its schedule, its candidates, its gates."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, ClassVar, Self

from pydantic import field_validator, model_validator

from millrace.datasets.file import nearest
from millrace.datasets.parts import Part, wrong
from millrace.metrics import EXPECTED_COST


class PipelineSpec(Part):
    """The rules for fields that specs of every kind have; each kind declares the fields itself."""

    JUDGED_BY: ClassVar[tuple[str, ...]]
    """The metrics that `metric` and `gates` can name."""

    @field_validator("name", check_fields=False)
    @classmethod
    def _file_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
            raise wrong(value, "name the file with a-z, 0-9 and _, such as my_customers.yaml")
        return value

    @field_validator("schedule", check_fields=False)
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        from croniter import croniter

        if value is not None and not croniter.is_valid(value):
            raise wrong(
                value, 'write a cron expression such as "0 0 * * *", or null for no schedule'
            )
        return value

    @field_validator("candidates", check_fields=False)
    @classmethod
    def _candidate_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
                raise wrong(
                    name, "name candidates with a-z, 0-9, _ and - (they become folder names)"
                )
        return value

    @field_validator("metric", check_fields=False)
    @classmethod
    def _known_metric(cls, value: str) -> str:
        cls._check_metric(value)
        return value

    @field_validator("gates", check_fields=False)
    @classmethod
    def _known_gates(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            cls._check_metric(name, (name,))
        return value

    @model_validator(mode="after")
    def _cost_is_known(self) -> Self:
        decision = getattr(self, "decision", None)
        fields: list[tuple[str, ...]] = (
            [("metric",)] if getattr(self, "metric", None) == EXPECTED_COST else []
        )
        fields += [("gates", name) for name in getattr(self, "gates", {}) if name == EXPECTED_COST]
        if fields and (decision is None or decision.cost is None):
            raise wrong(
                f"{EXPECTED_COST!r} without a cost",
                "write `decision: {cost: {false_negative: 10, false_positive: 1}}` too",
                fields[0],
            )
        return self

    @classmethod
    def _check_metric(cls, name: str, field: tuple[str, ...] = ()) -> None:
        if name not in cls.JUDGED_BY:
            remedy = f"write one of {', '.join(cls.JUDGED_BY)}{nearest(name, cls.JUDGED_BY)}"
            raise wrong(f"the unknown metric {name!r}", remedy, field)

    def fingerprint(self, *sections: str) -> str:
        """SHA-256 of the named sections: what a step depends on, without comments or layout."""
        values = self.model_dump(include=set(sections), mode="json")
        return hashlib.sha256(json.dumps(values, sort_keys=False).encode()).hexdigest()
