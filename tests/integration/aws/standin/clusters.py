"""One EMR cluster: its states, and its steps one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.fleets import fleet_of
from tests.integration.aws.standin.jobs import Job, Stopped
from tests.integration.aws.standin.steps import ENDED, Step

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

OVER = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")
NO_CAPACITY = "The requested instances could not be provisioned: insufficient capacity"
IDLE = 0.05  # seconds between two looks for the next step
TERMINATES = ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW")


class Cluster(Job):
    """A cluster; it is listed as a job of its own, with no process.

    Args:
        instance_role: the role of its machines, whose rights the steps have.
    """

    service = "emr-cluster"

    def __init__(
        self, cloud: Cloud, identifier: str, request: Mapping[str, Any], region: str,
        instance_role: str, fault: Fault | None,
    ):  # fmt: skip
        tags = {tag["Key"]: tag.get("Value", "") for tag in request.get("Tags", [])}
        super().__init__(cloud, identifier, region, request.get("ServiceRole", ""), tags, fault)
        self.request, self.instance_role = request, instance_role
        self.log_uri = str(request.get("LogUri", "")).rstrip("/").replace("s3n://", "s3://", 1)
        self.stays = bool(request["Instances"].get("KeepJobFlowAliveWhenNoSteps", False))
        self.protected = bool(request["Instances"].get("TerminationProtected", False))
        self.idle_limit = request.get("AutoTerminationPolicy", {}).get("IdleTimeout")
        self.steps: list[Step] = []
        self.status: dict[str, Any] = {
            "State": "STARTING", "StateChangeReason": {},
            "Timeline": {"CreationDateTime": self.created},
        }  # fmt: skip

    @property
    def state(self) -> str:
        return str(self.status["State"])

    def break_down(self, reason: str) -> None:
        self.change("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR", reason)

    def change(self, state: str, code: str = "", message: str = "") -> None:
        with self.cloud.lock:
            if self.state in OVER and state not in OVER:
                return  # somebody was quicker and ended it
            if state == "RUNNING":
                self.status["Timeline"].setdefault("ReadyDateTime", time.time())
            if state in OVER[1:]:
                self.ended = self.status["Timeline"]["EndDateTime"] = time.time()
            reason = {"Code": code, "Message": message} if code else {}
            self.status.update(State=state, StateChangeReason=reason)

    def add(self, steps: Iterable[Step]) -> list[str]:
        """Queue steps; returns their ids."""
        made = list(steps)
        self.cloud.listed += made
        self.steps += made
        return [step.name for step in made]

    def terminate(
        self, code: str = "USER_REQUEST", message: str = "Terminated by user request"
    ) -> None:
        if self.state not in OVER:
            self.change("TERMINATING", code, message)
        self.stop_asked.set()
        for step in self.steps:
            if step.state not in ENDED:
                step.cancel()

    def run(self) -> None:
        try:
            for state in ("STARTING", "BOOTSTRAPPING"):
                self.change(state)
                self.stay(state)
            if self.fault and self.fault.fault == "capacity":
                self.terminate("VALIDATION_ERROR", NO_CAPACITY)
            self._work()
        except Stopped:
            pass
        self._end()

    def _work(self) -> None:
        """Run what is pending; end where nothing is left and the cluster is not to stay."""
        idle_since = time.monotonic()
        while not self.stop_asked.is_set():
            step = next((step for step in self.steps if step.state == "PENDING"), None)
            if step:
                self.change("RUNNING")
                step._run()
                self._after(step)
                idle_since = time.monotonic()
            elif self.stays:
                if self.state != "WAITING":
                    self.change("WAITING", "USER_REQUEST", "Cluster ready to run steps.")
                self.stop_asked.wait(IDLE)
                if self.idle_limit and time.monotonic() - idle_since > self.idle_limit:
                    self.terminate("ALL_STEPS_COMPLETED", "Terminated because it was idle")
            else:
                self.terminate("ALL_STEPS_COMPLETED", "Steps completed")

    def _after(self, step: Step) -> None:
        """Obey the step's ActionOnFailure."""
        action = step.config.get("ActionOnFailure", "CONTINUE")
        if step.state != "FAILED" or action == "CONTINUE":
            return
        for other in self.steps:
            if other.state == "PENDING":
                other.cancel()
        if action in TERMINATES:
            self.terminate("STEP_FAILURE", "Shut down as step failed")

    def _end(self) -> None:
        reason = self.status["StateChangeReason"]
        time.sleep(self.cloud.pace["TERMINATING"])
        failed = reason.get("Code") in ("STEP_FAILURE", "VALIDATION_ERROR", "INTERNAL_ERROR")
        self.change("TERMINATED_WITH_ERRORS" if failed else "TERMINATED",
                    reason.get("Code", ""), reason.get("Message", ""))  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """As DescribeCluster answers it."""
        request = self.request
        kept = ("Name", "ReleaseLabel", "ServiceRole", "Applications", "Configurations",
                "StepConcurrencyLevel", "LogUri", "SecurityConfiguration")  # fmt: skip
        return {
            "Id": self.name, "Status": self.status,
            "ClusterArn": f"arn:aws:elasticmapreduce:{self.region}:{ACCOUNT}:cluster/{self.name}",
            "AutoTerminate": not self.stays, "TerminationProtected": self.protected,
            "VisibleToAllUsers": True, "NormalizedInstanceHours": 0,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "Ec2InstanceAttributes": {"IamInstanceProfile": request.get("JobFlowRole", "")},
            **{key: request[key] for key in kept if key in request},
            "InstanceCollectionType": (
                "INSTANCE_FLEET" if request["Instances"].get("InstanceFleets") else "INSTANCE_GROUP"
            ),
        }  # fmt: skip

    def fleets(self) -> list[dict[str, Any]]:
        """As ListInstanceFleets answers them."""
        return [fleet_of(asked) for asked in self.request["Instances"].get("InstanceFleets", [])]

    def summary(self) -> dict[str, Any]:
        """As ListClusters answers it."""
        found = self.describe()
        return {key: found[key] for key in ("Id", "Name", "Status", "ClusterArn",
                                            "NormalizedInstanceHours")}  # fmt: skip
