"""The monthly estimate: from numbers that agree with the template, and the same in the docs."""

from __future__ import annotations

import json

import pytest

from millrace.infrastructure import costs
from millrace.infrastructure.template import Template
from millrace.settings import PROJECT
from millrace.steps.cloudwatch import metric_data
from tests.infrastructure.conftest import EVERYTHING, LEAST
from tests.infrastructure.evaluate import Evaluation
from tests.test_aws_docs import section

IDLE, ACTIVE = costs.USES["idle"], costs.USES["active"]


def test_the_docs_hold_the_tables_that_the_code_computes() -> None:
    said = section("What the stack costs")
    assert costs.costs_table() in said
    assert costs.assumptions_table() in said
    assert json.loads(costs.PRICES.read_text())["date"] in said
    least, idle, _ = (sum(costs.monthly(use).values()) for use in costs.USES.values())
    readme = " ".join((PROJECT / "README.md").read_text().split())
    assert f"about ${least:.0f} a month before the first run, ${idle:.0f} with an idle" in readme
    assert f"about ${costs.nat_gateway():.0f} a month" in section("What the stack holds")


def test_the_sizes_are_those_of_the_template(template: Template) -> None:
    size = template.sections["Mappings"]["Sizes"][template.parameters["ServiceSize"]["Default"]]
    assert (int(size["Cpu"]), int(size["Memory"])) == (
        costs.TASK_VCPU * 1024, costs.TASK_GB * 1024,
    )  # fmt: skip
    assert template.parameters["MinTasks"]["Default"] == IDLE.tasks
    assert template.parameters["OnUploadMemory"]["Default"] == costs.FUNCTION_GB * 1024
    assert template.parameters["LogDays"]["Default"] == 90, "each log is kept for three months"


def test_a_run_sends_as_many_metrics() -> None:
    names = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score")
    summary = {
        "winner": "a", "rows": {"train": 8}, "gates": [],
        "candidates": [{"candidate": "a", "cost_usd": 1.0, "metrics": dict.fromkeys(names, 0.5)}],
    }  # fmt: skip
    assert len(metric_data("orchard", summary, quarantined=0, seconds=1)) == costs.METRICS


def test_what_is_paid_for_waiting_is_worked_out_by_hand() -> None:
    found = costs.monthly(IDLE)
    assert found["service: tasks"] == pytest.approx(2 * 730 * (0.5 * 0.04656 + 0.00511))
    assert found["service: load balancer"] == pytest.approx(730 * 0.027)
    assert found["service: addresses"] == pytest.approx(4 * 730 * 0.005)
    assert found["alarms"] == pytest.approx(0.7)
    assert found["SageMaker"] == found["EMR"] == found["Athena"] == found["function"] == 0


def test_what_work_costs_is_worked_out_by_hand() -> None:
    found = costs.monthly(ACTIVE)
    assert found["SageMaker"] == pytest.approx(30 * 3 * 4 * 0.138 * 5 / 60)
    assert found["Athena"] == pytest.approx(30 * 0.01 * 5)
    assert found["function"] == pytest.approx(30 * 3 * 60 * 2 * 0.0000166667)


def test_every_alarm_is_paid_for(template: Template) -> None:
    def alarms(made: Evaluation) -> int:
        found = made.of_type("AWS::CloudWatch::Alarm").values()
        stats = [sum("MetricStat" in each for each in a.get("Metrics", [])) for a in found]
        return sum(max(1, count) for count in stats)

    each = 0.1
    assert costs.monthly(costs.Use())["alarms"] == pytest.approx(
        each * alarms(Evaluation(template, LEAST))
    )
    assert costs.monthly(ACTIVE)["alarms"] == pytest.approx(
        each * alarms(Evaluation(template, EVERYTHING))
    )


def test_no_more_use_costs_less() -> None:
    least, idle, active = (costs.monthly(use) for use in costs.USES.values())
    assert all(least[what] <= idle[what] <= active[what] for what in active)
