"""Which features are made of which columns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp


def made_of(sql: str, columns: Collection[str]) -> set[str]:
    """The features of a query that any of these columns has a part in, directly or by steps.

    Names are followed through the whole file, whatever table they are of: where two columns share
    a name, a feature is named too often rather than overlooked. In small letters, as the columns
    of a query may be.
    """
    from sqlglot import exp

    return _reached(sql, columns, lambda part: [each.name for each in part.find_all(exp.Column)])


def copies_of(sql: str, columns: Collection[str]) -> set[str]:
    """The features of a query that are one of these columns, under whatever name or type."""
    from sqlglot import exp

    def copied(part: exp.Expr) -> list[str]:
        while isinstance(part, exp.Alias | exp.Cast | exp.Paren):
            part = part.this
        return [part.name] if isinstance(part, exp.Column) else []

    return _reached(sql, columns, copied)


def _reached(sql: str, columns: Collection[str], uses: Callable[[exp.Expr], list[str]]) -> set[str]:
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, dialect="duckdb", into=exp.Select)
    selected = [part for select in tree.find_all(exp.Select) for part in select.selects]
    parts = [
        (part.alias_or_name.casefold(), {name.casefold() for name in uses(part)})
        for part in selected
    ]
    reached = {name.casefold() for name in columns}
    while further := {name for name, used in parts if used & reached} - reached:
        reached |= further
    return {name for part in tree.selects[1:] if (name := part.alias_or_name.casefold()) in reached}
