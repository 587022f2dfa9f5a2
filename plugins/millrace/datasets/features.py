"""Features engineered from raw columns."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from millrace.datasets.parts import Label, Part, wrong


class _Engineered(Part):
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
