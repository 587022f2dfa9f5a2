"""The explanation of a model in its report: what matters, in which direction, and single cases."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # shap draws through pyplot; no window is ever opened

import matplotlib.pyplot as plt
import numpy as np

from millrace.explain import Explained, ordered
from millrace.pages.figures import COLOURS, STYLE, Chart
from millrace.pages.render import render
from millrace.pages.waterfall import waterfall

SHOWN = 15  # features in a picture
NAME = 40  # letters of a feature's name in a picture
LONGEST = 22  # letters of a value
LISTED = 40  # features in the table
MARK = "<!-- explanation -->"  # where it goes in the report of an evaluation
UNITS = {
    "margin": "log-odds",
    "probability": "probability",
    "class": "the margin of the named class",
}


def explanation_charts(
    explained: Explained, state: Mapping[str, Any], cases: Mapping[str, int],
    shown: Mapping[int, list[str]], unit: str,
) -> dict[str, Chart]:  # fmt: skip
    """The charts of an explanation.

    Args:
        explained: by feature before encoding (see `explain.grouped`).
        state: the fitted transformation.
        cases: row numbers by what is telling about them.
        shown: what these rows hold, a text a feature.
        unit: of the raw score, a key of `UNITS`.
    """
    charts = {
        "importance": _importance(explained, unit),
        "beeswarm": _beeswarm(ordered(explained, state), unit),
    }
    for number, (name, row) in enumerate(cases.items(), start=1):
        charts[f"case_{number}"] = _waterfall(explained, name, row, shown[row], unit)
    return charts


def with_explanation(report: str, facts: Mapping[str, Any], charts: Mapping[str, Chart]) -> str:
    """The report of an evaluation with the explanation in its place.

    Args:
        facts: explanation.json.
        charts: none where `facts` say why there is no explanation.

    Raises:
        ValueError: the report has no place for it.
    """
    if MARK not in report:
        raise ValueError(f"the report has no line {MARK!r}")
    rows = facts.get("importance", [])[:LISTED]
    top = rows[0]["mean"] if rows else 0
    table = [row | {"width": round(100 * row["mean"] / (top or 1), 1)} for row in rows]
    cases = [chart for name, chart in charts.items() if name.startswith("case_")]
    section = render(
        "explanation.html.j2", facts=facts, rows=table, charts=charts, cases=cases,
        more=len(facts.get("importance", [])) - len(rows), unit=UNITS[facts["unit"]],
    )  # fmt: skip
    return report.replace(MARK, section, 1)


def _shap(explained: Explained) -> Any:
    import shap

    names = [_shown(name) for name in explained.names]
    return shap.Explanation(
        explained.values, base_values=explained.expected, data=explained.inputs,
        feature_names=names,
    )  # fmt: skip


def _shown(text: str, longest: int = NAME) -> str:
    """A name or a value as a picture has it; a dollar would begin a formula."""
    short = text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
    return short.replace("$", r"\$")


def _importance(explained: Explained, unit: str) -> Chart:
    """Without a bar for the sum of all others, which would be longer than any that is named."""
    ranked = explained.importance()[:SHOWN]
    names = [_shown(name) for name, _ in ranked]
    means = [mean for _, mean in ranked]
    with mpl.rc_context(STYLE):
        figure, axes = _figure()
        bars = axes.barh(range(len(means)), means, color=COLOURS[0], height=0.65)
        axes.bar_label(bars, [f"{mean:.3g}" for mean in means], padding=4)
        axes.set_yticks(range(len(means)), names)
        axes.set(
            ylim=(len(means) - 0.4, -0.6), xlabel=f"Mean absolute contribution ({UNITS[unit]})"
        )
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.1)
    first = ", ".join(f"{name} {mean:.3g}" for name, mean in ranked[:5])
    return Chart(
        "What matters", f"Mean absolute contribution; the largest: {first}.", figure,
        _left_out(explained),
    )  # fmt: skip


def _left_out(explained: Explained) -> str:
    every = len(explained.names)
    return f"The {SHOWN} that matter most of {every:,} features." if every > SHOWN else ""


def _beeswarm(explained: Explained, unit: str) -> Chart:
    import shap

    position = {name: place for place, name in enumerate(explained.names)}
    most = [position[name] for name, _ in explained.importance()[:SHOWN]]
    with mpl.rc_context(STYLE):
        figure, axes = _figure()
        state = np.random.get_state()
        np.random.seed(0)  # shap scatters the points of a line with numpy's own generator
        with warnings.catch_warnings():  # of features without an order it finds no quantiles
            warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
            shap.plots.beeswarm(
                _shap(explained)[:, most], max_display=SHOWN, ax=axes, show=False, plot_size=None
            )
        np.random.set_state(state)
        axes.set_xlabel(f"Contribution ({UNITS[unit]})")
        for collection in axes.collections:
            collection.set_rasterized(True)
    note = "A dot is a row. To the right it raises the prediction; red is a high value, blue a low"
    note += " one, grey a missing one or one of several categories, which have no order. "
    alt = f"Contributions of {len(explained.values):,} rows, a line a feature."
    return Chart("In which direction", alt, figure, (note + _left_out(explained)).rstrip())


def _waterfall(explained: Explained, name: str, row: int, shown: list[str], unit: str) -> Chart:
    values = explained.values[row]
    labels = [
        f"{_shown(feature)} = {_shown(text, LONGEST)}"
        for feature, text in zip(explained.names, shown, strict=True)
    ]
    figure = waterfall(labels, values, float(explained.expected[row]), UNITS[unit], SHOWN)
    order = np.argsort(-np.abs(values), kind="stable")[:5]
    first = ", ".join(f"{explained.names[i]} {values[i]:+.3g}" for i in order)
    title = f"{name[:1].upper()}{name[1:]}: {float(explained.probability[row]):.3f}"
    alt = f"From the expected value to this row's score ({UNITS[unit]}): {first}."
    return Chart(title, alt, figure, "Orange raises the score, blue lowers it.")


def _figure() -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(8, 5.4), layout="constrained")
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    plt.close(figure)  # it lives on without pyplot, which would keep it for ever
    return figure, axes
