"""EMR Serverless: the control plane of job runs; applications are moto's."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Callable
from typing import Any

from moto.emrserverless.models import emrserverless_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.runs import ENDED, JobRun

PAGE = 50


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
