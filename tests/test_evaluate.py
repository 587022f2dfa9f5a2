"""Scores agree with scikit-learn, also under weights and ties; intervals are what they claim."""

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from millrace import evaluate
from millrace.evaluate import bootstrap_intervals, compare, confusion, curves, score
from millrace.metrics import LOWER_IS_BETTER, METRICS, at_least_as_good, better

QUICK = settings(deadline=None, max_examples=40)


@st.composite
def samples(draw: st.DrawFn, smallest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both classes, probabilities on a coarse grid so that ties and 0 and 1 are common."""
    rows = draw(st.integers(smallest, 40))
    target = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    target[0], target[1] = 0, 1
    grid = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.9, 1.0])
    probability = st.lists(grid | st.floats(0, 1), min_size=rows, max_size=rows)
    return np.array(target), np.array(draw(probability))


def reference(y: np.ndarray, p: np.ndarray, threshold: float, weight: np.ndarray | None = None):
    """The same metrics by scikit-learn."""
    chosen, w = p >= threshold, {"sample_weight": weight}
    return {
        "accuracy": sk.accuracy_score(y, chosen, **w),
        "precision": sk.precision_score(y, chosen, zero_division=0, **w),
        "recall": sk.recall_score(y, chosen, **w),
        "f1": sk.f1_score(y, chosen, zero_division=0, **w),
        "roc_auc": sk.roc_auc_score(y, p, **w),
        "log_loss": sk.log_loss(y, p, labels=[0, 1], **w),
        "brier_score": sk.brier_score_loss(y, p, **w),
    }


def in_order(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the order in which the module holds them, so that weights can be compared."""
    order = np.lexsort((p, y))
    return y[order], p[order]


def example(rows: int = 300, positive: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    y = (random.random(rows) < positive).astype(int)
    return y, np.clip(0.3 * y + 0.7 * random.random(rows), 0, 1)


@QUICK
@given(samples(), st.floats(0, 1))
def test_score_is_scikit_learns(sample, threshold):
    got = score(*sample, threshold)
    assert tuple(got) == METRICS
    assert got == pytest.approx(reference(*sample, threshold), rel=1e-9, abs=1e-12)


@QUICK
@given(samples(), st.floats(0, 1), st.randoms(use_true_random=False))
def test_weighted_metrics_are_scikit_learns(sample, threshold, random):
    y, p = in_order(*sample)
    weights = np.array([[random.randint(0, 4) for _ in y] for _ in range(3)], dtype=float)
    weights[:, [0, -1]] += 1
    got = evaluate._sort(y, p, threshold).metrics(weights)
    for column, weight in zip(got.T, weights, strict=True):
        wanted = reference(y, p, threshold, weight)
        assert dict(zip(METRICS, column, strict=True)) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@QUICK
@given(samples(), st.integers(0, 5))
def test_intervals_are_the_quantiles_over_rows_drawn_again(sample, seed):
    y, p = in_order(*sample)
    drawn = np.vstack(list(evaluate._resampled_weights(evaluate._sort(y, p, 0.5), 15, seed)))
    repeated = [np.repeat(np.arange(y.size), weights.astype(int)) for weights in drawn]
    values = [reference(y[rows], p[rows], 0.5) for rows in repeated]
    got = bootstrap_intervals(y, p, 0.5, resamples=15, seed=seed, level=0.9)
    for metric, bounds in got.items():
        wanted = np.quantile([value[metric] for value in values], [0.05, 0.95])
        assert bounds == pytest.approx(tuple(wanted), rel=1e-9, abs=1e-12)


@QUICK
@given(samples(smallest=5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(sample, random):
    y, p = sample
    order = random.sample(range(y.size), y.size)
    assert score(y, p, 0.5) == pytest.approx(score(y[order], p[order], 0.5))
    assert confusion(y, p, 0.5) == confusion(y[order], p[order], 0.5)
    assert curves(y, p) == curves(y[order], p[order])
    straight = bootstrap_intervals(y, p, 0.5, resamples=20)
    shuffled = bootstrap_intervals(y[order], p[order], 0.5, resamples=20)
    assert straight == shuffled


@QUICK
@given(samples(), st.floats(0, 1))
def test_confusion_adds_up_and_agrees(sample, threshold):
    y, p = sample
    cells = confusion(y, p, threshold)
    assert list(cells.values()) == sk.confusion_matrix(y, p >= threshold).ravel().tolist()
    assert cells["fn"] + cells["tp"] == y.sum()


def test_confusion_of_one_class():
    assert confusion([0, 0], [0.1, 0.9], 0.5) == {"tn": 1, "fp": 1, "fn": 0, "tp": 0}


def test_intervals_contain_the_score_and_narrow_with_rows():
    few, many = example(300), example(30_000)
    narrow = bootstrap_intervals(*many, 0.5, resamples=100)
    for metric, (low, high) in bootstrap_intervals(*few, 0.5).items():
        assert low < score(*few, 0.5)[metric] < high
        assert narrow[metric][1] - narrow[metric][0] < (high - low) / 5


def test_interval_of_the_accuracy_is_the_binomial_one():
    y, p = example(2000)
    low, high = bootstrap_intervals(y, p, 0.5, resamples=2000)["accuracy"]
    accuracy = score(y, p, 0.5)["accuracy"]
    error = math.sqrt(accuracy * (1 - accuracy) / y.size)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)


def test_intervals_depend_on_the_seed_only():
    y, p = example()
    first = bootstrap_intervals(y, p, 0.5, resamples=50)
    assert first == bootstrap_intervals(y, p, 0.5, resamples=50)
    assert first != bootstrap_intervals(y, p, 0.5, resamples=50, seed=1)


def test_a_resample_always_holds_both_classes(monkeypatch):
    monkeypatch.setattr(evaluate, "WEIGHTS_AT_ONCE", 30)
    sample = evaluate._sort([0, 0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4, 0.5], 0.5)
    weights = np.vstack(list(evaluate._resampled_weights(sample, 200, 0)))
    assert weights.shape == (200, 5)
    assert (weights.sum(axis=1) == 5).all()
    assert (weights[:, 4] > 0).all() and (weights[:, :4].sum(axis=1) > 0).all()


def test_memory_of_the_bootstrap_is_bounded():
    y, p = example(200_000)
    tracemalloc.start()
    bootstrap_intervals(y, p, 0.5, resamples=25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6


@QUICK
@given(samples())
def test_curves_are_bounded_and_serialisable(sample):
    got = curves(*sample, points=10)
    json.dumps(got, allow_nan=False)
    for name in ("roc", "precision_recall", "thresholds"):
        for series in got[name].values():
            assert isinstance(series, float) or 1 <= len(series) <= 10
    assert (got["roc"]["fpr"][0], got["roc"]["tpr"][0]) == (0, 0)
    assert (got["roc"]["fpr"][-1], got["roc"]["tpr"][-1]) == (1, 1)
    average = got["precision_recall"]["average_precision"]
    assert average == pytest.approx(sk.average_precision_score(*sample))


@QUICK
@given(samples())
def test_roc_keeps_its_area(sample):
    roc = curves(*sample, points=200)["roc"]
    area = np.trapezoid(roc["tpr"], roc["fpr"])
    assert area == pytest.approx(sk.roc_auc_score(*sample), abs=1e-9)


@pytest.mark.parametrize("positive", [0.5, 0.001])
def test_thinning_hardly_changes_a_long_curve(positive):
    y, p = example(100_000, positive)
    got = curves(y, p)
    assert len(got["roc"]["fpr"]) <= 200
    area = np.trapezoid(got["roc"]["tpr"], got["roc"]["fpr"])
    assert area == pytest.approx(sk.roc_auc_score(y, p), abs=0.005)


@QUICK
@given(samples())
def test_calibration_counts_every_row_once_and_keeps_ties_together(sample):
    y, p = sample
    got = curves(y, p)["calibration"]
    assert sum(got["count"]) == y.size and len(got["count"]) <= 10
    assert np.dot(got["count"], got["observed"]) == pytest.approx(y.sum())
    assert np.dot(got["count"], got["predicted"]) == pytest.approx(p.sum())
    assert got["predicted"] == sorted(got["predicted"])
    assert len(curves(y, np.full(y.size, 0.3))["calibration"]["count"]) == 1


def test_thresholds_hold_what_score_says():
    y, p = example(150)
    got = curves(y, p)["thresholds"]
    for index in (0, 40, 149):
        wanted = score(y, p, got["threshold"][index])
        for metric in ("precision", "recall", "f1"):
            assert got[metric][index] == pytest.approx(wanted[metric])


@pytest.mark.parametrize("metric", METRICS)
def test_compare_ranks_best_first_and_ties_by_name(metric):
    values = {"b": 0.4, "a": 0.4, "low": 0.1, "high": 0.9}
    ranked = compare([{"candidate": c, "metrics": {metric: v}} for c, v in values.items()], metric)
    names = [evaluation["candidate"] for evaluation in ranked]
    ends = ["low", "high"] if metric in LOWER_IS_BETTER else ["high", "low"]
    assert names == [ends[0], "a", "b", ends[1]]
    assert better(metric, values[names[0]], values["a"])
    assert at_least_as_good(metric, 0.4, 0.4) and not better(metric, 0.4, 0.4)
    assert not better(metric, math.nan, 0.4) and not at_least_as_good(metric, 0.4, math.nan)


def test_compare_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match="cannot rank by 'speed': use one of accuracy"):
        compare([], "speed")
    with pytest.raises(ValueError, match="candidate 'a' has no value of f1"):
        compare([{"candidate": "a", "metrics": {"f1": math.nan}}], "f1")
    with pytest.raises(ValueError, match="unknown metric 'speed'"):
        better("speed", 1, 2)


@pytest.mark.parametrize("function", [score, confusion, bootstrap_intervals])
@pytest.mark.parametrize(
    ("target", "probability", "threshold", "message"),
    [
        ([0, 1], [0.1], 0.5, r"got \(2,\) and \(1,\)"),
        ([0, 1], [[0.9, 0.1], [0.2, 0.8]], 0.5, "of two probability columns, the second"),
        ([], [], 0.5, "non-empty"),
        ([0, 2], [0.1, 0.2], 0.5, "0 and 1 only"),
        (["no", "yes"], [0.1, 0.2], 0.5, "0 and 1 only"),
        ([0, 1], [0.1, math.nan], 0.5, "1 of 2 probabilities are missing .* the first is nan"),
        ([0, 1], [0.1, 1.5], 0.5, "outside 0 to 1, the first is 1.5"),
        ([0, 1], [0.1, 0.2], 1.5, "threshold is 1.5: use a number from 0 to 1"),
        ([0, 1], [0.1, 0.2], math.nan, "threshold is nan"),
    ],
)
def test_unusable_input_is_named(function, target, probability, threshold, message):
    with pytest.raises(ValueError, match=message):
        function(target, probability, threshold)


@pytest.mark.parametrize("function", [score, bootstrap_intervals])
def test_one_class_only_is_refused(function):
    with pytest.raises(ValueError, match=r"all 2 targets are 1: ROC AUC .* need both classes"):
        function([1, 1], [0.1, 0.2], 0.5)


def test_other_arguments_are_checked():
    with pytest.raises(ValueError, match="resamples is 0"):
        bootstrap_intervals([0, 1], [0.1, 0.2], 0.5, resamples=0)
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_intervals([0, 1], [0.1, 0.2], 0.5, level=95)
    with pytest.raises(ValueError, match=r"all 2 targets are 0"):
        curves([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="points is 1"):
        curves([0, 1], [0.1, 0.2], points=1)


def test_inputs_are_left_as_they_were():
    y, p = example()
    y.flags.writeable = p.flags.writeable = False
    score(y, p, 0.5)
    bootstrap_intervals(y, p, 0.5, resamples=5)
    curves(y, p)
