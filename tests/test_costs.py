"""What decisions cost: the metric, its interval, its curve, and the pictures of it."""

from __future__ import annotations

import numpy as np
import pytest

from millrace.costs import cost_curve, fixed_costs
from millrace.datasets import Decision
from millrace.evaluate import bootstrap_intervals, confusion, score
from millrace.metrics import EXPECTED_COST, METRICS, better
from millrace.pages.decision_figures import cost_chart, reliability_chart

COST = {"false_negative": 10.0, "false_positive": 1.0}


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    probability = random.random(500) ** 2
    return (random.random(500) < probability).astype(int), probability


def test_the_expected_cost_is_that_of_the_wrong_decisions(sample):
    found, cells = score(*sample, 0.2, COST), confusion(*sample, 0.2)
    assert found.pop(EXPECTED_COST) == (10 * cells["fn"] + cells["fp"]) / 500
    assert found == score(*sample, 0.2)
    intervals = bootstrap_intervals(*sample, 0.2, COST, resamples=200)
    low, high = intervals.pop(EXPECTED_COST)
    assert low < (10 * cells["fn"] + cells["fp"]) / 500 < high
    assert set(intervals) == set(METRICS)
    assert better(EXPECTED_COST, 0.1, 0.2)


def test_the_curve_passes_through_the_scores_and_begins_where_everybody_is_positive(sample):
    drawn = cost_curve(*sample, COST)
    for threshold, cost in list(zip(drawn["threshold"], drawn["cost"], strict=True))[::40]:
        assert cost == pytest.approx(score(*sample, min(threshold, 1), COST)[EXPECTED_COST])
    assert drawn["cost"][0] == pytest.approx(fixed_costs(sample[0], COST)["everybody positive"])
    assert drawn["threshold"] == sorted(drawn["threshold"])


def test_the_pictures_say_their_figures(sample):
    target, probability = sample
    chart = cost_chart({"out of fold": sample, "test": sample}, 0.2, COST)
    assert "chosen one is 0.2" in chart.alt
    assert "A false negative costs 10, a false positive 1" in chart.note
    assert all(said in chart.svg() for said in ("threshold 0.2", "out of fold", "everybody"))
    chart = reliability_chart(target, np.sqrt(probability), probability)
    after = np.mean((probability - target) ** 2)
    assert f"{after:.4f} after" in chart.alt
    assert chart.png().startswith(b"\x89PNG")


def test_costs_of_a_decision_are_known_where_the_spec_names_them():
    assert Decision.model_validate({"cost": COST}).costs() == COST
    assert Decision(threshold=0.5).costs() is None
    with pytest.raises(ValueError, match="or `cost:"):
        Decision.model_validate({"cost": COST, "threshold": 0.5})
