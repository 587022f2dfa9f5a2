"""Every cause of trouble has an alarm, on a metric that exists, and it reaches somebody."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from millrace.infrastructure.template import Template
from millrace.steps.cloudwatch import metric_data
from tests.infrastructure.conftest import LEAST
from tests.infrastructure.evaluate import Evaluation, statement

AWS_METRICS = {
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"): {"LoadBalancer"},
    ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"): {"LoadBalancer"},
    ("AWS/ApplicationELB", "UnHealthyHostCount"): {"LoadBalancer", "TargetGroup"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): {"QueueName"},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName"},
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "Errors"): {"FunctionName"},
}
CAUSES = {
    "ServiceErrorsAlarm": {"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"},
    "UnhealthyTargetsAlarm": {"UnHealthyHostCount"},
    "UploadsWaitAlarm": {"ApproximateAgeOfOldestMessage"},
    "DeadLettersAlarm": {"ApproximateNumberOfMessagesVisible"},
    "FailedTasksAlarm": {"FailedTasks"},
    "FailedGatesAlarm": {"GatesFailed"},
    "OnUploadErrorsAlarm": {"Errors"},
}


def watched(alarm: dict[str, Any]) -> list[tuple[str, str, set[str]]]:
    """Namespace, name and dimensions of the metrics that an alarm looks at."""
    metrics = [
        each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each
    ]
    if "MetricName" in alarm:
        metrics.append(alarm)
    found = [
        (each["Namespace"], each["MetricName"], {d["Name"] for d in each.get("Dimensions", [])})
        for each in metrics
    ]
    for each in alarm.get("Metrics", []):
        query = re.fullmatch(
            r'SELECT SUM\((\w+)\) FROM SCHEMA\("([^"]+)", (\w+)\)', each.get("Expression", "")
        )
        if query:
            found.append((query[2], query[1], {query[3]}))
    return found


class TestAlarms:
    def test_each_cause_has_its_alarm(self, everything: Evaluation) -> None:
        alarms = everything.of_type("AWS::CloudWatch::Alarm")
        assert {
            name: {metric for _, metric, _ in watched(alarm)} for name, alarm in alarms.items()
        } == CAUSES

    @pytest.mark.parametrize("name", CAUSES)
    def test_an_alarm_watches_what_exists_and_tells_somebody(
        self, everything: Evaluation, name: str
    ) -> None:
        alarm = everything.properties(name)
        assert alarm["AlarmActions"] == ["Alarms"]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmDescription"].endswith((".", "?"))
        for namespace, metric, dimensions in watched(alarm):
            known = {**AWS_METRICS, **own_metrics(everything)}
            assert known[namespace, metric] == dimensions

    def test_an_alarm_reaches_its_topic(self, everything: Evaluation) -> None:
        topic = everything.properties("Alarms")
        assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "ops@example.org"}]
        allowed = statement(everything.properties("AlarmsPolicy")["PolicyDocument"], "AlarmsTell")
        assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        key = statement(everything.properties("Key")["KeyPolicy"], "AlarmsAreEncrypted")
        assert key["Principal"] == allowed["Principal"]
        assert set(key["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}

    def test_a_failed_task_is_counted_by_what_airflow_logs(self, least: Evaluation) -> None:
        from airflow.sdk.execution_time import task_runner

        words = least.properties("FailedTasks")["FilterPattern"].strip('"')
        assert f'log.exception("{words}")' in inspect.getsource(task_runner)
        group = least.properties("FailedTasks")["LogGroupName"]
        assert least.outputs["RemoteLogs"].endswith(f":log-group:{group}")

    def test_the_budget_warns_before_it_is_spent(self, everything: Evaluation) -> None:
        budget = everything.properties("Budget")
        assert budget["Budget"]["TimeUnit"] == "MONTHLY"
        assert budget["Budget"]["BudgetLimit"] == {"Amount": "200", "Unit": "USD"}
        said = [each["Notification"] for each in budget["NotificationsWithSubscribers"]]
        assert {(each["NotificationType"], each["Threshold"]) for each in said} == {
            ("ACTUAL", 80), ("FORECASTED", 100),
        }  # fmt: skip

    def test_there_is_none_where_none_is_wanted(self, template: Template) -> None:
        assert "Budget" not in Evaluation(template, {**LEAST, "MonthlyBudget": "0"}).resources
        assert "Budget" not in Evaluation(template, LEAST, region="eu-north-1").resources


def own_metrics(made: Evaluation) -> dict[tuple[str, str], set[str]]:
    """What the runs send, and what a filter makes of the task logs."""
    summary = {
        "winner": "a", "rows": {"train": 8, "test": 2}, "gates": [],
        "candidates": [{"candidate": "a", "cost_usd": 0.1, "metrics": {}}],
    }  # fmt: skip
    sent = metric_data("orchard", summary, quarantined=0, seconds=1)
    found = {
        ("Millrace", each["MetricName"]): {d["Name"] for d in each["Dimensions"]} for each in sent
    }
    for each in made.of_type("AWS::Logs::MetricFilter").values():
        (metric,) = each["MetricTransformations"]
        found[metric["MetricNamespace"], metric["MetricName"]] = set()
    return found


def test_every_log_forgets_and_is_encrypted(everything: Evaluation) -> None:
    groups = everything.of_type("AWS::Logs::LogGroup")
    assert len(groups) == 5
    for group in groups.values():
        assert group["RetentionInDays"] == "90"
        assert group["KmsKeyId"] == everything.resolve({"Fn::GetAtt": ["Key", "Arn"]})
