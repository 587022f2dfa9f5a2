"""The spec of a data set of several tables that belong together; docs/spec.md explains it.

One table holds a row for each subject, with the target; the others hold its history. SQL makes
one row of features for each subject out of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field, field_validator, model_validator

from millrace.datasets.columns import Column, Target, inside_the_partition
from millrace.datasets.drifts import Watch
from millrace.datasets.file import nearest
from millrace.datasets.models import Candidate, Decision, Gate, Split
from millrace.datasets.page import Page
from millrace.datasets.parts import Label, Part, check_quote, one_ascii_character, wrong
from millrace.datasets.pipeline import PipelineSpec
from millrace.datasets.quality import Checks
from millrace.datasets.scores import Scoring
from millrace.datasets.served import Deploy
from millrace.datasets.spec import RESERVED, DatasetSpec
from millrace.metrics import EXPECTED_COST, METRICS

if TYPE_CHECKING:
    from typing import Self

SQL_TYPES = {"integer": "BIGINT", "amount": "DECIMAL(18, 3)", "number": "DOUBLE", "text": "VARCHAR"}
"""How the kinds of columns are stored; amounts are exact, so that sums do not depend on order."""

KEEPS_MISSING = frozenset({"xgboost", "lightgbm"})  # algorithms that learn from missing values

Name = Annotated[str, Field(min_length=1, max_length=255)]


class Described(Protocol):
    """A feature, as `millrace.features_sql` describes it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def description(self) -> str: ...


class TableFiles(Part):
    """How the raw files of the tables are written.

    Attributes:
        ready: the file that says that all tables have arrived.
        files: the files whose change is another delivery.
        tolerance: the largest share of a table's rows that may be set aside.
    """

    files: str = "*.csv"
    ready: str = "_SUCCESS"
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"
    quote: str = Field('"', min_length=1, max_length=1)
    missing: list[Label] = [""]
    tolerance: float = Field(0.0, ge=0, le=1)
    extra_columns: Literal["error", "ignore"] = "error"

    @field_validator("files", "ready")
    @classmethod
    def _inside_the_partition(cls, value: str) -> str | None:
        return inside_the_partition(value)

    @field_validator("delimiter", "quote")
    @classmethod
    def _ascii(cls, value: str) -> str:
        return one_ascii_character(value)

    @model_validator(mode="after")
    def _quote_is_no_delimiter(self) -> Self:
        check_quote(self.quote, self.delimiter)
        return self


class TableColumns(Part):
    """The columns of a table by their kind: whole numbers, amounts, other numbers, text."""

    integer: list[Name] = []
    amount: list[Name] = []
    number: list[Name] = []
    text: list[Name] = []

    def types(self) -> dict[str, str]:
        """The SQL type of every column."""
        kinds: dict[str, list[str]] = self.model_dump()
        return {name: SQL_TYPES[kind] for kind, names in kinds.items() for name in names}


class Table(Part):
    """One table: its files, its key, the tables it belongs to, and its columns.

    Attributes:
        key: columns that name a row; empty where a row has no name.
        references: for a column, the table whose key it is.
        optional: the table may be absent or empty; then nobody has a history in it.
        personal: columns with personal data, besides the identifiers.
    """

    files: str
    description: str = ""
    key: list[Name] = []
    references: dict[Name, Name] = {}
    optional: bool = False
    columns: TableColumns
    personal: list[Name] = []

    @field_validator("files")
    @classmethod
    def _inside_the_partition(cls, value: str) -> str | None:
        return inside_the_partition(value)

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        names = [name for listed in self.columns.model_dump().values() for name in listed]
        folded = [name.casefold() for name in names]
        for name in names:
            if folded.count(name.casefold()) > 1:
                raise wrong(f"{name!r} twice", "SQL knows no difference between small and capital"
                            " letters: list each column once", ("columns",))  # fmt: skip
        for field, used in (("key", self.key), ("references", [*self.references]),
                            ("personal", self.personal)):  # fmt: skip
            for name in used:
                if name not in names:
                    hint = nearest(name, names)
                    remedy = f"write a column of the table{hint}"
                    raise wrong(f"the unknown column {name!r}", remedy, (field,))
        return self

    def private_columns(self) -> list[str]:
        """Columns whose values never leave the lake: identifiers and personal data.

        A key of several columns is not one identifier; what it is made of stands in `references`.
        """
        key = self.key if len(self.key) == 1 else []
        return list(dict.fromkeys((*key, *self.references, *self.personal)))


class RelationalSpec(PipelineSpec):
    """Everything Millrace knows about one data set of several tables."""

    JUDGED_BY: ClassVar[tuple[str, ...]] = (*METRICS, EXPECTED_COST)

    kind: Literal["relational"]
    name: str
    description: str
    owner: str
    source: str = ""
    tags: list[str] = []
    schedule: str | None = "0 0 * * *"
    raw: TableFiles = TableFiles()
    target: Target
    entity: str
    tables: dict[str, Table] = Field(min_length=1)
    sql: str
    encoding: Literal["label", "onehot"] = "label"
    split: Split = Split()
    candidates: dict[str, Candidate] = Field(min_length=1)
    decision: Decision = Decision(threshold=0.5)
    metric: str = "roc_auc"
    gates: dict[str, Gate] = {}
    checks: Checks = Checks()
    scoring: Scoring | None = None
    drift: Watch | None = None
    deploy: Deploy | None = None
    page: Page = Page()

    @field_validator("tables")
    @classmethod
    def _table_names(cls, value: dict[str, Table]) -> dict[str, Table]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", name):
                raise wrong(name, "name tables with letters, digits and _", (name,))
        return value

    @field_validator("sql")
    @classmethod
    def _folder_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
            raise wrong(value, "write the name of a folder below include/sql")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_entity()
        for name, table in self.tables.items():
            for column, other in table.references.items():
                self._check_reference(name, column, other)
            for column in RESERVED & {*table.columns.types()}:
                raise wrong(repr(column), "this name is Millrace's own", ("tables", name))
            if name != self.entity and self._path(name) is None:
                raise wrong(f"{name!r}, which leads to no {self.entity!r}",
                            f"say under `references:` which column leads to {self.entity!r}",
                            ("tables", name))  # fmt: skip
        return self

    def _check_entity(self) -> None:
        if self.entity not in self.tables:
            hint = nearest(self.entity, list(self.tables))
            remedy = f"write the name of a table{hint}"
            raise wrong(f"the unknown table {self.entity!r}", remedy, ("entity",))
        table, field = self.tables[self.entity], ("tables", self.entity)
        if len(table.key) != 1:
            raise wrong(f"the key {table.key}", "name the one column that names a subject",
                        (*field, "key"))  # fmt: skip
        if table.optional:
            raise wrong("optional", "without its table there are no subjects: remove it",
                        (*field, "optional"))  # fmt: skip
        if self.target.column in table.columns.types():
            raise wrong(f"the target {self.target.column!r} among the columns",
                        "describe it under `target:` only: a model must not see what it predicts",
                        (*field, "columns"))  # fmt: skip

    def _check_reference(self, name: str, column: str, other: str) -> None:
        field = ("tables", name, "references", column)
        if other not in self.tables:
            hint = nearest(other, list(self.tables))
            raise wrong(f"the unknown table {other!r}", f"write the name of a table{hint}", field)
        if self.tables[other].key != [column]:
            raise wrong(f"{other!r}, whose key is {self.tables[other].key}",
                        f"refer to a table whose key is {column!r} alone", field)  # fmt: skip

    def _path(self, name: str) -> list[str] | None:
        """The tables from `name` to the entity, None where no reference leads there."""
        seen, paths = {name}, [[name]]
        while paths:
            path = paths.pop(0)
            if path[-1] == self.entity:
                return path
            following = {*self.tables[path[-1]].references.values()} - seen
            seen |= following
            paths += [[*path, other] for other in sorted(following)]
        return None

    def path_to_entity(self, name: str) -> list[str]:
        """The shortest way from a table to the entity, both included.

        `bureau_balance` gives `[bureau_balance, bureau, application]`: its rows belong to a subject
        through the rows of `bureau`.
        """
        path = self._path(name)
        assert path is not None  # noqa: S101 (the spec was checked)
        return path

    @property
    def target_column(self) -> str:
        """The column that a model predicts."""
        return self.target.column

    @property
    def id_column(self) -> str:
        """The column that names a subject."""
        return self.tables[self.entity].key[0]

    def file_patterns(self) -> list[str]:
        """The patterns of all tables' files."""
        return sorted({table.files for table in self.tables.values()})

    def private_columns(self) -> list[str]:
        """Columns whose values never leave the lake: identifiers and personal data."""
        names = (name for table in self.tables.values() for name in table.private_columns())
        return list(dict.fromkeys(names))

    def tabular(self, features: Iterable[Described]) -> DatasetSpec:
        """The spec of the table of features, for the steps from preprocessing on.

        Args:
            features: name, type (`double` or `string`) and description of each.
        """
        algorithms = {candidate.algorithm for candidate in self.candidates.values()}
        number: dict[str, Any] = {
            "role": "numeric",
            "impute": "keep" if algorithms <= KEEPS_MISSING else "median",
        }
        text = {"role": "categorical", "impute": "category", "encoding": self.encoding}
        columns: Mapping[str, Column] = {
            feature.name: Column(
                **(number if feature.type == "double" else text), description=feature.description
            )
            for feature in features
        }
        shared = {
            field: getattr(self, field)
            for field in DatasetSpec.model_fields
            if field not in ("raw", "columns", "features")
        }
        return DatasetSpec(**shared, columns=dict(columns))
