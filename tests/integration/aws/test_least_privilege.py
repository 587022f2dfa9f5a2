"""The shipped policies: everything the pipelines do is allowed, and nothing could be left out."""

from __future__ import annotations

import copy
import datetime as dt
import gzip
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.policies import policy
from millrace.steps.cloudwatch import put_metrics
from millrace.steps.evaluate import evaluate
from millrace.steps.run import Run
from millrace.steps.train import train, transform
from tests.integration.aws.operations import (
    EMR_ROLE,
    TAGS,
    Ground,
    cluster_request,
    operation_of,
)
from tests.integration.aws.stack import BUCKET, JOBS_ROLE, LAKE, VALUES
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import role_arn
from tests.integration.aws.standin.tryout import archive, log_lines, wait
from tests.jobs.execution import ended, follow
from tests.steps.club import club_run, make_bucket, prepare, publish

pytestmark = pytest.mark.integration


WORKER = {name: policy(name, VALUES) for name in ("worker", "worker-emr")}
GROUP = "/aws/sagemaker/TrainingJobs"
NOT_SHOWN = {
    "logs:CreateLogGroup": "watchtower makes the group of the task logs where it is not there",
}
"""Rights of the worker whose use a test of its own shows."""


def rights() -> list[tuple[str, str, str]]:
    """Policy, statement and action of everything the worker may do."""
    return [
        (name, statement["Sid"], action)
        for name, document in WORKER.items()
        for statement in document["Statement"]
        for action in statement["Action"]
        if action not in NOT_SHOWN
    ]


def user_without(name: str, sid: str, action: str) -> str:
    return f"no-{name}-{sid}-{action.replace(':', '-')}"


def documents_without(name: str, sid: str, action: str) -> list[dict[str, Any]]:
    """The worker's policies, where one action of one statement is missing."""
    documents = copy.deepcopy(WORKER)
    for statement in documents[name]["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"].remove(action)
    for document in documents.values():
        document["Statement"] = [each for each in document["Statement"] if each["Action"]]
    return list(documents.values())


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A stand-in with the worker, and one more user for each of the worker's rights."""
    users = {user_without(*right): documents_without(*right) for right in rights()}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    with StandIn(
        tmp_path_factory.mktemp("aws"), pace={"state": 0.05, "s3_logs": 0.1, "grace": 0.1},
        policies={"worker": list(WORKER.values()), **users},
        roles={
            JOBS_ROLE: [policy("sagemaker", VALUES)],
            EMR_ROLE: [{"Version": "2012-10-17", "Statement": [everything]}],
        },
    ) as started:  # fmt: skip
        make_bucket(started, BUCKET)
        make_bucket(started, "another")
        started.client("sqs").create_queue(QueueName=VALUES["EventsQueue"])
        started.client("logs").create_log_group(logGroupName=VALUES["TaskLogGroup"])
        yield started


@pytest.fixture(scope="module")
def run(aws: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run on AWS, by the worker under the shipped policies alone."""
    found = prepare(
        club_run(
            aws, tmp_path_factory.mktemp("club"), LAKE, "worker",
            MILLRACE_SAGEMAKER_ROLE=role_arn(JOBS_ROLE),
        )
    )  # fmt: skip
    publish(found, train(found, "good"))
    publish(found, transform(found, "good"))
    evaluate(found)
    return found


@pytest.fixture(scope="module")
def ground(aws: StandIn, run: Run) -> Ground:
    run.store.replace("jobs/sent/x.py", b"print('x')\n", None)
    made = Ground(
        aws, run, aws.client("emr").run_job_flow(**cluster_request())["JobFlowId"],
        aws.client("emr-serverless").create_application(
            releaseLabel="emr-7.1.0", type="SPARK", clientToken="t", tags=TAGS
        )["applicationId"], {},
    )  # fmt: skip
    for operation in ("CreateTrainingJob", "CreateTransformJob", "AddJobFlowSteps", "StartJobRun"):
        aws.fault({"fault": "never_ends", "operation": operation})
    for kind in ("training", "transform", "step", "serverless"):
        made.going[kind] = made.start(kind, "worker", "going")
    write(aws, f"{made.going['training'].id}/algo-1-1700000000")
    for name in ("controller", "stderr", "stdout"):
        key = f"lake/jobs/logs/{made.cluster}/steps/{made.going['step'].id}/{name}.gz"
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(b"a line\n"))
    return made


def write(aws: StandIn, stream: str) -> None:
    """A line of a job's log."""
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    event = {"timestamp": int(dt.datetime.now().timestamp() * 1000), "message": "a line"}
    logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])


@pytest.mark.parametrize(("name", "sid", "action"), rights())
def test_without_this_right_something_is_refused(
    ground: Ground, name: str, sid: str, action: str
) -> None:
    with pytest.raises(Exception, match=rf"not authorized to perform: {action}\b"):
        operation_of(sid, action)(ground, user_without(name, sid, action))


def test_with_all_of_them_nothing_is(ground: Ground) -> None:
    for operation in {operation_of(sid, action): None for _, sid, action in rights()}:
        operation(ground, "worker")


def test_a_whole_run_needs_no_more_than_is_shipped(aws: StandIn, run: Run) -> None:
    assert run.published("reports", "evaluation", "evaluate").facts["winner"] == "good"
    statuses = {job["name"]: job["state"] for job in aws.jobs()
                if job["service"].startswith("sagemaker")}  # fmt: skip
    assert list(statuses.values())[:2] == ["Completed", "Completed"]
    put_metrics(run)
    found = aws.client("cloudwatch").list_metrics(Namespace=VALUES["MetricsNamespace"])
    assert found["Metrics"]


def test_the_jobs_role_may_write_its_logs(aws: StandIn, run: Run) -> None:
    wait(lambda: log_lines(aws, GROUP, f"{aws.jobs()[0]['name']}/"))


def test_task_logs_are_kept_in_cloudwatch_and_read_again(
    aws: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By Airflow's own handler; in an account where nobody has made the log group yet."""
    from airflow.providers.amazon.aws.log.cloudwatch_task_handler import CloudWatchRemoteLogIO

    group = VALUES["TaskLogGroup"]
    aws.client("logs").delete_log_group(logGroupName=group)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.connection("worker"))
    monkeypatch.setenv("AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID", "aws_default")
    arn = f"arn:aws:logs:{aws.region}:{VALUES['AccountId']}:log-group:{group}:*"
    logs = CloudWatchRemoteLogIO(base_log_folder=tmp_path, log_group_arn=arn)
    handler = logs.handler
    handler.log_stream_name = "dag_id=club/attempt=1.log"
    record = {"name": "club", "msg": {"event": "trained"}, "levelno": logging.INFO}
    handler.handle(logging.makeLogRecord(record))
    logs.close()
    _, lines = logs.read("dag_id=club/attempt=1.log", None)
    assert lines and "trained" in "".join(lines)


def refused(call: Callable[[], Any], action: str) -> None:
    with pytest.raises(Exception, match=rf"not authorized to perform: {action}\b"):
        call()


class TestOutside:
    """What the worker may do ends at the prefix, the names of the jobs, and the roles."""

    @pytest.mark.parametrize("where", [("another", "lake/x"), (BUCKET, "x"), (BUCKET, "lakes/x")])
    def test_no_other_object(self, aws: StandIn, run: Run, where: tuple[str, str]) -> None:
        s3, place = aws.client("s3", "worker"), {"Bucket": where[0], "Key": where[1]}
        aws.client("s3").put_object(**place, Body=b"1")
        refused(lambda: s3.get_object(**place), "s3:GetObject")
        refused(lambda: s3.put_object(**place, Body=b""), "s3:PutObject")
        refused(lambda: s3.delete_object(**place), "s3:DeleteObject")

    def test_no_other_bucket(self, aws: StandIn, run: Run) -> None:
        s3 = aws.client("s3", "worker")
        refused(lambda: s3.list_objects_v2(Bucket="another"), "s3:ListBucket")
        refused(s3.list_buckets, "s3:ListAllMyBuckets")
        refused(lambda: s3.delete_bucket(Bucket=BUCKET), "s3:DeleteBucket")

    def test_no_other_job(self, ground: Ground) -> None:
        sagemaker = ground.aws.client("sagemaker", "worker")
        body, name = ground.request("training", "x").body, {"TrainingJobName": "theirs-1"}
        refused(
            lambda: sagemaker.create_training_job(**name, **body), "sagemaker:CreateTrainingJob"
        )
        refused(lambda: sagemaker.stop_training_job(**name), "sagemaker:StopTrainingJob")
        refused(lambda: sagemaker.delete_model(ModelName="theirs"), "sagemaker:DeleteModel")
        refused(lambda: sagemaker.list_models(), "sagemaker:ListModels")

    def test_no_other_role(self, ground: Ground) -> None:
        body = {**ground.request("training", "x").body, "RoleArn": role_arn()}
        sagemaker = ground.aws.client("sagemaker", "worker")
        name = {"TrainingJobName": "millrace-other-role-1"}
        refused(lambda: sagemaker.create_training_job(**name, **body), "iam:PassRole")
        emr = ground.aws.client("emr", "worker")
        other = {**cluster_request(), "ServiceRole": role_arn(JOBS_ROLE)}
        refused(lambda: emr.run_job_flow(**other), "iam:PassRole")

    def test_no_cluster_of_others(self, ground: Ground) -> None:
        emr = ground.aws.client("emr", "worker")
        bare = {key: value for key, value in cluster_request().items() if key != "Tags"}
        refused(lambda: emr.run_job_flow(**bare), "elasticmapreduce:RunJobFlow")
        theirs = ground.aws.client("emr").run_job_flow(**bare)["JobFlowId"]
        refused(
            lambda: emr.terminate_job_flows(JobFlowIds=[theirs]),
            "elasticmapreduce:TerminateJobFlows",
        )
        refused(lambda: emr.describe_cluster(ClusterId=theirs), "elasticmapreduce:DescribeCluster")

    def test_no_other_logs_figures_or_queues(self, ground: Ground) -> None:
        logs, aws = ground.aws.client("logs", "worker"), ground.aws
        theirs = {"logGroupName": "/aws/lambda/theirs", "logStreamName": "x"}
        refused(lambda: logs.get_log_events(**theirs), "logs:GetLogEvents")
        refused(lambda: logs.create_log_stream(**theirs), "logs:CreateLogStream")
        data = [{"MetricName": "x", "Value": 1.0}]
        refused(
            lambda: aws.client("cloudwatch", "worker").put_metric_data(
                Namespace="Theirs", MetricData=data
            ),
            "cloudwatch:PutMetricData",
        )
        url = aws.client("sqs").create_queue(QueueName="theirs")["QueueUrl"]
        refused(
            lambda: aws.client("sqs", "worker").receive_message(QueueUrl=url), "sqs:ReceiveMessage"
        )


REACHING = """
import boto3, os
s3 = boto3.client("s3")
for what, call in {
    "read raw": lambda: s3.get_object(Bucket="BUCKET", Key="lake/raw/club/2026-03-01/members.csv"),
    "list raw": lambda: s3.list_objects_v2(Bucket="BUCKET", Prefix="lake/raw/"),
    "list all": lambda: s3.list_objects_v2(Bucket="BUCKET"),
    "write models": lambda: s3.put_object(Bucket="BUCKET", Key="lake/models/x", Body=b""),
    "write processed": lambda: s3.put_object(Bucket="BUCKET", Key="lake/processed/x", Body=b""),
    "delete jobs": lambda: s3.delete_object(Bucket="BUCKET", Key="lake/jobs/sent/x.py"),
    "read another": lambda: s3.get_object(Bucket="another", Key="lake/x"),
    "read sent": lambda: s3.get_object(Bucket="BUCKET", Key="lake/jobs/sent/x.py"),
    "write jobs": lambda: s3.put_object(Bucket="BUCKET", Key="lake/jobs/x", Body=b""),
}.items():
    try:
        call()
        print(what, "allowed", flush=True)
    except Exception as error:
        print(what, "AccessDenied" if "AccessDenied" in str(error) else repr(error), flush=True)
"""


def test_a_job_reaches_its_inputs_and_outputs_only(ground: Ground) -> None:
    """From within: the training script itself tries everything else."""
    source = {"train.py": REACHING.replace("BUCKET", BUCKET)}
    ground.aws.clear_faults()
    key = "lake/jobs/sent/reaching.tar.gz"
    ground.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive(source))
    request = ground.request("training", "reaching")
    given = {**request.body["HyperParameters"]}
    given["sagemaker_submit_directory"] = f'"s3://{BUCKET}/{key}"'
    request = replace(request, body={**request.body, "HyperParameters": given})
    backend = ground.backend("training", "worker")
    _, lines = follow(backend, backend.start(request, 1), ended)
    wait(lambda: "write jobs allowed" in log_lines(ground.aws, GROUP, f"{request.name}-1/"))
    lines = log_lines(ground.aws, GROUP, f"{request.name}-1/")
    said = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines}
    assert {what: said[what] for what in said if said[what] in ("allowed", "AccessDenied")} == {
        "read raw": "AccessDenied", "list raw": "AccessDenied", "list all": "AccessDenied",
        "write models": "AccessDenied", "write processed": "AccessDenied",
        "delete jobs": "AccessDenied", "read another": "AccessDenied", "read sent": "allowed",
        "write jobs": "allowed",
    }  # fmt: skip
