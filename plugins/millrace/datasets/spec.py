"""The data set spec as a whole.

`include/datasets/<name>.yaml` is parsed and checked here; docs/spec.md explains every field.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from pydantic import Field, ValidationError, field_validator, model_validator

from millrace.datasets.columns import Column, Raw, Role, Target
from millrace.datasets.features import Bins, Engineered, Present, Ratio, Sum
from millrace.datasets.file import SpecError, SpecFile, nearest
from millrace.datasets.models import Candidate, Decision, Gate, Split
from millrace.datasets.parts import Part, wrong
from millrace.metrics import METRICS

ROW_ID = "_row_id"
RESERVED = frozenset({"_file", "_row", ROW_ID})  # columns that ingest and validation add


class DatasetSpec(Part):
    """Everything Millrace knows about one data set."""

    name: str
    description: str
    owner: str
    source: str = ""
    tags: list[str] = []
    schedule: str | None = "0 0 * * *"
    raw: Raw = Raw()
    target: Target
    columns: dict[str, Column] = Field(min_length=1)
    features: dict[str, Engineered] = {}
    split: Split = Split()
    candidates: dict[str, Candidate] = Field(min_length=1)
    decision: Decision = Decision(threshold=0.5)
    metric: str = "roc_auc"
    gates: dict[str, Gate] = {}

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
            raise wrong(value, "name the file with a-z, 0-9 and _, such as my_customers.yaml")
        return value

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        from croniter import croniter

        if value is not None and not croniter.is_valid(value):
            raise wrong(
                value, 'write a cron expression such as "0 0 * * *", or null for no schedule'
            )
        return value

    @field_validator("candidates")
    @classmethod
    def _candidate_names(cls, value: dict[str, Candidate]) -> dict[str, Candidate]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
                raise wrong(
                    name, "name candidates with a-z, 0-9, _ and - (they become folder names)"
                )
        return value

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, value: str) -> str:
        _check_metric(value)
        return value

    @field_validator("gates")
    @classmethod
    def _known_gates(cls, value: dict[str, Gate]) -> dict[str, Gate]:
        for name in value:
            _check_metric(name, (name,))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        self._check_columns()
        for name, feature in self.features.items():
            self._check_feature(name, feature)
        if not self.feature_names():
            raise wrong("no feature", "give a column the role numeric or categorical", ("columns",))
        return self

    def _check_columns(self) -> None:
        for name in RESERVED & {*self.columns, self.target.column}:
            raise wrong(repr(name), "rename the column: this name is Millrace's own",
                        ("columns", name))  # fmt: skip
        if self.target.column in self.columns:
            raise wrong(
                f"the target {self.target.column!r} among the columns, role "
                f"{self.columns[self.target.column].role!r}",
                "describe it under `target:` only: a model must not see what it predicts",
                ("columns", self.target.column),
            )
        ids = [name for name, column in self.columns.items() if column.role == "id"]
        if len(ids) > 1:
            raise wrong(f"the ids {ids}", "keep the role id for one column", ("columns", ids[1]))

    def _check_feature(self, name: str, feature: Engineered) -> None:
        field = ("features", name)
        if name in self.columns or name == self.target.column:
            raise wrong(
                f"{name!r}, which is a raw column too", "name the feature differently", field
            )
        for source in feature.sources():
            role = "target" if source == self.target.column else None
            if role is None and source not in self.columns:
                hint = nearest(source, list(self.columns))
                raise wrong(
                    f"the unknown column {source!r}", f"write a name from `columns:`{hint}", field
                )
            role = role or self.columns[source].role
            if role in ("target", "outcome", "id"):
                raise wrong(
                    f"the {role} column {source!r}", "a feature must not be made from it", field
                )
            numbers = isinstance(feature, Sum | Ratio | Bins)
            if not isinstance(feature, Present) and numbers != (role == "numeric"):
                needed = "numeric columns" if numbers else "columns of text"
                raise wrong(
                    f"{source!r} with role {role!r}", f"`{feature.kind}` needs {needed}", field
                )

    def columns_with(self, *roles: Role) -> list[str]:
        """Names of the columns with one of the roles, in the order of the spec."""
        return [name for name, column in self.columns.items() if column.role in roles]

    @property
    def id_column(self) -> str | None:
        """The column that names a row, where the data set has one."""
        return next(iter(self.columns_with("id")), None)

    def feature_names(self) -> list[str]:
        """Raw columns that are features themselves, then the engineered ones."""
        return [*self.columns_with("numeric", "categorical"), *self.features]

    def input_columns(self) -> list[str]:
        """Raw columns a prediction needs: features and the sources of engineered ones."""
        needed = {source for feature in self.features.values() for source in feature.sources()}
        needed.update(self.columns_with("numeric", "categorical"))
        return [name for name in self.columns if name in needed]

    def private_columns(self) -> list[str]:
        """Columns whose values never leave the lake: identifiers and personal data."""
        return self.columns_with("id", "personal")

    def fingerprint(self, *sections: str) -> str:
        """SHA-256 of the named sections: what a step depends on, without comments or layout."""
        values = self.model_dump(include=set(sections), mode="json")
        return hashlib.sha256(json.dumps(values, sort_keys=False).encode()).hexdigest()


def _check_metric(name: str, field: tuple[str, ...] = ()) -> None:
    if name not in METRICS:
        remedy = f"write one of {', '.join(METRICS)}{nearest(name, METRICS)}"
        raise wrong(f"the unknown metric {name!r}", remedy, field)


def load_spec(path: Path) -> DatasetSpec:
    """Read and check one spec; its name is the file's name.

    Raises:
        SpecError: with one line a problem: file, line, field, what was found, what to write.
    """
    file = SpecFile.read(path)
    if file.values.get("name", path.stem) != path.stem:
        remedy = "remove it, or rename the file: the file's name is the data set's"
        raise SpecError([file.problem(["name"], repr(file.values["name"]), remedy)])
    try:
        return DatasetSpec.model_validate({**file.values, "name": path.stem})
    except ValidationError as error:
        raise file.explain(error) from error


def load_specs(folder: Path) -> tuple[dict[str, DatasetSpec], dict[str, SpecError]]:
    """All specs of a folder, and the errors of those that cannot be used, by name."""
    specs: dict[str, DatasetSpec] = {}
    errors: dict[str, SpecError] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            specs[path.stem] = load_spec(path)
        except SpecError as error:
            errors[path.stem] = error
    return specs, errors
