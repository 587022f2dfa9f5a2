"""What the pipelines do on AWS, one call of their own code for each right that it needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from millrace.jobs.emr_cluster import EmrCluster
from millrace.jobs.emr_serverless import EmrServerless
from millrace.jobs.emr_step import EmrStep
from millrace.jobs.job import Backend, Job, Request
from millrace.jobs.sagemaker import FEW, SageMakerTraining, SageMakerTransform
from millrace.lake import open_store
from millrace.steps.run import Run
from tests.integration.aws.stack import BUCKET, LAKE, VALUES
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import INSTANCE_PROFILE, role_arn
from tests.steps.club import training_of, transform_of

EMR_ROLE = "millrace-emr"
TAGS = {"project": "millrace"}


@dataclass(frozen=True)
class Ground:
    """What the operations need: made by the root, used with a user's rights."""

    aws: StandIn
    run: Run
    cluster: str
    application: str
    going: dict[str, Job]

    def backend(self, kind: str, user: str | None) -> Backend:
        client = partial(self.aws.client, user=user)
        return {
            "training": lambda: SageMakerTraining(client("sagemaker"), client("logs")),
            "transform": lambda: SageMakerTransform(client("sagemaker"), client("logs")),
            "step": lambda: EmrStep(client("emr"), client("s3")),
            "serverless": lambda: EmrServerless(client("emr-serverless"), client("s3")),
        }[kind]()

    def request(self, kind: str, name: str) -> Request:
        """What is submitted by the pipelines, under another name."""
        if kind == "training":
            found = training_of(self.run).request
        elif kind == "transform":
            found = transform_of(self.run).request
        elif kind == "step":
            jar = {"Jar": "command-runner.jar", "Args": ["spark-submit", f"{LAKE}/jobs/sent/x.py"]}
            body: dict[str, Any] = {"ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
            found = Request("emr_step", "", body, 60, self.cluster)
        else:
            driver = {"sparkSubmit": {"entryPoint": f"{LAKE}/jobs/sent/x.py"}}
            body = {"executionRoleArn": role_arn(EMR_ROLE), "jobDriver": driver, "tags": TAGS}
            found = Request("emr_serverless", "", body, 60, self.application)
        return replace(found, name=f"millrace-{name}")

    def start(self, kind: str, user: str | None, name: str) -> Job:
        return self.backend(kind, user).start(self.request(kind, name), 1)

    def find(self, kind: str, user: str) -> Any:
        return self.backend(kind, user).find("millrace-going", self.going[kind].home)

    def stop(self, kind: str, user: str) -> None:
        self.backend(kind, user).stop(self.going[kind])

    def read(self, kind: str, user: str) -> Any:
        return self.backend(kind, user).logs(self.going[kind], {})

    def poll(self, kind: str, user: str) -> Any:
        jobs = [Job("millrace-x", n, f"millrace-x-{n}") for n in range(1, FEW + 2)]
        return self.backend(kind, user).poll(jobs)

    def lake(self, user: str) -> Any:
        return open_store(LAKE, self.aws.client("s3", user))


def cluster_request() -> dict[str, Any]:
    return {
        "Name": "millrace", "ReleaseLabel": "emr-7.5.0", "LogUri": f"{LAKE}/jobs/logs/",
        "ServiceRole": role_arn(), "JobFlowRole": INSTANCE_PROFILE,
        "Instances": {"InstanceCount": 1, "MasterInstanceType": "m5.xlarge",
                      "KeepJobFlowAliveWhenNoSteps": True},
        "AutoTerminationPolicy": {"IdleTimeout": 600},
        "ManagedScalingPolicy": {"ComputeLimits": {
            "UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 2}},
        "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
    }  # fmt: skip


def task_log(verb: str) -> Callable[[Ground, str], Any]:
    """A call of the handler that keeps Airflow's task logs in CloudWatch."""

    def call(ground: Ground, user: str) -> Any:
        group, root = VALUES["TaskLogGroup"], ground.aws.client("logs")
        names = {"logGroupName": group, "logStreamName": f"of-{user}-{verb}"}
        if verb != "create_log_stream":
            root.create_log_stream(**names)
        more = {"put_log_events": {"logEvents": [{"timestamp": 1, "message": "x"}]}}.get(verb, {})
        return getattr(ground.aws.client("logs", user), verb)(**names, **more)

    return call


def queue(verb: str, **arguments: Any) -> Callable[[Ground, str], Any]:
    def call(ground: Ground, user: str) -> Any:
        client = ground.aws.client("sqs", user)
        url = ground.aws.client("sqs").get_queue_url(QueueName=VALUES["EventsQueue"])["QueueUrl"]
        return getattr(client, verb)(QueueUrl=url, **arguments)

    return call


def multipart(ground: Ground, user: str) -> None:
    """What boto3 does after an upload of many parts has failed."""
    where = {"Bucket": BUCKET, "Key": f"lake/jobs/{user}"}
    begun = ground.aws.client("s3", user).create_multipart_upload(**where)
    ground.aws.client("s3", user).abort_multipart_upload(**where, UploadId=begun["UploadId"])


def remade_model(ground: Ground, user: str) -> None:
    """A model of that name is there, from a try that was refused."""
    request = ground.request("transform", f"remade-{next(NUMBERS)}")
    root = ground.aws.client("sagemaker")
    root.create_model(ModelName=f"{request.name}-1", **request.body["model"])
    ground.backend("transform", user).start(request, 1)


def metrics(ground: Ground, user: str) -> None:
    data = [{"MetricName": "Rows", "Value": 1.0}]
    client = ground.aws.client("cloudwatch", user)
    client.put_metric_data(Namespace=VALUES["MetricsNamespace"], MetricData=data)


NUMBERS = itertools.count()


def start(kind: str) -> Callable[[Ground, str], Any]:
    return lambda ground, user: ground.start(kind, user, f"{kind}-{next(NUMBERS)}")


def terminate(ground: Ground, user: str) -> None:
    cluster = ground.aws.client("emr").run_job_flow(**cluster_request())["JobFlowId"]
    ground.aws.client("emr", user).terminate_job_flows(JobFlowIds=[cluster])


def on(verb: str, kind: str) -> Callable[[Ground, str], Any]:
    return lambda ground, user: getattr(ground, verb)(kind, user)


def old_version(ground: Ground, user: str) -> None:
    """Forget the first of two versions of an object."""
    s3, place = ground.aws.client("s3"), f"jobs/versions-of-{user}"
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})
        if status == "Enabled":
            for body in (b"1", b"2"):
                s3.put_object(Bucket=BUCKET, Key=f"lake/{place}/x", Body=body)
    assert ground.lake(user).forget(place) == 1


OPERATIONS: dict[str, Callable[[Ground, str], Any]] = {
    "s3:ListBucket": lambda ground, user: ground.lake(user).list("raw"),
    "s3:GetObject": lambda ground, user: ground.lake(user).read("jobs/sent/x.py"),
    "s3:PutObject": lambda ground, user: ground.lake(user).replace(f"jobs/{user}", b"", None),
    "s3:DeleteObject": lambda ground, user: ground.lake(user).delete("jobs/nothing"),
    "s3:AbortMultipartUpload": multipart,
    "s3:ListBucketVersions": lambda ground, user: ground.lake(user).forget("jobs/nothing"),
    "s3:DeleteObjectVersion": old_version,
    "sagemaker:CreateTrainingJob": start("training"),
    "sagemaker:DescribeTrainingJob": on("find", "training"),
    "sagemaker:StopTrainingJob": on("stop", "training"),
    "sagemaker:CreateTransformJob": start("transform"),
    "sagemaker:DescribeTransformJob": on("find", "transform"),
    "sagemaker:StopTransformJob": on("stop", "transform"),
    "sagemaker:CreateModel": start("transform"),
    "sagemaker:DescribeModel": remade_model,
    "sagemaker:DeleteModel": lambda ground, user: ground.backend("transform", user).tidy(
        Job("millrace-gone", 1, "millrace-gone-1")
    ),
    "sagemaker:AddTags": start("training"),
    "sagemaker:ListTrainingJobs": on("poll", "training"),
    "sagemaker:ListTransformJobs": on("poll", "transform"),
    "GiveJobsTheirRole iam:PassRole": start("training"),
    "ReadJobLogs logs:DescribeLogStreams": on("read", "training"),
    "ReadJobLogs logs:GetLogEvents": on("read", "training"),
    "WriteTaskLogs logs:CreateLogStream": task_log("create_log_stream"),
    "WriteTaskLogs logs:GetLogEvents": task_log("get_log_events"),
    "WriteTaskLogs logs:PutLogEvents": task_log("put_log_events"),
    "cloudwatch:PutMetricData": metrics,
    "sqs:ReceiveMessage": queue("receive_message", VisibilityTimeout=60),
    "sqs:DeleteMessage": queue(
        "delete_message_batch", Entries=[{"Id": "0", "ReceiptHandle": "none"}]
    ),
    "elasticmapreduce:RunJobFlow": lambda ground, user: ground.aws.client("emr", user).run_job_flow(
        **cluster_request()
    ),
    "elasticmapreduce:AddJobFlowSteps": start("step"),
    "elasticmapreduce:CancelSteps": on("stop", "step"),
    "elasticmapreduce:DescribeCluster": on("find", "step"),
    "elasticmapreduce:DescribeStep": on("read", "step"),
    "elasticmapreduce:ListSteps": on("find", "step"),
    "elasticmapreduce:ListClusters": lambda ground, user: EmrCluster(
        ground.aws.client("emr", user)
    ).find("millrace-x"),
    "elasticmapreduce:TerminateJobFlows": terminate,
    "emr-serverless:GetApplication": on("read", "serverless"),
    "emr-serverless:ListJobRuns": on("find", "serverless"),
    "emr-serverless:StartJobRun": start("serverless"),
    "emr-serverless:CancelJobRun": on("stop", "serverless"),
    "emr-serverless:GetJobRun": lambda ground, user: ground.backend("serverless", user).poll(
        [ground.going["serverless"]]
    ),
    "emr-serverless:TagResource": start("serverless"),
    "GiveRunsTheirRole iam:PassRole": start("serverless"),
}
for _same, _as in {
    "elasticmapreduce:AddTags": "elasticmapreduce:RunJobFlow",
    "elasticmapreduce:PutAutoTerminationPolicy": "elasticmapreduce:RunJobFlow",
    "elasticmapreduce:PutManagedScalingPolicy": "elasticmapreduce:RunJobFlow",
    "GiveClustersTheirRole iam:PassRole": "elasticmapreduce:RunJobFlow",
    "GiveInstancesTheirRole iam:PassRole": "elasticmapreduce:RunJobFlow",
}.items():
    OPERATIONS[_same] = OPERATIONS[_as]


def operation_of(sid: str, action: str) -> Callable[[Ground, str], Any]:
    """What needs a right: takes the ground and the user who tries it."""
    return OPERATIONS.get(f"{sid} {action}") or OPERATIONS[action]
