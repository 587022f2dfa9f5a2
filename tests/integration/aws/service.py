"""A model service on the stand-in's ECS: a load balancer, its health check, security groups, and a
container that really listens.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from millrace.datasets.deployment import Deploy
from millrace.lake import LocalStore
from millrace.model_service import ModelService, NoAnswer
from millrace.steps.run import Run
from tests.integration.aws.standin import StandIn
from tests.tracking import made_up

CLUSTER, IMAGE, PORT = "models", "millrace/serving:latest", 8000
REMOTE = Path(__file__).parents[2] / "remote"
COMMAND = ["python", "-c", "from remote_service import main; main()", str(PORT)]
GROUP = "/millrace/serving"
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


class Ground:
    """The service runs version 1 of `club` in the file that stands for the registry.

    Args:
        user: whose rights the deployment has; the root's by default.
    """

    def __init__(self, aws: StandIn, folder: Path, user: str | None = None):
        self.aws, self.user, self.registry = aws, user, folder / "registry.json"
        self.folder, self.versions = folder, dict[str, dict[str, Any]]()
        self.name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower())[-28:].strip("-")
        self.home = f"{CLUSTER}/{self.name}"
        self.ecs = aws.client("ecs")
        self.version("1")
        self.version("2")
        self._network()
        self._create()
        self.url = aws.balancer(self.name)
        self.until(lambda: self.serves() == "1" and self.is_steady())

    def version(self, number: str, **facts: Any) -> None:
        """Put a version into the registry."""
        self.versions[number] = {"content": f"files of {number}", **facts}
        registry = {"club": {"champion": number, "versions": self.versions}}
        self.registry.write_text(json.dumps(registry))

    def remove(self, number: str) -> None:
        """Lose a version."""
        del self.versions[number]
        registry = {"club": {"champion": "1", "versions": self.versions}}
        self.registry.write_text(json.dumps(registry))

    def run(self, **variables: str) -> Run:
        """A run of a deployment."""
        settings = made_up.settings(
            self.folder, "http://127.0.0.1:9",
            **{"MILLRACE_AWS_REGION": self.aws.region, "MILLRACE_ECS_CLUSTER": CLUSTER,
               "MILLRACE_ECS_SERVICE": self.name, "MILLRACE_SERVICE_URL": self.url,
               "MILLRACE_POLL_INTERVAL": "0.2", **variables},
        )  # fmt: skip
        spec = made_up.write_spec(self.folder / "datasets").model_copy(update={"deploy": Deploy()})
        return Run(
            spec, "2026-03-01", LocalStore(Path(settings.lake)), settings, ("good",),
            run_id="manual__1", client=lambda service: self.aws.client(service, self.user),
        )  # fmt: skip

    def plan(self, version: str = "2", before: str = "1") -> dict[str, Any]:
        """What the task `plan` hands on."""
        stood = {"version": before, "content": f"files of {before}"}
        return {"version": version, "content": f"files of {version}", "where": "ecs",
                "before": stood}  # fmt: skip

    def serves(self) -> str:
        """The version that the load balancer leads to; empty: none."""
        try:
            return str((ModelService(self.url).model("club") or {}).get("version", ""))
        except NoAnswer:
            return ""

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(cluster=CLUSTER, services=[self.name])
        service: dict[str, Any] = found["services"][0]
        return service

    def runs(self) -> str:
        """The revision of the service's task definition: 1, 2 and so on."""
        return str(self.service()["taskDefinition"]).rpartition(":")[2]

    def set_breaker(self, breaker: dict[str, bool]) -> None:
        """Change the circuit breaker; the service comes to rest again."""
        self.ecs.update_service(
            cluster=CLUSTER, service=self.name,
            deploymentConfiguration={"deploymentCircuitBreaker": breaker},
        )  # fmt: skip
        self.until(self.is_steady)

    def close(self) -> None:
        """Run no task any more."""
        self.ecs.update_service(cluster=CLUSTER, service=self.name, desiredCount=0)

    def is_steady(self) -> bool:
        states = [each["rolloutState"] for each in self.service()["deployments"]]
        return states == ["COMPLETED"]

    def until(self, found: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if result := found():
                return result
            time.sleep(0.05)
        raise AssertionError(f"in vain; the service is\n{json.dumps(self.service(), default=str)}")

    def _network(self) -> None:
        """The load balancer may reach the containers, and nobody else."""
        ec2, balancing = self.aws.client("ec2"), self.aws.client("elbv2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]

        def group(kind: str) -> str:
            made = ec2.create_security_group(
                GroupName=f"{kind}-{self.name}", Description=kind, VpcId=vpc
            )
            return str(made["GroupId"])

        self.front, self.behind = group("balancer"), group("service")
        self.rule = {
            "GroupId": self.behind,
            "IpPermissions": [{"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT,
                               "UserIdGroupPairs": [{"GroupId": self.front}]}],
        }  # fmt: skip
        ec2.authorize_security_group_ingress(**self.rule)
        load_balancer = balancing.create_load_balancer(
            Name=self.name, Subnets=self.subnets,
            SecurityGroups=[self.front],
        )["LoadBalancers"][0]["LoadBalancerArn"]  # fmt: skip
        self.targets = balancing.create_target_group(
            Name=self.name, Protocol="HTTP", Port=PORT, VpcId=vpc,
            TargetType="ip", HealthCheckPath="/", Matcher={"HttpCode": "200"},
            HealthyThresholdCount=2, UnhealthyThresholdCount=10,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        balancing.create_listener(
            LoadBalancerArn=load_balancer, Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.targets}],
        )  # fmt: skip

    def _create(self) -> None:
        self.aws.image(IMAGE, PYTHONPATH=str(REMOTE))
        self.ecs.create_cluster(clusterName=CLUSTER)
        options = {"awslogs-group": GROUP, "awslogs-stream-prefix": "serving",
                   "awslogs-region": self.aws.region}  # fmt: skip
        container = {
            "name": "serving", "image": IMAGE, "essential": True, "command": COMMAND,
            "portMappings": [{"containerPort": PORT}],
            "environment": [{"name": "MILLRACE_MODELS", "value": "club=1"},
                            {"name": "REGISTRY", "value": str(self.registry)}],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        }  # fmt: skip
        made = self.ecs.register_task_definition(
            family=self.name, requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
            cpu="512", memory="1024", taskRoleArn=self.aws.role, executionRoleArn=self.aws.role,
            containerDefinitions=[container],
        )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=self.name, taskDefinition=made, desiredCount=1,
            deploymentConfiguration=BREAKER, launchType="FARGATE",
            loadBalancers=[{"targetGroupArn": self.targets, "containerName": "serving",
                            "containerPort": PORT}],
            networkConfiguration={"awsvpcConfiguration": {
                "subnets": self.subnets, "securityGroups": [self.behind]}},
        )  # fmt: skip


def on_this_machine(run: Run) -> Run:
    """The same for a service that follows the registry by itself."""
    spec = run.spec.model_copy(update={"deploy": Deploy(target="local")})
    return replace(run, spec=spec)
