"""Whether a model becomes champion: tables, and what must hold for all figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.datasets import Gate
from millrace.evaluate import score
from millrace.metrics import EXPECTED_COST, LOWER_IS_BETTER, METRICS
from millrace.promotion import Verdict, check_gates, decide

figures = st.floats(0, 1)
HELD = [{"metric": "f1", "minimum": 0.5, "maximum": None, "value": 0.6, "holds": True}]
BROKEN = [{"metric": "f1", "minimum": 0.5, "maximum": None, "value": 0.4, "holds": False}]
UNDEFINED = [{"metric": "f1", "minimum": 0.5, "maximum": None, "value": None, "holds": False}]


@pytest.mark.parametrize(
    ("gate", "value", "holds"),
    [
        (Gate(minimum=0.8), 0.8, True),
        (Gate(minimum=0.8), 0.79, False),
        (Gate(maximum=0.2), 0.2, True),
        (Gate(maximum=0.2), 0.21, False),
        (Gate(minimum=0.0), 0.0, True),
        (Gate(maximum=0.0), 0.0, True),
        (Gate(minimum=0.8), None, False),
        (Gate(maximum=0.2), None, False),
        (Gate(minimum=0.8), float("nan"), False),
        (Gate(maximum=0.2), float("nan"), False),
    ],
)
def test_gates(gate: Gate, value: float | None, holds: bool) -> None:
    [checked] = check_gates({"f1": gate}, {"f1": value, "roc_auc": 0.9})
    assert checked["holds"] is holds
    assert (checked["metric"], checked["minimum"], checked["maximum"]) == (
        "f1", gate.minimum, gate.maximum,
    )  # fmt: skip


def test_a_spec_without_gates_has_none_to_check() -> None:
    assert check_gates({}, {"f1": 0.1}) == []


@pytest.mark.parametrize(
    ("gates", "metric", "value", "champion", "options", "promote", "reason"),
    [
        ([], "roc_auc", 0.7, None, {}, True, "the spec sets no gates; there is no champion yet"),
        (HELD, "roc_auc", 0.7, None, {}, True, "all 1 gates hold; there is no champion yet"),
        (BROKEN, "roc_auc", 0.7, None, {}, False, "gate f1 >= 0.5 does not hold: 0.4000"),
        (UNDEFINED, "roc_auc", 0.7, None, {}, False, "gate f1 >= 0.5 does not hold: undefined"),
        (HELD, "roc_auc", 0.8, 0.7, {}, True, "0.8000 against the champion's 0.7000"),
        (HELD, "roc_auc", 0.7, 0.7, {}, True, "0.7000 against the champion's 0.7000"),
        (HELD, "roc_auc", 0.6, 0.7, {}, False, "0.6000 is worse than the champion's 0.7000"),
        (HELD, "log_loss", 0.6, 0.7, {}, True, "0.6000 against the champion's 0.7000"),
        (HELD, "log_loss", 0.8, 0.7, {}, False, "0.8000 is worse than the champion's 0.7000"),
        (HELD, "expected_cost", 0.6, 0.7, {}, True, "0.6000 against the champion's 0.7000"),
        (HELD, "expected_cost", 0.8, 0.7, {}, False, "0.8000 is worse than the champion's 0.7000"),
        (HELD, "roc_auc", 0.8, 0.7, {"asked": False}, False, "asked not to move the champion"),
        (HELD, "roc_auc", 0.8, 0.7, {"rolled_back": True}, False, "run with promote=yes"),
    ],
)
def test_decisions(
    gates: list[dict[str, Any]], metric: str, value: float, champion: float | None,
    options: dict[str, bool], promote: bool, reason: str,
) -> None:  # fmt: skip
    verdict = decide(
        gates, metric, value, champion, **{"asked": True, "rolled_back": False, **options}
    )
    assert verdict.promote is promote
    assert reason in str(verdict)


def test_every_reason_against_is_named() -> None:
    verdict = decide(BROKEN, "roc_auc", 0.6, 0.7, asked=False, rolled_back=True)
    assert len(verdict.reasons) == 4


def test_a_broken_upper_gate_is_named_with_its_bound() -> None:
    gates = check_gates({"log_loss": Gate(maximum=0.2)}, {"log_loss": 0.3})
    verdict = decide(gates, "roc_auc", 0.6, None, asked=True, rolled_back=False)
    assert str(verdict) == "gate log_loss <= 0.2 does not hold: 0.3000"


def test_a_gate_on_the_cost_is_judged_by_the_cost() -> None:
    cost = {"false_negative": 10.0, "false_positive": 1.0}
    target, probability = np.array([1, 0, 0, 0]), np.array([0.9, 0.8, 0.1, 0.1])
    for threshold, holds in ((0.85, True), (0.5, True), (0.05, False), (0.95, False)):
        found = score(target, probability, threshold, cost)  # costs 0, 1/4, 3/4 and 10/4
        gates = check_gates({"expected_cost": Gate(maximum=0.25)}, found)
        verdict = decide(gates, "expected_cost", found["expected_cost"], 0.5,
                         asked=True, rolled_back=False)  # fmt: skip
        assert verdict.promote is holds, threshold
    assert str(verdict) == (
        "gate expected_cost <= 0.25 does not hold: 2.5000;"
        " expected_cost 2.5000 is worse than the champion's 0.5000 on the same rows"
    )


@given(
    st.sampled_from((*METRICS, EXPECTED_COST)), figures, figures, figures, st.none() | figures,
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_better_value_never_turns_promotion_into_refusal(
    metric: str, one: float, two: float, bound: float, champion: float | None,
    asked: bool, rolled_back: bool,
) -> None:  # fmt: skip
    low = metric in LOWER_IS_BETTER
    worse, better = sorted((one, two), reverse=low)
    gate = Gate(maximum=bound) if low else Gate(minimum=bound)

    def verdict(value: float) -> Verdict:
        gates = check_gates({metric: gate}, {metric: value})
        return decide(gates, metric, value, champion, asked=asked, rolled_back=rolled_back)

    assert verdict(better).promote >= verdict(worse).promote


@given(st.sampled_from(METRICS), figures, figures, st.booleans())
def test_promotion_means_asked_and_every_gate_and_not_worse(
    metric: str, value: float, champion: float, asked: bool
) -> None:
    verdict = decide(HELD, metric, value, champion, asked=asked, rolled_back=False)
    not_worse = value <= champion if metric in LOWER_IS_BETTER else value >= champion
    assert verdict.promote is (asked and not_worse)
    assert not decide(BROKEN, metric, value, champion, asked=True, rolled_back=False).promote
    assert verdict.reasons
