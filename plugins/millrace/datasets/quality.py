"""What the features of a data set must be like before a model learns from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from millrace.datasets.parts import Part, wrong

Figure = Literal["null_check", "distinct_check", "unique_check", "min", "max"]
Bound = Literal["equal_to", "geq_to", "greater_than", "leq_to", "less_than", "tolerance"]
Bounds = Annotated[dict[Bound, int | float], Field(min_length=1)]


class TableCheck(Part):
    """One condition on the table of features.

    Attributes:
        statement: SQL that must be true; it may read the other tables.
        figure: SQL of the figure that a failure tells.
        description: what is checked, for people.
    """

    statement: str = Field(min_length=1)
    figure: str = Field(min_length=1)
    description: str = ""


class Checks(Part):
    """Checks in SQL, as the common-sql provider has them.

    Attributes:
        columns: for a feature, the figures that are checked and their bounds.
        table: conditions on the whole table, by name.
    """

    columns: dict[str, dict[Figure, Bounds]] = {}
    table: dict[str, TableCheck] = {}

    @model_validator(mode="after")
    def _names(self) -> Checks:
        for name in self.table:
            if not name.isidentifier():
                raise wrong(name, "name checks with letters, digits and _", ("table", name))
        return self
