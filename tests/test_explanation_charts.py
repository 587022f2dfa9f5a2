"""The pictures of an explanation: nothing is cut off, nothing is hidden, no bar dwarfs the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from millrace.explain import Explained
from millrace.pages.explanation import SHOWN, explanation_charts
from millrace.pages.figures import Chart
from millrace.pages.waterfall import waterfall

FEATURES, ROWS = 120, 60
LONG = "amount_of_all_instalments_that_were_paid_too_late_in_the_last_year"


@pytest.fixture(scope="module")
def charts() -> dict[str, Chart]:
    random = np.random.default_rng(0)
    names = (LONG, *(f"feature_{number}" for number in range(1, FEATURES)))
    values = random.normal(size=(ROWS, FEATURES)) * np.geomspace(0.3, 0.02, FEATURES)
    expected = np.full(ROWS, -0.6)
    raw = expected + values.sum(axis=1)
    inputs = random.normal(size=(ROWS, FEATURES))
    explained = Explained(names, inputs, values, expected, raw, 1 / (1 + np.exp(-raw)))
    state = {"features": [{"name": name, "how": "number"} for name in names]}
    cases = {f"row {row}": row for row in range(8)}
    shown = {row: ["a_category_of_one_very_long_word"] * FEATURES for row in cases.values()}
    return explanation_charts(explained, state, cases, shown, "margin")


def drawn(chart: Chart) -> Any:
    """The renderer of a figure, once all is in its place."""
    canvas = FigureCanvasAgg(chart.figure)
    canvas.draw()
    return canvas.get_renderer()


def labels(chart: Chart) -> list[str]:
    return [label.get_text() for label in chart.figure.axes[0].get_yticklabels()]


def test_a_waterfall_leads_from_the_expected_value_to_the_score() -> None:
    values = np.array([0.5, -0.001, 0.002, -0.25, 0.0004])
    figure = waterfall(["a", "b", "c", "d", "e"], values, 1.0, "log-odds", most=4)
    [axes] = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    wanted = [(1.0, -0.0006), (0.9994, 0.002), (1.0014, -0.25), (0.7514, 0.5)]
    np.testing.assert_allclose(bars, wanted, atol=1e-12)
    said = [label.get_text() for label in axes.get_yticklabels()]
    assert said == ["2 other features", "c", "d", "a"]
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == ["\u22120.0006", "+0.002", "\u22120.25", "+0.5"], "small is not nothing"
    assert axes.get_xlabel() == "From the expected value 1.000 to the score 1.251 (log-odds)"


def test_one_feature_that_adds_nothing_is_drawn() -> None:
    [axes] = waterfall(["a"], np.zeros(1), 0.3, "probability", most=15).figure.axes
    assert [text.get_text() for text in axes.texts] == ["+0"]


@pytest.mark.parametrize("case", range(1, 9))
def test_every_number_stands_free_of_bars_and_inside_the_picture(
    charts: dict[str, Chart], case: int
) -> None:
    figure = charts[f"case_{case}"].figure
    renderer, axes = drawn(charts[f"case_{case}"]), figure.axes[0]
    whole, field = figure.bbox, axes.get_window_extent(renderer)
    bars = [bar.get_window_extent(renderer) for bar in axes.patches]
    numbers = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(numbers) == len(bars) == SHOWN
    for number in numbers:
        assert not any(bar.overlaps(number) for bar in bars)
        assert field.x0 <= number.x0 and number.x1 <= field.x1
    assert sum(one.overlaps(other) for one in numbers for other in numbers) == SHOWN
    for label in axes.get_yticklabels():
        box = label.get_window_extent(renderer)
        assert box.x0 >= whole.x0 and not box.overlaps(field)
    assert field.width > 0.4 * whole.width


def test_the_most_important_are_shown_without_a_sum_of_all_others(charts: dict[str, Chart]) -> None:
    for name in ("importance", "beeswarm"):
        drawn(charts[name])
        found = [label for label in labels(charts[name]) if label]
        assert len(found) == SHOWN and not any("other" in label for label in found)
        assert f"The {SHOWN} that matter most of {FEATURES} features." in charts[name].note
    assert "other features" in " ".join(labels(charts["case_1"])), "there they must add up"


def test_long_words_are_shortened_and_stay_readable(charts: dict[str, Chart]) -> None:
    assert f"{LONG[:39]}…" in labels(charts["importance"])
    assert any("a_category_of_one_ver…" in label for label in labels(charts["case_1"]))


@pytest.mark.filterwarnings("error")
def test_categories_without_an_order_are_drawn_grey_without_a_warning() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(20, 2))
    inputs = np.column_stack([random.integers(0, 3, 20), random.integers(0, 2, 20)]).astype(float)
    explained = Explained(
        ("town", "side"), inputs, values, np.zeros(20), values.sum(axis=1), np.full(20, 0.5)
    )
    state = {
        "features": [
            {"name": "town", "how": "label", "categories": ["a", "b", "c"]},
            {"name": "side", "how": "onehot", "categories": ["left", "right"]},
        ]
    }
    chart = explanation_charts(explained, state, {}, {}, "margin")["beeswarm"]
    drawn(chart)
    assert {*labels(chart)} >= {"town", "side (red: right)"}
