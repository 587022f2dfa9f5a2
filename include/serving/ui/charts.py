"""Charts of one answer: why it is what it is, and where it lies among others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from millrace import transformation
from millrace.explain import Explained, as_text, grouped
from millrace.pages.figures import COLOURS, STYLE, Chart
from millrace.pages.render import percent
from millrace.pages.waterfall import waterfall
from serving.model import ServedModel

BARS = 12
NAME, VALUE = 40, 22  # letters of a feature's name and of its value in a picture
UNITS = {"decision_tree": "probability", "random_forest": "probability",
         "multinomial_logistic_regression": "the margin of the named class"}  # fmt: skip


def why(model: ServedModel, record: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """The contributions of the features to the score: a waterfall, and the same as a table.

    Args:
        answer: one that was asked for with `explain`.
    """
    hidden = [name for name, facts in model.card["features"].items() if facts["personal"]]
    shown = dict(zip(names_of(model), texts(model, record, hidden), strict=True))
    rows = [(each["feature"], shown[each["feature"]], each["contribution"])
            for each in answer["contributions"]]  # fmt: skip
    labels = [f"{_short(name, NAME)} = {_short(text, VALUE)}" for name, text, _ in rows]
    unit = UNITS.get(model.facts["algorithm"], "log-odds")
    values = np.array([value for *_, value in rows])
    figure = waterfall(labels, values, answer["expected"], unit, BARS)
    figure.set_size_inches(6.6, 1.2 + 0.3 * min(BARS, len(rows)))
    most = ", ".join(f"{name} {value:+.3g}" for name, _, value in rows[:5])
    chart = Chart("Why", f"From the expected score to this one ({unit}), largest: {most}.", figure)
    return _framed(chart, "Orange raises the score, blue lowers it.") + _table(model, rows[:BARS])


def names_of(model: ServedModel) -> list[str]:
    """The features before encoding, in order."""
    return [feature["name"] for feature in model.state["features"]]


def texts(model: ServedModel, record: Mapping[str, Any], hidden: Collection[str]) -> list[str]:
    """What the model sees of a record, a text a feature."""
    matrix = model.matrix([record])
    nothing = np.zeros(1)
    names = tuple(transformation.feature_names(model.state))
    seen = Explained(names, matrix, np.zeros_like(matrix), nothing, nothing, nothing)
    return as_text(model.state, grouped(seen, model.state).inputs[0], hidden)


def among(probability: np.ndarray, mine: float, threshold: float) -> str:
    """A histogram of the scores of others with one's own and the threshold.

    Args:
        probability: of the others, shape (rows,).
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.hist(probability, bins=60, color=COLOURS[5])
        axes.axvline(threshold, color="#17212b", linestyle=":", label="threshold")
        axes.axvline(mine, color=COLOURS[1], linewidth=2.5, label="this client")
        axes.set(xlabel="Probability", ylabel="Clients", xlim=(0, None))
        axes.legend()
    below = float((probability < mine).mean())
    said = f"{percent(below)} of {len(probability):,} scored clients have a lower probability."
    return f"<p>{escape(said)}</p>" + _framed(Chart("Among others", said, figure))


def _framed(chart: Chart, note: str = "") -> str:
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    svg = chart.svg().replace("<svg ", '<svg aria-hidden="true" ', 1)
    return (
        f'<figure class="chart"><div role="img" aria-label="{escape(chart.alt)}">{svg}</div>'
        f"{caption}</figure>"
    )


def _table(model: ServedModel, rows: Sequence[tuple[str, str, float]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td>'
        f"<td>{value:+.3g}</td>"
        f"<td>{escape(model.card['features'][name]['description'])}</td></tr>"
        for name, text, value in rows
    )
    return (
        "<details><summary>The same as a table</summary><table><thead><tr>"
        '<th scope="col">Feature</th><th scope="col">Value</th><th scope="col">Contribution</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{cells}</tbody></table></details>'
    )


def _short(text: str, longest: int) -> str:
    """As much as fits; a dollar would begin a formula."""
    short = text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
    return short.replace("$", r"\$")
