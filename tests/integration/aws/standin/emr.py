"""EMR's control plane: clusters and steps."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Callable
from typing import Any

from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.clusters import OVER, Cluster
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.fleets import check_instances
from tests.integration.aws.standin.steps import ENDED, Step

PAGE = 50
OF_STEPS = ("never_ends", "interruption", "image")  # faults of a cluster's first step


class Emr:
    """What the stand-in answers itself; everything else of EMR is moto's."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._clusters: dict[str, Cluster] = {}
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "RunJobFlow": self._run_job_flow, "DescribeCluster": self._describe_cluster,
            "ListClusters": self._list_clusters, "TerminateJobFlows": self._terminate,
            "SetTerminationProtection": self._protect, "AddJobFlowSteps": self._add_steps,
            "DescribeStep": self._describe_step, "ListSteps": self._list_steps,
            "CancelSteps": self._cancel_steps, "AddTags": self._add_tags,
            "RemoveTags": self._remove_tags,
            "ListInstanceFleets": self._list_fleets,
            "GetManagedScalingPolicy": self._policy("ManagedScalingPolicy"),
            "GetAutoTerminationPolicy": self._policy("AutoTerminationPolicy"),
        }  # fmt: skip

    def _run_job_flow(self, call: Call) -> dict[str, Any]:
        request = call.params
        role = self._cloud.iam.role_of_profile(request.get("JobFlowRole", "EMR_EC2_DefaultRole"))
        self._require_service_role(request.get("ServiceRole", "EMR_DefaultRole"))
        check_instances(request)
        fault = self._cloud.faults.of_job(call)
        of_step = fault if fault and fault.fault in OF_STEPS and request.get("Steps") else None
        fault = None if of_step else fault
        cluster = Cluster(self._cloud, _identifier("j-"), request, call.region, role, fault)
        self._clusters[cluster.name] = cluster
        cluster.add(self._steps(cluster, request.get("Steps", []), call, of_step))
        cluster.begin()
        return {"JobFlowId": cluster.name, "ClusterArn": cluster.describe()["ClusterArn"]}

    def _describe_cluster(self, call: Call) -> dict[str, Any]:
        return {"Cluster": copy.deepcopy(self._cluster(call.params["ClusterId"]).describe())}

    def _list_fleets(self, call: Call) -> dict[str, Any]:
        return _page(call, "InstanceFleets", self._cluster(call.params["ClusterId"]).fleets())

    def _policy(self, name: str) -> Callable[[Call], dict[str, Any]]:
        """What answers with one of a cluster's policies."""

        def answer(call: Call) -> dict[str, Any]:
            request = self._cluster(call.params["ClusterId"]).request
            return {name: request[name]} if name in request else {}

        return answer

    def _list_clusters(self, call: Call) -> dict[str, Any]:
        states, after = call.params.get("ClusterStates"), call.params.get("CreatedAfter", 0)
        found = [cluster.summary() for cluster in reversed(self._clusters.values())
                 if cluster.region == call.region and cluster.created >= after
                 and (not states or cluster.state in states)]  # fmt: skip
        return _page(call, "Clusters", copy.deepcopy(found))

    def _terminate(self, call: Call) -> dict[str, Any]:
        for identifier in call.params["JobFlowIds"]:
            cluster = self._clusters.get(identifier)
            if cluster is None:
                raise AwsError("ValidationException", "Specified job flow ID does not exist.")
            if cluster.protected:
                raise AwsError("ValidationException", "Could not shut down one or more job flows"
                               " since they are termination protected.")  # fmt: skip
            cluster.terminate()
        return {}

    def _protect(self, call: Call) -> dict[str, Any]:
        for identifier in call.params["JobFlowIds"]:
            self._cluster(identifier).protected = call.params["TerminationProtected"]
        return {}

    def _add_steps(self, call: Call) -> dict[str, Any]:
        cluster = self._clusters.get(call.params["JobFlowId"])
        if cluster is None:
            raise AwsError("ValidationException", "Specified job flow ID does not exist.")
        if cluster.state in OVER:
            raise AwsError("ValidationException", "A job flow that is shutting down, terminated, or"
                                                  " finished may not be modified.")  # fmt: skip
        return {"StepIds": cluster.add(self._steps(cluster, call.params["Steps"], call))}

    def _steps(
        self, cluster: Cluster, configs: list[dict[str, Any]], call: Call,
        fault: Fault | None = None,
    ) -> list[Step]:  # fmt: skip
        at_once = call.operation == "AddJobFlowSteps"
        return [
            Step(
                cluster,
                _identifier("s-"),
                config,
                self._cloud.faults.of_job(call) if at_once else fault,
            )
            for config in configs
        ]

    def _describe_step(self, call: Call) -> dict[str, Any]:
        cluster = self._cluster(call.params["ClusterId"])
        for step in cluster.steps:
            if step.name == call.params["StepId"]:
                return {"Step": copy.deepcopy(step.describe())}
        raise AwsError(
            "InvalidRequestException", f"Step id '{call.params['StepId']}' is not valid."
        )

    def _list_steps(self, call: Call) -> dict[str, Any]:
        states, ids = call.params.get("StepStates"), call.params.get("StepIds")
        steps = [
            step.describe()
            for step in reversed(self._cluster(call.params["ClusterId"]).steps)
            if (not states or step.state in states) and (not ids or step.name in ids)
        ]
        return _page(call, "Steps", copy.deepcopy(steps))

    def _cancel_steps(self, call: Call) -> dict[str, Any]:
        cluster = self._cluster(call.params["ClusterId"])
        how = call.params.get("StepCancellationOption", "SEND_INTERRUPT")
        found = []
        for identifier in call.params["StepIds"]:
            step = next((step for step in cluster.steps if step.name == identifier), None)
            told = {"StepId": identifier, "Status": "FAILED", "Reason": "Step not found"}
            if step and step.state in ENDED:
                told["Reason"] = f"Step is in state {step.state} and cannot be cancelled"
            elif step:
                step.cancel(at_once=how == "TERMINATE_PROCESS")
                told = {"StepId": identifier, "Status": "SUBMITTED"}
            found.append(told)
        return {"CancelStepsInfoList": found}

    def _add_tags(self, call: Call) -> dict[str, Any]:
        tags = {tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]}
        self._cluster(call.params["ResourceId"]).tags.update(tags)
        return {}

    def _remove_tags(self, call: Call) -> dict[str, Any]:
        for key in call.params["TagKeys"]:
            self._cluster(call.params["ResourceId"]).tags.pop(key, None)
        return {}

    def _cluster(self, identifier: str) -> Cluster:
        if identifier not in self._clusters:
            raise AwsError("InvalidRequestException", f"Cluster id '{identifier}' is not valid.")
        return self._clusters[identifier]

    def _require_service_role(self, role: str) -> None:
        try:
            self._cloud.iam.require_role(role, "elasticmapreduce.amazonaws.com")
        except AwsError:
            raise AwsError(
                "ValidationException",
                f"ServiceRole {role} is invalid: it does not exist"
                " or does not trust elasticmapreduce.amazonaws.com.",
            ) from None


def _identifier(prefix: str) -> str:
    return prefix + "".join(random.choices(string.ascii_uppercase + string.digits, k=13))


def _page(call: Call, key: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    first = int(call.params.get("Marker") or 0)
    page: dict[str, Any] = {key: found[first : first + PAGE]}
    if first + PAGE < len(found):
        page["Marker"] = str(first + PAGE)
    return page
