"""Tables as the document shows them, and the blocks of the document that hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

BLOCK = re.compile(r"<!-- table: (?P<name>\w+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first row is the heading."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        """As Markdown, with a line break at the end."""
        lines = [self.heading, ["---"] * len(self.heading), *self.rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def blocks(text: str) -> dict[str, str]:
    """The tables of a document by name."""
    return {found["name"]: found["body"] for found in BLOCK.finditer(text)}


def replaced(text: str, tables: dict[str, str]) -> str:
    """The document with its tables renewed.

    Raises:
        ValueError: the document asks for a table that there is not.
    """
    unknown = blocks(text).keys() - tables.keys()
    if unknown:
        raise ValueError(f"no table {', '.join(sorted(unknown))}; there are {', '.join(tables)}")
    return BLOCK.sub(
        lambda found: f"<!-- table: {found['name']} -->\n{tables[found['name']]}<!-- end -->", text
    )


def figure(value: float, unit: str = "") -> str:
    """Two or three digits, thousands apart: < 0.001, 0.012, 4.57, 85.0, 1,240."""
    if value == 0:
        shown = "0"
    elif abs(value) < 0.001:
        shown = "< 0.001"
    elif abs(value) >= 99.95:
        shown = f"{value:,.0f}"
    elif abs(value) >= 9.995:
        shown = f"{value:.1f}"
    elif abs(value) >= 0.0995:
        shown = f"{value:.2f}"
    else:
        shown = f"{value:.2g}"
    return f"{shown} {unit}".rstrip()


def percent(share: float) -> str:
    return f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return figure(count, unit)
        count /= 1000
    return figure(count, "TB")


def images(count: int) -> str:
    """10,000 or 10 million or 1 billion."""
    for power, word in ((10**9, "billion"), (10**6, "million")):
        if count >= power and count % (power // 10) == 0:
            return f"{count / power:g} {word}"
    return f"{count:,}"
