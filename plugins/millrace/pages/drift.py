"""The page of a drift check: what has moved, how far, and what the furthest look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from millrace.drift import MISSING, Drift, Shift
from millrace.pages.figures import COLOURS, STYLE, Chart
from millrace.pages.render import decimal, render

DRAWN = 8  # columns
LABELS = 12  # bars of one column
BINS = 30
TITLES = {"requests": "Requests of the day", "partition": "The day's own partition"}
PREDICTIONS = {"_probability": "predicted probability", "_class": "predicted class"}


def drift_page(
    figures: Mapping[str, Any],
    found: Mapping[str, Drift],
    before: pd.DataFrame,
    now: Mapping[str, pd.DataFrame],
) -> str:
    """The page of one check.

    Args:
        figures: drift.json.
        found: what was compared, by what came in.
        before: the reference.
        now: the rows that came in.
    """
    sections = [
        {"title": TITLES.get(name, name), "drift": each, "charts": _charts(each, before, now[name]),
         "shown": [*each.predictions, *each.columns]}
        for name, each in found.items()
    ]  # fmt: skip
    return render("drift.html.j2", figures=figures, sections=sections, predictions=PREDICTIONS)


def _charts(found: Drift, before: pd.DataFrame, now: pd.DataFrame) -> list[Chart]:
    moved = [each for each in found.columns if each.drifted][:DRAWN] or [*found.columns[:4]]
    return [
        _chart(each, before[each.name], now[each.name]) for each in (*found.predictions, *moved)
    ]


def _chart(shift: Shift, before: pd.Series, now: pd.Series) -> Chart:
    name = PREDICTIONS.get(shift.name, shift.name)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        draw = _histogram if shift.kind == "number" else _bars
        draw(axes, before, now)
        axes.set_ylabel("share of rows")
        axes.legend()
    how = "has drifted" if shift.drifted else "has not drifted"
    return Chart(
        name, f"{name} before and now: {how}, distance {decimal(shift.distance, 3)}", figure
    )  # fmt: skip


def _histogram(axes: Any, before: pd.Series, now: pd.Series) -> None:
    old, new = before.dropna().to_numpy("float64"), now.dropna().to_numpy("float64")
    both = np.concatenate([old, new])
    low, high = np.percentile(both, [0.5, 99.5]) if len(both) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for values, colour, name in ((old, COLOURS[7], "before"), (new, COLOURS[0], "now")):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        axes.stairs(counts / max(1, len(values)), edges, color=colour, label=name, linewidth=1.6,
                    fill=name == "before", alpha=0.45 if name == "before" else 1)  # fmt: skip


def _bars(axes: Any, before: pd.Series, now: pd.Series) -> None:
    shares = [series.fillna(MISSING).astype(str).value_counts(normalize=True)
              for series in (before, now)]  # fmt: skip
    labels = (shares[0].add(shares[1], fill_value=0)).nlargest(LABELS).index
    places = np.arange(len(labels))
    for share, colour, name, beside in (
        (shares[0], COLOURS[7], "before", -0.2), (shares[1], COLOURS[0], "now", 0.2),
    ):  # fmt: skip
        heights = [float(share.get(label, 0)) for label in labels]
        axes.bar(places + beside, heights, 0.4, color=colour, label=name)
    axes.set_xticks(places, [str(label)[:18] for label in labels], rotation=30, ha="right")
