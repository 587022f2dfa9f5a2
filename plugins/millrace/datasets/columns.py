"""The raw files: how they are written, their target, their columns."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import Field, field_validator, model_validator

from millrace.datasets.parts import (
    Label,
    Part,
    check_quote,
    check_spellings,
    one_ascii_character,
    wrong,
)

Role = Literal["id", "numeric", "categorical", "personal", "outcome", "drop"]
Impute = Literal["median", "mean", "zero", "mode", "category", "keep"]
NUMERIC_IMPUTE = ("median", "mean", "zero", "keep")
CATEGORICAL_IMPUTE = ("mode", "category")


def inside_the_partition(value: str | None) -> str | None:
    """The pattern, where it names files inside a partition and a sensor can look for them."""
    if value is None:
        return value
    if not value.strip() or value.startswith("/") or ".." in value.split("/"):
        raise wrong(repr(value), "name files inside the partition, such as *.csv")
    if any(mark in value for mark in ("{{", "{%", "{#")):  # the sensor's path is a template
        raise wrong(repr(value), "write the pattern without `{{`, `{%` and `{#`")
    return value


class Raw(Part):
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

    @field_validator("files", "ready")
    @classmethod
    def _inside_the_partition(cls, value: str | None) -> str | None:
        return inside_the_partition(value)

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
        return one_ascii_character(value)

    @model_validator(mode="after")
    def _quote_is_no_delimiter(self) -> Raw:
        check_quote(self.quote, self.delimiter)
        return self


class Target(Part):
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
        check_spellings(self.spellings, [self.negative, self.positive])
        return self


class Column(Part):
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
        check_spellings(self.spellings, self.values)
        return self
