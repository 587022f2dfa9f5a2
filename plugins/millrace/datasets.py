"""The data set spec: one YAML file says everything about one pipeline.

`include/datasets/<name>.yaml` is parsed and checked here; docs/spec.md explains every field.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from millrace.metrics import METRICS
from millrace.spec_file import SpecError, SpecFile, nearest

Algorithm = Literal["xgboost", "lightgbm", "logistic_regression", "decision_tree", "random_forest"]
Role = Literal["id", "numeric", "categorical", "personal", "outcome", "drop"]
Impute = Literal["median", "mean", "zero", "mode", "category", "keep"]
NUMERIC_IMPUTE = ("median", "mean", "zero", "keep")
CATEGORICAL_IMPUTE = ("mode", "category")
ROW_ID = "_row_id"
RESERVED = frozenset({"_file", "_row", ROW_ID})  # columns that ingest and validation add


def _as_text(value: Any) -> Any:
    """Labels are text in the file, whatever YAML makes of them: 1 -> '1'."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Label = Annotated[str, BeforeValidator(_as_text)]


def _repeated_spellings(spellings: dict[str, list[str]]) -> list[str]:
    """Spellings that stand under more than one label."""
    every = [spelling for found in spellings.values() for spelling in found]
    return sorted({spelling for spelling in every if every.count(spelling) > 1})


def _check_spellings(spellings: dict[str, list[str]], labels: list[str] | None) -> None:
    """Each spelling leads to one label, and to one of `labels` where they are known."""
    for label in spellings:
        if labels is not None and label not in labels:
            remedy = f"write one of {', '.join(map(repr, labels))}"
            raise wrong(repr(label), remedy, ("spellings", label))
    if repeated := _repeated_spellings(spellings):
        raise wrong(f"{repeated[0]!r} under two labels", "keep it under one", ("spellings",))


def wrong(found: object, remedy: str, field: tuple[str, ...] = ()) -> PydanticCustomError:
    """A validation error in the project's wording; `field` is relative to the validated model."""
    context = {
        "found": found if isinstance(found, str) else repr(found),
        "remedy": remedy,
        "field": field,
    }
    return PydanticCustomError("spec", "found {found}; {remedy}", context)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Raw(_Part):
    """How the raw files of a partition are written."""

    files: str = "*.csv"
    ready: str | None = None
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    quote: str = Field('"', min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    missing: list[Label] = [""]
    max_field_bytes: int = Field(10_000, ge=1)
    tolerance: float = Field(0.0, ge=0, le=1)
    duplicate_rows: Literal["drop", "keep", "error"] = "drop"
    extra_columns: Literal["error", "ignore"] = "error"

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
            codecs.getincrementaldecoder(value)
        except (LookupError, ValueError):
            raise wrong(value, "write a codec Python knows, such as utf-8 or cp1252") from None
        return value

    @field_validator("delimiter", "quote")
    @classmethod
    def _ascii(cls, value: str) -> str:
        if not value.isascii() or value in "\r\n\0":
            raise wrong(value, "write one ASCII character that is no line break")
        return value

    @model_validator(mode="after")
    def _quote_is_no_delimiter(self) -> Raw:
        if self.quote == self.delimiter:
            raise wrong(self.quote, "quote and delimiter must differ", ("quote",))
        return self


class Target(_Part):
    """The column to predict and how its two classes are spelled."""

    column: str
    positive: Label
    negative: Label
    spellings: dict[Label, list[Label]] = {}
    description: str = ""

    @model_validator(mode="after")
    def _two_classes(self) -> Target:
        if self.positive == self.negative:
            raise wrong(self.negative, "positive and negative must differ", ("negative",))
        _check_spellings(self.spellings, [self.negative, self.positive])
        return self


class Column(_Part):
    """One column of the raw files and its role."""

    role: Role
    description: str = ""
    example: Label | None = None
    missing: list[Label] = []
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    values: list[Label] | None = None
    spellings: dict[Label, list[Label]] = {}
    impute: Impute | None = None
    encoding: Literal["onehot", "label"] | None = None
    max_categories: int = Field(50, ge=2)

    @model_validator(mode="after")
    def _options_fit_role(self) -> Column:
        allowed = {
            "numeric": {"minimum", "maximum", "impute"},
            "categorical": {"values", "spellings", "impute", "encoding", "max_categories"},
        }.get(self.role, set())
        special = {
            "minimum",
            "maximum",
            "values",
            "spellings",
            "impute",
            "encoding",
            "max_categories",
        }
        for option in sorted((special - allowed) & self.model_fields_set):
            raise wrong(
                f"`{option}` with role {self.role!r}",
                "remove the option or change the role",
                (option,),
            )
        fitting = NUMERIC_IMPUTE if self.role == "numeric" else CATEGORICAL_IMPUTE
        if self.impute and self.impute not in fitting:
            raise wrong(self.impute, f"a {self.role} column takes one of {fitting}", ("impute",))
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise wrong(self.minimum, f"write at most the maximum {self.maximum}", ("minimum",))
        _check_spellings(self.spellings, self.values)
        return self


class _Engineered(_Part):
    description: str = ""

    def sources(self) -> list[str]:
        """The raw columns this feature is made from."""
        raise NotImplementedError


class _EngineeredCategory(_Engineered):
    encoding: Literal["onehot", "label"] = "onehot"


class Extract(_EngineeredCategory):
    """The first group of a pattern, respelled; values not in `keep` become `other`."""

    kind: Literal["extract"]
    column: str
    pattern: str
    spellings: dict[Label, list[Label]] = {}
    keep: list[Label] = []
    other: str = "Other"

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise wrong(value, f"write a regular expression Python can compile ({error})") from None
        if groups != 1:
            raise wrong(value, f"write exactly one ( ) group; this has {groups}")
        return value

    def sources(self) -> list[str]:
        return [self.column]


class Sum(_Engineered):
    """The sum of numeric columns, plus a constant."""

    kind: Literal["sum"]
    columns: list[str] = Field(min_length=1)
    plus: float = 0.0

    def sources(self) -> list[str]:
        return self.columns


class Ratio(_Engineered):
    """One numeric column divided by another; missing where the denominator is 0."""

    kind: Literal["ratio"]
    numerator: str
    denominator: str

    def sources(self) -> list[str]:
        return [self.numerator, self.denominator]


class Present(_Engineered):
    """1 where the column holds a value, else 0."""

    kind: Literal["present"]
    column: str

    def sources(self) -> list[str]:
        return [self.column]


class Bins(_EngineeredCategory):
    """Bands of a numeric column, cut at `edges` (each band includes its lower edge)."""

    kind: Literal["bins"]
    column: str
    edges: list[float] = Field(min_length=1)

    @field_validator("edges")
    @classmethod
    def _rising(cls, value: list[float]) -> list[float]:
        if any(a >= b for a, b in itertools.pairwise(value)):
            raise wrong(value, "write the edges in rising order, each once")
        return value

    def sources(self) -> list[str]:
        return [self.column]


class Count(_Engineered):
    """How many of the columns hold one of the values."""

    kind: Literal["count"]
    columns: list[str] = Field(min_length=1)
    values: list[Label] = Field(min_length=1)

    def sources(self) -> list[str]:
        return self.columns


Engineered = Annotated[Extract | Sum | Ratio | Present | Bins | Count, Field(discriminator="kind")]


class Split(_Part):
    """The seeded, stratified holdout."""

    test: float = Field(0.2, gt=0, lt=1)
    seed: int = 0


class Candidate(_Part):
    """One algorithm with its hyperparameters, in the algorithm's own names."""

    algorithm: Algorithm
    hyperparameters: dict[str, int | float | str | bool] = {}


class Decision(_Part):
    """The decision threshold: fixed, or chosen on out-of-fold predictions of the train split."""

    threshold: float | None = Field(None, gt=0, lt=1)
    maximise: Literal["accuracy", "f1"] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Decision:
        if (self.threshold is None) == (self.maximise is None):
            raise wrong(
                self.model_dump(exclude_none=True),
                "write either `threshold: 0.5` or `maximise: f1`",
            )
        return self


class Gate(_Part):
    """A bound a metric must keep on the test split before the champion moves."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Gate:
        if (self.minimum is None) == (self.maximum is None):
            raise wrong(self.model_dump(exclude_none=True), "write either `minimum:` or `maximum:`")
        return self


class DatasetSpec(_Part):
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

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        self._check_metrics()
        self._check_columns()
        for name, feature in self.features.items():
            self._check_feature(name, feature)
        if not self.feature_names():
            raise wrong("no feature", "give a column the role numeric or categorical", ("columns",))
        return self

    def _check_metrics(self) -> None:
        named = [(self.metric, ("metric",)), *((gate, ("gates", gate)) for gate in self.gates)]
        for metric, field in named:
            if metric not in METRICS:
                remedy = f"write one of {', '.join(METRICS)}{nearest(metric, METRICS)}"
                raise wrong(f"the unknown metric {metric!r}", remedy, field)

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
