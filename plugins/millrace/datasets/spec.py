"""The spec of a data set of tables as a whole; docs/spec.md explains every field."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from millrace.datasets.columns import Column, Raw, Role, Target
from millrace.datasets.drifts import Watch
from millrace.datasets.features import Bins, Engineered, Present, Ratio, Sum
from millrace.datasets.file import nearest
from millrace.datasets.models import Candidate, Decision, Gate, Split
from millrace.datasets.page import Page
from millrace.datasets.parts import wrong
from millrace.datasets.pipeline import PipelineSpec
from millrace.datasets.served import Deploy
from millrace.metrics import EXPECTED_COST, METRICS

ROW_ID = "_row_id"
RESERVED = frozenset({"_file", "_row", ROW_ID})  # columns that ingest and validation add


class DatasetSpec(PipelineSpec):
    """Everything Millrace knows about one data set of tables."""

    JUDGED_BY: ClassVar[tuple[str, ...]] = (*METRICS, EXPECTED_COST)

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
    drift: Watch | None = None
    deploy: Deploy | None = None
    page: Page = Page()

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        self._check_columns()
        for name, feature in self.features.items():
            self._check_feature(name, feature)
        if not self.feature_names():
            raise wrong("no feature", "give a column the role numeric or categorical", ("columns",))
        self._check_page()
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

    def _check_page(self) -> None:
        inputs = self.columns_with("numeric", "categorical")
        for name in self.page.changeable:
            if name not in inputs:
                raise wrong(
                    repr(name),
                    f"write numeric or categorical columns{nearest(name, inputs)}",
                    ("page", "changeable"),
                )

    def columns_with(self, *roles: Role) -> list[str]:
        """Names of the columns with one of the roles, in the order of the spec."""
        return [name for name, column in self.columns.items() if column.role in roles]

    @property
    def target_column(self) -> str:
        """The column that a model predicts."""
        return self.target.column

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
