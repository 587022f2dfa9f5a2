"""EMR Serverless: job runs; applications are moto's."""

from __future__ import annotations

import copy
import random
import shlex
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.emrserverless.models import emrserverless_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Expired, Failed, Job, Stopped
from tests.integration.aws.standin.logs import LogFiles
from tests.integration.aws.standin.spark import Submission, local_command, parse

ENDED = ("SUCCESS", "FAILED", "CANCELLED")
PAGE = 50
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
        code = self.execute(command, self.environment(), self.folder, self._logs.write,
                            limit=self.limit, meanwhile=self._logs.copy)  # fmt: skip
        if code:
            last = [line for line in self._logs.lines("stderr") if line.strip()][-3:]
            raise Failed("Job failed, please check complete logs in configured logging destination."
                         f" ExitCode: {code}. Last few exceptions: {' '.join(last)}")  # fmt: skip


class EmrServerless:
    """What the stand-in answers itself."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._runs: dict[str, JobRun] = {}
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "StartJobRun": self._start, "GetJobRun": self._get, "ListJobRuns": self._list,
            "CancelJobRun": self._cancel,
        }  # fmt: skip

    def _start(self, call: Call) -> dict[str, Any]:
        request = call.params
        application = self._application(call)
        known = next(
            (
                run
                for run in self._runs.values()
                if run.token == request["clientToken"]
                and run.request["applicationId"] == request["applicationId"]
            ),
            None,
        )
        if known is None:
            self._cloud.iam.require_role(
                request["executionRoleArn"], "emr-serverless.amazonaws.com"
            )
            identifier = "".join(random.choices(string.ascii_lowercase + string.digits, k=16))
            fault = self._cloud.faults.of_job(call)
            known = JobRun(self._cloud, identifier, request, application.release_label, call.region,
                           fault)  # fmt: skip
            self._runs[identifier] = known
            known.begin()
        keys = ("applicationId", "jobRunId", "arn")
        return {key: known.description[key] for key in keys}

    def _get(self, call: Call) -> dict[str, Any]:
        return {"jobRun": copy.deepcopy(self._run(call).description)}

    def _list(self, call: Call) -> dict[str, Any]:
        self._application(call)
        states = call.params.get("states")
        states = [states] if isinstance(states, str) else states
        found = [run.summary() for run in reversed(self._runs.values())
                 if run.request["applicationId"] == call.params["applicationId"]
                 and (not states or run.state in states)]  # fmt: skip
        first = int(call.params.get("nextToken") or 0)
        page: dict[str, Any] = {"jobRuns": found[first : first + PAGE]}
        return {**page, "nextToken": str(first + PAGE)} if first + PAGE < len(found) else page

    def _cancel(self, call: Call) -> dict[str, Any]:
        run = self._run(call)
        if run.state in ENDED:
            raise AwsError(
                "ValidationException",
                f"Job run {run.name} in state {run.state} cannot be cancelled.",
            )
        run.cancel()
        return {"applicationId": call.params["applicationId"], "jobRunId": run.name}

    def _run(self, call: Call) -> JobRun:
        self._application(call)
        run = self._runs.get(call.params["jobRunId"])
        if run is None:
            raise AwsError("ResourceNotFoundException",
                           f"Job run {call.params['jobRunId']} does not exist", 404)  # fmt: skip
        return run

    def _application(self, call: Call) -> Any:
        identifier = call.params["applicationId"]
        found = emrserverless_backends[ACCOUNT][call.region].applications.get(identifier)
        if found is None or found.state == "TERMINATED":
            raise AwsError("ResourceNotFoundException",
                           f"Application {identifier} does not exist", 404)  # fmt: skip
        return found
