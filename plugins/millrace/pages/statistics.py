"""The descriptive statistics of a data set before and after processing as one page."""

from typing import Any

from millrace.pages.render import render

COLUMNS_SHOWN = 300
VALUES_SHOWN = 12


def statistics_page(title: str, raw: dict[str, Any], processed: dict[str, Any]) -> str:
    """The page of two results of `describe`: the table as it arrived and as models see it.

    At most 300 columns of a kind are listed; the page says how many more there are.
    """
    tables = [_table("Raw", raw), _table("Processed", processed)]
    return render("statistics.html.j2", title=title, tables=tables)


def _table(name: str, described: dict[str, Any]) -> dict[str, Any]:
    rows, columns = described["rows"], described["columns"]
    cells = rows * len(columns)
    kinds = {kind: _of_kind(columns, kind, rows) for kind in ("numeric", "category")}
    others = [
        column | {"shown": f"{column['min']} to {column['max']}" if "max" in column else "hidden"}
        for kind in ("time", "hidden")
        for column in _of_kind(columns, kind, rows)
    ]
    return {
        "name": name,
        "rows": rows,
        "columns": len(columns),
        "missing": sum(c["missing"] for c in columns.values()) / cells if cells else 0.0,
        "numeric": [
            c | {"box": _box(c), "mean": _mean(c)} for c in kinds["numeric"][:COLUMNS_SHOWN]
        ],
        "category": [_shares(c) for c in kinds["category"][:COLUMNS_SHOWN]],
        "others": others[:COLUMNS_SHOWN],
        "more": sum(max(0, len(k) - COLUMNS_SHOWN) for k in (*kinds.values(), others)),
    }


def _of_kind(columns: dict[str, Any], kind: str, rows: int) -> list[dict[str, Any]]:
    return [
        column | {"name": name, "missing_share": column["missing"] / rows if rows else 0.0}
        for name, column in columns.items()
        if column["kind"] == kind
    ]


def _box(column: dict[str, Any]) -> dict[str, float] | None:
    """Places of the quantiles between the 1 % and the 99 % quantile, in per cent."""
    quantiles = column["quantiles"]
    low, high = quantiles["1%"], quantiles["99%"]
    if low is None or high is None or not high > low:
        return None
    return {
        name: round(2 + 96 * (quantiles[key] - low) / (high - low), 1)
        for name, key in zip(
            ("start", "left", "middle", "right", "end"),
            ("5%", "25%", "50%", "75%", "95%"),
            strict=True,
        )
    }


def _mean(column: dict[str, Any]) -> float | None:
    """The mean, or 0 where it is rounding error: below a billionth of the standard deviation."""
    mean, std = column["mean"], column["std"]
    return 0.0 if mean and std and abs(mean) < 1e-9 * std else mean


def _shares(column: dict[str, Any]) -> dict[str, Any]:
    """The most frequent values; those that are not listed join the rest."""
    shown, unseen = column["top"][:VALUES_SHOWN], column["top"][VALUES_SHOWN:]
    return column | {
        "shares": shown,
        "others": column["distinct"] - len(shown),
        "rest": column["rest"] + sum(share for _, share in unseen),
    }
