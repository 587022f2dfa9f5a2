"""A model service on the stand-in's ECS: a load balancer, its health check, security groups, and
containers that really listen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from millrace.model_service import ModelService, NoAnswer
from tests.integration.aws.standin import StandIn

CLUSTER, IMAGE, PORT = "models", "millrace/serving:latest", 8000
GROUP = "/millrace/serving"
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@dataclass(frozen=True)
class Container:
    """What serves the models of one data set.

    Attributes:
        variables: those of the task definition.
        role, starter: ARNs of the roles of the container and of whoever starts it.
    """

    dataset: str
    command: Sequence[str]
    variables: Mapping[str, str]
    role: str
    starter: str


class Service:
    """A service of ECS behind a load balancer, which alone may reach its containers.

    Args:
        name: of the service, the family of its task definition and all that belongs to it.
        tasks: how many are wanted.
    """

    def __init__(self, aws: StandIn, name: str, container: Container, tasks: int = 1):
        self.aws, self.name, self.container = aws, name, container
        self.home = f"{CLUSTER}/{self.name}"
        self.ecs = aws.client("ecs")
        self._network()
        self._create(tasks)
        self.url = aws.balancer(self.name)

    def serves(self) -> str:
        """The version that the load balancer leads to; empty: none."""
        try:
            found = ModelService(self.url).model(self.container.dataset) or {}
            return str(found.get("version", ""))
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

    def scale(self, tasks: int) -> None:
        """Run so many tasks."""
        self.ecs.update_service(cluster=CLUSTER, service=self.name, desiredCount=tasks)

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

    def _create(self, tasks: int) -> None:
        self.ecs.create_cluster(clusterName=CLUSTER)
        options = {"awslogs-group": GROUP, "awslogs-stream-prefix": "serving",
                   "awslogs-region": self.aws.region}  # fmt: skip
        container = {
            "name": "serving", "image": IMAGE, "essential": True,
            "command": list(self.container.command), "portMappings": [{"containerPort": PORT}],
            "environment": [{"name": name, "value": value}
                            for name, value in self.container.variables.items()],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        }  # fmt: skip
        made = self.ecs.register_task_definition(
            family=self.name, requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
            cpu="512", memory="1024",
            taskRoleArn=self.container.role, executionRoleArn=self.container.starter,
            containerDefinitions=[container],
        )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=self.name, taskDefinition=made, desiredCount=tasks,
            deploymentConfiguration=BREAKER, launchType="FARGATE",
            loadBalancers=[{"targetGroupArn": self.targets, "containerName": "serving",
                            "containerPort": PORT}],
            networkConfiguration={"awsvpcConfiguration": {
                "subnets": self.subnets, "securityGroups": [self.behind]}},
        )  # fmt: skip
