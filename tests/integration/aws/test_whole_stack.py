"""The whole stack on AWS, worker and model service under the shipped policies: logs and figures in
CloudWatch, and a deployment to ECS, where the real service answers behind the load balancer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from millrace.model_service import ModelService
from millrace.stack.environment import SERVICE_PATH
from millrace.tracking import registry
from tests.integration.aws.service import CLUSTER, GROUP, IMAGE, PORT, Container, Service
from tests.integration.aws.stack import (
    BUCKET,
    LAKE,
    SERVICE,
    STARTER,
    VALUES,
    Rehearsal,
    cloud,
    stack_on,
)
from tests.integration.aws.standin.account import ACCOUNT, REGION, role_arn
from tests.integration.deployments import Deployments
from tests.integration.test_scheduler import SPEC, orchard, stack_client
from tests.integration.waiting import eventually, finished
from tests.tracking.mlflow_server import free_port

pytestmark = pytest.mark.integration
DATASET = "orchard"
TASK_LOGS = VALUES["TaskLogGroup"]
SPOILT = "is not the one that was registered"
UNHURRIED, QUICK = 2.0, 0.2  # seconds between health checks; the tenth failure ends a task


@dataclass
class Ground:
    """A stack that deploys with approval, and the service of ECS that it deploys to.

    Attributes:
        trained: the run that trained the first champion, on SageMaker.
    """

    running: Rehearsal
    service: Service
    deployments: Deployments
    trained: str = ""

    def promote(self, partition: str, seed: int, engine: str) -> str:
        """Run the pipeline to a new champion; the run."""
        stack, key = self.running.stack, f"lake/raw/{DATASET}/{partition}/rows.csv"
        s3 = self.running.aws.client("s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=orchard(seed).encode())
        run = stack.api.trigger(DATASET, {"partition": partition, "engine": engine})
        assert finished(stack, DATASET, run)["state"] == "success"
        champion = registry.champion(stack_client(stack), DATASET)
        assert champion and champion.tags["millrace.partition"] == partition
        return run

    def container_lines(self) -> str:
        """What every container of the service has written so far."""
        logs = self.running.aws.client("logs")
        return "\n".join(
            event["message"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]
        )

    @contextmanager
    def spoilt(self, version: str) -> Iterator[None]:
        """The registry's storage holds other bytes than were registered, for a while."""
        stack = self.running.stack
        model = stack_client(stack).get_model_version(DATASET, version).source.rpartition("/")[2]
        (folder,) = (stack.home / "mlflow" / "artifacts").glob(f"**/{model}")
        file = next(path for path in sorted(folder.rglob("bundle/**/*")) if path.is_file())
        good = file.read_bytes()
        file.write_bytes(good + b" ")
        yield
        file.write_bytes(good)


def container(mlflow: str) -> Container:
    """The model service as its image runs it, with the variables of the shipped template."""
    return Container(
        DATASET, ["python", "-m", "serving", "--port", str(PORT)],
        {"MILLRACE_MODELS": f"{DATASET}=1", "MLFLOW_TRACKING_URI": mlflow,
         "MILLRACE_LAKE": LAKE, "MILLRACE_SERVICE_RECORD": "yes"},
        role_arn(SERVICE), role_arn(STARTER),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The first champion is in service, pinned, before deployments are switched on."""
    folder, port = tmp_path_factory.mktemp("ecs"), free_port()
    (folder / "datasets").mkdir()
    spec = SPEC.replace("  line: {algorithm: logistic_regression}\n", "")
    (folder / "datasets" / f"{DATASET}.yaml").write_text(f"{spec}deploy: {{approval: true}}\n")
    with cloud(folder, pace={"health": UNHURRIED}) as aws:
        aws.image(IMAGE, PYTHONPATH=os.pathsep.join(map(str, SERVICE_PATH)))
        service = Service(aws, SERVICE, container(f"http://127.0.0.1:{port}"), tasks=0)
        variables = {
            "MILLRACE_DATASETS": str(folder / "datasets"), "MILLRACE_MLFLOW_PORT": str(port),
            "MILLRACE_ECS_CLUSTER": CLUSTER, "MILLRACE_ECS_SERVICE": SERVICE,
            "MILLRACE_SERVICE_URL": service.url,
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER":
                f"cloudwatch://arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{TASK_LOGS}",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        }  # fmt: skip
        with stack_on(aws, folder, variables) as running:
            made = Ground(running, service, Deployments(running.stack, DATASET))
            running.stack.api.wait_for_dags([DATASET, made.deployments.dag])
            running.stack.api.unpause(DATASET)
            made.trained = made.promote("2026-01-01", 1, "aws")
            service.scale(1)
            service.until(lambda: service.serves() == "1" and service.is_steady(), 120)
            running.stack.api.unpause(made.deployments.dag)
            yield made


def lines_by_stream(running: Rehearsal) -> dict[str, list[str]]:
    logs: Any = running.aws.client("logs")
    streams = logs.describe_log_streams(logGroupName=TASK_LOGS)["logStreams"]
    return {
        name: [
            event["message"]
            for event in logs.get_log_events(logGroupName=TASK_LOGS, logStreamName=name)["events"]
        ]
        for name in (stream["logStreamName"] for stream in streams)
    }


def test_a_run_leaves_its_task_logs_and_its_figures_in_cloudwatch(ground: Ground) -> None:
    aws, api, run_id = ground.running.aws, ground.running.stack.api, ground.trained
    streams = lines_by_stream(ground.running)
    validated = [text for name, text in streams.items() if "validate_raw" in name]
    assert any("200 rows read" in line for lines in validated for line in lines)
    trained = [text for name, text in streams.items() if "train" in name]
    assert any("Started millrace-orchard" in line for lines in trained for line in lines)
    page = f"/dags/orchard/dagRuns/{run_id}/taskInstances/train/links"
    (link,) = api._object("GET", page, params={"map_index": 0})["extra_links"].values()
    assert link.startswith(f"https://{REGION}.console.aws.amazon.com/sagemaker/home")
    said = api.log("orchard", run_id, "validate_raw", 1)
    assert "200 rows read" in said
    metrics = aws.client("cloudwatch").list_metrics(Namespace="Millrace")["Metrics"]
    assert {"Rows", "Duration", "EstimatedCost"} <= {metric["MetricName"] for metric in metrics}


def test_a_version_comes_into_service_or_the_old_one_stays(ground: Ground) -> None:
    aws, service, deployments = ground.running.aws, ground.service, ground.deployments
    ground.promote("2026-01-02", 2, "local")
    first = deployments.waiting(set())
    assert ground.running.stack.api.run(deployments.dag, first)["run_type"] != "manual"
    with ground.spoilt("2"):  # while the person thinks
        deployments.respond(first, "Approve")
        eventually(lambda: SPOILT in ground.container_lines(), "the lines", ground.running.stack)
        assert service.serves() == "1"
        aws.pace(health=QUICK)
        assert deployments.end(first) == ("failed", {
            "plan": "success", "approve": "success", "update": "failed",
            "verify": "upstream_failed", "roll_back": "success", "report_failure": "failed",
        })  # fmt: skip
        aws.pace(health=UNHURRIED)
    said = deployments.log(first, "report_failure")
    assert "Version 2 of orchard did not come into service: " in said and SPOILT in said
    assert "What to do: run the partition that the version was trained on again" in said
    assert "Version 1 is in service, verified." in said
    assert (service.serves(), service.runs()) == ("1", "1")

    second = ground.running.stack.api.trigger(deployments.dag)
    assert deployments.waiting({first}) == second
    state, tasks = deployments.answer(second, "Approve")
    assert (state, tasks["update"], tasks["verify"]) == ("success", "success", "success")
    assert tasks["roll_back"] == tasks["report_failure"] == "skipped"
    answer = ModelService(service.url).predict(DATASET, {"age": 29, "soil": "loam"})
    assert (answer["version"], answer["class"]) == ("2", "yes")
    revision = service.ecs.describe_task_definition(taskDefinition=SERVICE)["taskDefinition"]
    variables = revision["containerDefinitions"][0]["environment"]
    assert {"name": "MILLRACE_MODELS", "value": "orchard=2"} in variables

    third = ground.running.stack.api.trigger(deployments.dag)
    assert deployments.end(third)[0] == "success"
    assert deployments.states(third)["plan"] == "skipped", "it is in service"


def test_what_the_service_predicted_is_recorded_with_its_own_rights(ground: Ground) -> None:
    """The container that was replaced has written what it answered in the deployments' checks."""
    assert ground.running.store.list("recorded/orchard")


def test_the_rights_of_the_worker_were_enforced(ground: Ground) -> None:
    ecs = ground.running.aws.client("ecs", "worker")
    with pytest.raises(ClientError, match="not authorized to perform: ecs:UpdateService"):
        ecs.update_service(cluster=CLUSTER, service="theirs", desiredCount=0)
