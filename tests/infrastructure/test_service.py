"""What a linter cannot know of the model service: that it is reached, and by whom."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from millrace.infrastructure.template import Template
from tests.infrastructure.conftest import LEAST, SERVICE
from tests.infrastructure.evaluate import Evaluation


class TestService:
    def test_the_task_runs_as_little_as_it_can(self, everything: Evaluation) -> None:
        task = everything.properties("ServiceTask")
        (container,) = task["ContainerDefinitions"]
        assert container["ReadonlyRootFilesystem"] is True
        assert int(container["User"].split(":")[0]) > 0
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert "Privileged" not in container and "Secrets" not in container
        assert container["PortMappings"] == [{"ContainerPort": 8000, "Protocol": "tcp"}]

    def test_it_knows_the_lake_and_the_server_of_models(
        self, everything: Evaluation, template: Template
    ) -> None:
        def variables(of: Evaluation) -> dict[str, str]:
            (container,) = of.properties("ServiceTask")["ContainerDefinitions"]
            return {each["Name"]: each["Value"] for each in container["Environment"]}

        assert variables(everything) == {
            "MILLRACE_LAKE": "s3://our-lake/lake", "MILLRACE_SERVICE_RECORD": "yes",
            "MILLRACE_RELEASE": "1f0c2ab",
            "MLFLOW_TRACKING_URI": "https://mlflow.example.org",
        }  # fmt: skip
        baked = Evaluation(template, {**LEAST, **SERVICE})
        assert "MLFLOW_TRACKING_URI" not in variables(baked)

    def test_health_is_asked_of_the_root(self, everything: Evaluation) -> None:
        (container,) = everything.properties("ServiceTask")["ContainerDefinitions"]
        kind, program, option, code = container["HealthCheck"]["Command"]
        assert (kind, program, option) == ("CMD", "python", "-c")
        assert "http://127.0.0.1:8000/'" in code
        assert [asked(code, status) for status in (200, 503)] == [0, 1]
        targets = everything.properties("Targets")
        assert (targets["HealthCheckPath"], targets["Matcher"]) == ("/", {"HttpCode": "200"})
        assert (targets["Port"], targets["TargetType"]) == (8000, "ip")

    def test_a_bad_deployment_is_rolled_back(self, everything: Evaluation) -> None:
        deployment = everything.properties("Service")["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert deployment["MinimumHealthyPercent"] == 100
        assert "DesiredCount" not in everything.properties("Service")

    def test_it_grows_with_its_work(self, everything: Evaluation) -> None:
        tasks = everything.properties("ServiceTasks")
        assert (tasks["MinCapacity"], tasks["MaxCapacity"]) == ("2", "6")
        policies = everything.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
        configured = [each["TargetTrackingScalingPolicyConfiguration"] for each in policies]
        metrics = [each["PredefinedMetricSpecification"] for each in configured]
        assert {each["PredefinedMetricType"] for each in metrics} == {
            "ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget",
        }  # fmt: skip

    def test_with_a_certificate_http_leads_to_https(self, everything: Evaluation) -> None:
        listeners = everything.of_type("AWS::ElasticLoadBalancingV2::Listener")
        ports = {(each["Port"], each["DefaultActions"][0]["Type"]) for each in listeners.values()}
        assert ports == {(80, "redirect"), (443, "forward")}
        assert listeners["HttpsListener"]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
        assert everything.properties("Service")["Tags"] == [
            {"Key": "listener", "Value": "HttpsListener"}
        ]

    def test_without_one_http_answers(self, template: Template) -> None:
        plain = Evaluation(template, {**LEAST, **SERVICE})
        listeners = plain.of_type("AWS::ElasticLoadBalancingV2::Listener")
        assert {each["DefaultActions"][0]["Type"] for each in listeners.values()} == {"forward"}
        assert plain.properties("Service")["Tags"] == [{"Key": "listener", "Value": "HttpListener"}]

    def test_security_groups_let_through_what_is_needed_and_nothing_else(
        self, everything: Evaluation
    ) -> None:
        assert paths(everything) == {
            ("in", "LoadBalancerGroup", "203.0.113.0/24", 80),
            ("in", "LoadBalancerGroup", "203.0.113.0/24", 443),
            ("out", "LoadBalancerGroup", "TaskGroup.GroupId", 8000),
            ("in", "TaskGroup", "LoadBalancerGroup.GroupId", 8000),
            ("out", "TaskGroup", "0.0.0.0/0", 443),
        }

    def test_nothing_of_it_is_there_without_an_image(self, least: Evaluation) -> None:
        kinds = {each["Type"].split("::")[1] for each in least.resources.values()}
        assert kinds.isdisjoint({"ECS", "EC2", "ElasticLoadBalancingV2", "Lambda", "Events"})


def asked(code: str, status: int) -> int:
    """The exit code of the health check where the service answers with that status."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = code.replace(":8000/", f":{server.server_port}/")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    server.shutdown()
    server.server_close()
    return done.returncode


def paths(made: Evaluation) -> set[tuple[str, str, str, int]]:
    """Every way through the security groups: direction, group, other side, port."""
    found = set()
    for name, group in made.of_type("AWS::EC2::SecurityGroup").items():
        assert group["SecurityGroupEgress"], f"{name} would get the rule that lets everything out"
        rules = [("in", name, each) for each in group.get("SecurityGroupIngress", [])]
        rules += [("out", name, each) for each in group["SecurityGroupEgress"]]
        found |= {one_path(*rule) for rule in rules}
    for direction, kind in (("in", "Ingress"), ("out", "Egress")):
        for rule in made.of_type(f"AWS::EC2::SecurityGroup{kind}").values():
            found.add(one_path(direction, rule["GroupId"].removesuffix(".GroupId"), rule))
    return found


def one_path(direction: str, group: str, rule: dict[str, Any]) -> tuple[str, str, str, int]:
    sides = ("CidrIp", "SourceSecurityGroupId", "DestinationSecurityGroupId")
    (other,) = [rule[side] for side in sides if side in rule]
    assert rule["IpProtocol"] == "tcp" and rule["FromPort"] == rule["ToPort"]
    return direction, group, other, rule["FromPort"]


class TestImages:
    @pytest.mark.parametrize("name", ["ServiceRepository", "OnUploadRepository"])
    def test_only_latest_moves(self, least: Evaluation, name: str) -> None:
        repository = least.properties(name)
        assert repository["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        (moved,) = repository["ImageTagMutabilityExclusionFilters"]
        assert moved["ImageTagMutabilityExclusionFilterValue"] == "latest"
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
        rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged", "any"]

    @pytest.mark.parametrize("name", ["ServiceTag", "OnUploadTag"])
    def test_and_nothing_runs_it(self, template: Template, name: str) -> None:
        taken = re.compile(template.parameters[name]["AllowedPattern"])
        assert not taken.fullmatch("latest")
        assert all(taken.fullmatch(tag) for tag in ("", "1f0c2ab", "v1.2", "latest-1"))
