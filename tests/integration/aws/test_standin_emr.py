"""Clusters, steps and serverless runs of the stand-in: the scripts really run."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.spark import parse
from tests.integration.aws.standin.tryout import furnish, wait

pytestmark = pytest.mark.integration
# Stands for spark-submit: shows its options, then runs the script with its arguments.
SUBMIT = """
import runpy, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    print("option", words.pop(0), words.pop(0), flush=True)
sys.argv = words
runpy.run_path(words[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("aws")
    (folder / "submit.py").write_text(SUBMIT)
    submit = f"{sys.executable} {folder / 'submit.py'}"
    pace = {"state": 0.05, "s3_logs": 0.2, "grace": 1}
    with StandIn(folder, pace=pace, environment={"STANDIN_SPARK_SUBMIT": submit}) as started:
        furnish(started)
        yield started


@pytest.fixture(scope="module")
def emr(aws: StandIn) -> Any:
    return aws.client("emr")


def step(*words: str, action: str = "CONTINUE") -> dict[str, Any]:
    command = ["spark-submit", "--master", "yarn", "--conf", "spark.x=1", "s3://lake/job.py",
               *words]  # fmt: skip
    jar = {"Jar": "command-runner.jar", "Args": command}
    return {"Name": words[0], "ActionOnFailure": action, "HadoopJarStep": jar}


def start(aws: StandIn, *steps: dict[str, Any], stays: bool = True) -> str:
    identifier: str = aws.client("emr").run_job_flow(
        Name="orchard", ReleaseLabel="emr-7.13.0", ServiceRole=aws.role, Steps=list(steps),
        JobFlowRole=aws.instance_profile, LogUri="s3://lake/logs/",
        Instances={"KeepJobFlowAliveWhenNoSteps": stays, "MasterInstanceType": "m5.xlarge",
                   "InstanceCount": 1},
        Tags=[{"Key": "project", "Value": "orchard"}],
    )["JobFlowId"]  # fmt: skip
    return identifier


def cluster_is(emr: Any, cluster: str, *states: str) -> Any:
    found = emr.describe_cluster(ClusterId=cluster)["Cluster"]
    return found if found["Status"]["State"] in states else None


def step_is(emr: Any, cluster: str, identifier: str, *states: str) -> Any:
    found = emr.describe_step(ClusterId=cluster, StepId=identifier)["Step"]
    return found if found["Status"]["State"] in states else None


def text(aws: StandIn, key: str) -> str:
    try:
        body = aws.client("s3").get_object(Bucket="lake", Key=key)["Body"].read()
    except ClientError:
        return ""
    return gzip.decompress(body).decode() if key.endswith(".gz") else body.decode()


def test_steps_run_one_after_the_other_and_leave_logs(aws: StandIn, emr: Any) -> None:
    cluster = start(aws)
    good, bad = emr.add_job_flow_steps(
        JobFlowId=cluster, Steps=[step("out-1"), step("fail")]
    )["StepIds"]  # fmt: skip
    failed = wait(lambda: step_is(emr, cluster, bad, "FAILED"))["Status"]
    assert step_is(emr, cluster, good, "COMPLETED")
    assert text(aws, "out-1") == "done"
    assert failed["FailureDetails"] == {
        "Reason": "RuntimeError", "Message": "RuntimeError: no such table",
        "LogFile": f"s3://lake/logs/{cluster}/steps/{bad}/stderr.gz",
    }  # fmt: skip
    base = f"logs/{cluster}/steps"
    wait(lambda: "words ['out-1']" in text(aws, f"{base}/{good}/stdout.gz"))
    assert "option --conf spark.x=1" in text(aws, f"{base}/{good}/stdout.gz")
    assert "--master" not in text(aws, f"{base}/{good}/stdout.gz")
    wait(lambda: "no such table" in text(aws, f"{base}/{bad}/stderr.gz"))
    assert "exit code 1" in text(aws, f"{base}/{bad}/controller.gz")
    assert cluster_is(emr, cluster, "WAITING")["Tags"] == [{"Key": "project", "Value": "orchard"}]
    listed = [item["Id"] for item in emr.list_steps(ClusterId=cluster)["Steps"]]
    assert listed == [bad, good]
    emr.terminate_job_flows(JobFlowIds=[cluster])
    wait(lambda: cluster_is(emr, cluster, "TERMINATED"))
    with pytest.raises(ClientError, match="may not be modified"):
        emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step("out-2")])


def test_a_driver_on_the_cluster_writes_into_its_container(aws: StandIn, emr: Any) -> None:
    config = step("fail")
    config["HadoopJarStep"]["Args"][1:1] = ["--deploy-mode", "cluster"]
    cluster = start(aws, config)
    identifier = emr.list_steps(ClusterId=cluster)["Steps"][0]["Id"]
    failed = wait(lambda: step_is(emr, cluster, identifier, "FAILED"))["Status"]
    assert failed["FailureDetails"]["Message"].endswith("finished with failed status")
    own = f"logs/{cluster}/steps/{identifier}/stderr.gz"
    wait(lambda: "finished with failed status" in text(aws, own))
    assert "no such table" not in text(aws, own)
    application = text(aws, own).split("Submitted application ")[1].split()[0]
    container = application.replace("application", "container")
    folder = f"logs/{cluster}/containers/{application}/{container}_01_000001"
    wait(lambda: "no such table" in text(aws, f"{folder}/stderr.gz"))
    assert "words ['fail']" in text(aws, f"{folder}/stdout.gz")
    emr.terminate_job_flows(JobFlowIds=[cluster])


def test_steps_are_cancelled(aws: StandIn, emr: Any) -> None:
    cluster = start(aws, step("sleep"), step("out-3"))
    waiting, running = [item["Id"] for item in emr.list_steps(ClusterId=cluster)["Steps"]]
    pid = wait(lambda: aws.jobs(name=running)[0]["pid"])
    told = emr.cancel_steps(ClusterId=cluster, StepIds=[running, waiting],
                            StepCancellationOption="SEND_INTERRUPT")  # fmt: skip
    assert {item["Status"] for item in told["CancelStepsInfoList"]} == {"SUBMITTED"}
    wait(lambda: step_is(emr, cluster, running, "CANCELLED"))
    assert step_is(emr, cluster, waiting, "CANCELLED")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [job["starts"] for job in aws.jobs(name=waiting)] == [0]
    told = emr.cancel_steps(ClusterId=cluster, StepIds=[running])
    assert told["CancelStepsInfoList"][0]["Status"] == "FAILED"
    emr.terminate_job_flows(JobFlowIds=[cluster])


def test_terminating_a_cluster_ends_its_step(aws: StandIn, emr: Any) -> None:
    cluster = start(aws, step("sleep"))
    identifier = emr.list_steps(ClusterId=cluster)["Steps"][0]["Id"]
    pid = wait(lambda: aws.jobs(name=identifier)[0]["pid"])
    emr.terminate_job_flows(JobFlowIds=[cluster])
    wait(lambda: cluster_is(emr, cluster, "TERMINATED"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_cluster_ends_after_its_last_step(aws: StandIn, emr: Any) -> None:
    cluster = start(aws, step("out-4"), stays=False)
    reason = wait(lambda: cluster_is(emr, cluster, "TERMINATED"))["Status"]["StateChangeReason"]
    assert reason["Code"] == "ALL_STEPS_COMPLETED"


def test_a_failed_step_can_end_the_cluster(aws: StandIn, emr: Any) -> None:
    cluster = start(aws, step("fail", action="TERMINATE_CLUSTER"), step("out-5"))
    wait(lambda: cluster_is(emr, cluster, "TERMINATED_WITH_ERRORS"))
    states = [item["Status"]["State"] for item in emr.list_steps(ClusterId=cluster)["Steps"]]
    assert states == ["CANCELLED", "FAILED"]


def test_unknown_things_and_profiles_are_refused(aws: StandIn, emr: Any) -> None:
    with pytest.raises(ClientError, match="Cluster id 'j-NOBODY' is not valid"):
        emr.describe_cluster(ClusterId="j-NOBODY")
    with pytest.raises(ClientError, match="Specified job flow ID does not exist"):
        emr.add_job_flow_steps(JobFlowId="j-NOBODY", Steps=[step("x")])
    with pytest.raises(ClientError, match="Invalid InstanceProfile: nobody"):
        emr.run_job_flow(Name="x", JobFlowRole="nobody", Instances={})


def test_a_step_that_never_ends_is_cancelled(aws: StandIn, emr: Any) -> None:
    cluster = start(aws)
    aws.fault({"fault": "never_ends", "operation": "AddJobFlowSteps", "times": 1})
    identifier = emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step("x")])["StepIds"][0]
    wait(lambda: step_is(emr, cluster, identifier, "RUNNING"))
    emr.cancel_steps(ClusterId=cluster, StepIds=[identifier])
    wait(lambda: step_is(emr, cluster, identifier, "CANCELLED"))
    assert aws.jobs(name=identifier)[0]["starts"] == 0
    emr.terminate_job_flows(JobFlowIds=[cluster])


class Runs:
    """One application of EMR Serverless."""

    def __init__(self, aws: StandIn):
        self.role, self.client = aws.role, aws.client("emr-serverless")
        self.application = self.client.create_application(
            name="orchard", releaseLabel="emr-7.1.0", type="SPARK"
        )["applicationId"]

    def start(self, token: str, *words: str) -> str:
        driver = {"entryPoint": "s3://lake/job.py", "entryPointArguments": list(words),
                  "sparkSubmitParameters": "--conf spark.y=2"}  # fmt: skip
        logs = {"s3MonitoringConfiguration": {"logUri": "s3://lake/runs/"}}
        identifier: str = self.client.start_job_run(
            applicationId=self.application, clientToken=token, executionRoleArn=self.role,
            jobDriver={"sparkSubmit": driver}, tags={"project": "orchard"},
            configurationOverrides={"monitoringConfiguration": logs},
        )["jobRunId"]  # fmt: skip
        return identifier

    def is_in(self, run: str, *states: str) -> Any:
        found = self.client.get_job_run(applicationId=self.application, jobRunId=run)["jobRun"]
        return found if found["state"] in states else None


def test_a_serverless_run_is_started_once_for_a_token(aws: StandIn) -> None:
    runs = Runs(aws)
    run = runs.start("token", "out-6")
    assert runs.start("token", "out-6") == run
    found = wait(lambda: runs.is_in(run, "SUCCESS", "FAILED"))
    assert found["state"] == "SUCCESS" and found["tags"] == {"project": "orchard"}
    assert text(aws, "out-6") == "done"
    assert [job["starts"] for job in aws.jobs(name=run)] == [1]
    key = f"runs/applications/{runs.application}/jobs/{run}/SPARK_DRIVER/stdout.gz"
    wait(lambda: "option --conf spark.y=2" in text(aws, key))
    listed = runs.client.list_job_runs(
        applicationId=runs.application, states=["SUCCESS", "FAILED"], maxResults=5
    )["jobRuns"]
    assert [item["id"] for item in listed] == [run]
    with pytest.raises(ClientError, match="cannot be cancelled"):
        runs.client.cancel_job_run(applicationId=runs.application, jobRunId=run)


def test_a_serverless_run_fails_and_is_cancelled(aws: StandIn) -> None:
    runs = Runs(aws)
    failed = wait(lambda: runs.is_in(runs.start("bad", "fail"), "FAILED"))
    assert "ExitCode: 1" in failed["stateDetails"] and "no such table" in failed["stateDetails"]
    run = runs.start("long", "sleep")
    wait(lambda: aws.jobs(name=run)[0]["pid"])
    runs.client.cancel_job_run(applicationId=runs.application, jobRunId=run)
    wait(lambda: runs.is_in(run, "CANCELLED"))
    assert aws.jobs(name=run)[0]["pid"] is None
    with pytest.raises(runs.client.exceptions.ResourceNotFoundException):
        runs.is_in("0" * 16, "RUNNING")


def test_words_of_spark_submit() -> None:
    found = parse(["--conf=a=b", "--verbose", "--name", "x", "s3://b/job.py", "--rows", "3"])
    assert found.options == [("--conf", "a=b"), ("--verbose", ""), ("--name", "x")]
    assert (found.script, found.arguments) == ("s3://b/job.py", ["--rows", "3"])
