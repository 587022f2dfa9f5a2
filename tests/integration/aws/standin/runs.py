"""One job run of EMR Serverless, as a process."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Expired, Failed, Job, Stopped
from tests.integration.aws.standin.logs import LogFiles
from tests.integration.aws.standin.spark import Submission, local_command, parse, variables

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

ENDED = ("SUCCESS", "FAILED", "CANCELLED")
FAULTS = {
    "capacity": "Job failed, please check complete logs in configured logging destination."
    " ExitCode: 1. Last few exceptions: Insufficient capacity to launch workers.",
    "internal_error": "Job failed due to an internal error. Please try again.",
    "image": "Job failed: the custom image could not be pulled.",
}


class JobRun(Job):
    """One run; `description` is what GetJobRun answers."""

    service = "emr-serverless"

    def __init__(
        self, cloud: Cloud, identifier: str, request: Mapping[str, Any], release: str, region: str,
        fault: Fault | None,
    ):  # fmt: skip
        role, tags = request["executionRoleArn"], request.get("tags", {})
        super().__init__(cloud, identifier, region, role, tags, fault)
        application = request["applicationId"]
        self.request, self.token = request, request["clientToken"]
        monitoring = request.get("configurationOverrides", {}).get("monitoringConfiguration", {})
        logs = monitoring.get("s3MonitoringConfiguration", {}).get("logUri", "").rstrip("/")
        prefix = f"{logs}/applications/{application}/jobs/{identifier}/SPARK_DRIVER"
        self._logs = LogFiles(
            lambda: self.store, prefix if logs else None, lambda: cloud.pace["s3_logs"]
        )
        self.limit = request.get("executionTimeoutMinutes", 720) * 60 or None
        path = f"/applications/{application}/jobruns/{identifier}"
        self.description: dict[str, Any] = {
            "applicationId": application, "jobRunId": identifier,
            "arn": f"arn:aws:emr-serverless:{region}:{ACCOUNT}:{path}",
            "createdBy": f"arn:aws:iam::{ACCOUNT}:root", "createdAt": self.created,
            "updatedAt": self.created, "executionRole": role, "releaseLabel": release,
            "jobDriver": request.get("jobDriver", {}), "state": "SUBMITTED", "stateDetails": "",
            "tags": dict(tags), "attempt": 1, "mode": "BATCH",
            "configurationOverrides": request.get("configurationOverrides", {}),
            "executionTimeoutMinutes": request.get("executionTimeoutMinutes", 720),
            **({"name": request["name"]} if "name" in request else {}),
        }  # fmt: skip

    @property
    def state(self) -> str:
        return str(self.description["state"])

    def change(self, state: str, **facts: Any) -> None:
        now = time.time()
        with self.cloud.lock:
            if state in ENDED:
                self.ended = facts["endedAt"] = now
                facts["totalExecutionDurationSeconds"] = round(now - self.created)
            self.description.update(facts, state=state, updatedAt=now)

    def break_down(self, reason: str) -> None:
        self.change("FAILED", stateDetails=reason)

    def summary(self) -> dict[str, Any]:
        """As ListJobRuns answers it."""
        keys = ("applicationId", "arn", "createdBy", "createdAt", "updatedAt", "name", "attempt",
                "executionRole", "state", "stateDetails", "releaseLabel", "mode")  # fmt: skip
        known = {key: self.description[key] for key in keys if key in self.description}
        return {"id": self.name, **known}

    def cancel(self) -> None:
        self.change("CANCELLING")
        self.stop_asked.set()

    def run(self) -> None:
        try:
            for state in ("SUBMITTED", "PENDING", "SCHEDULED"):
                self.change(state)
                self.stay(state)
            self.change("RUNNING", startedAt=time.time())
            self._execute()
            self.stay("RUNNING")
            state, facts = "SUCCESS", {}
        except Stopped:
            state, facts = "CANCELLED", {"stateDetails": "Job was cancelled by the user"}
        except Expired:
            state, facts = "FAILED", {"stateDetails": "Job execution timed out"}
        except Failed as failure:
            state, facts = "FAILED", {"stateDetails": str(failure)}
        except (ClientError, BotoCoreError, OSError) as error:
            state, facts = "FAILED", {"stateDetails": f"Job failed: {error}"}
        self.cloud.later.call(self.cloud.pace["s3_logs"], lambda: self._logs.copy(now=True))
        self.change(state, **facts)

    def _execute(self) -> None:
        if self.fault and self.fault.fault in FAULTS:
            raise Failed(FAULTS[self.fault.fault])
        if self.fault and self.fault.fault == "never_ends":
            self.stay_for_ever(self.limit)
        driver = self.request.get("jobDriver", {}).get("sparkSubmit")
        if driver is None:
            raise Failed("the stand-in runs sparkSubmit only")
        words = shlex.split(driver.get("sparkSubmitParameters", ""))
        submission = Submission(parse(words).options, driver["entryPoint"],
                                driver.get("entryPointArguments", []))  # fmt: skip
        command = local_command(submission, self.store, self.folder)
        environment = {**self.environment(), **variables(submission)}
        code = self.execute(command, environment, self.folder, self._logs.write,
                            limit=self.limit, meanwhile=self._logs.copy)  # fmt: skip
        if code:
            last = [line for line in self._logs.lines("stderr") if line.strip()][-3:]
            raise Failed("Job failed, please check complete logs in configured logging destination."
                         f" ExitCode: {code}. Last few exceptions: {' '.join(last)}")  # fmt: skip
