"""Athena: the control plane of queries; workgroups are moto's, the catalogue is moto's Glue."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from typing import Any

from moto.athena.models import athena_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.actions import workgroup_arn
from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.cloud import Cloud
from tests.integration.aws.standin.queries import ENDED, QueryRun
from tests.integration.aws.standin.storage import split

LONGEST = 262_144  # bytes of a query


class Athena:
    """What the stand-in answers itself."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._runs: dict[str, QueryRun] = {}
        self.operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "StartQueryExecution": self._start, "GetQueryExecution": self._get,
            "BatchGetQueryExecution": self._batch, "ListQueryExecutions": self._list,
            "StopQueryExecution": self._stop,
        }  # fmt: skip

    def _start(self, call: Call) -> dict[str, Any]:
        request = call.params
        group = self._workgroup(call)
        if len(request["QueryString"].encode()) > LONGEST:
            raise _invalid(f"queryString exceeds the limit of {LONGEST} bytes")
        token = request.get("ClientRequestToken")
        for run in self._runs.values():
            if token and run.request.get("ClientRequestToken") == token:
                if run.request != request:
                    raise _invalid("Idempotent parameters do not match")
                return {"QueryExecutionId": run.name}
        output = self._output(group, request)
        bucket, _ = split(output)
        if not self._cloud.iam.may(call, "s3:GetBucketLocation", f"arn:aws:s3:::{bucket}"):
            raise _invalid(f"Unable to verify/create output bucket {bucket}")
        identifier = str(uuid.uuid4())
        run = QueryRun(self._cloud, identifier, call, output, self._cloud.faults.of_job(call))
        self._runs[identifier] = run
        run.begin()
        return {"QueryExecutionId": identifier}

    def _get(self, call: Call) -> dict[str, Any]:
        return {"QueryExecution": copy.deepcopy(self._run(call).description)}

    def _batch(self, call: Call) -> dict[str, Any]:
        known = [each for each in call.params["QueryExecutionIds"] if each in self._runs]
        unknown = [each for each in call.params["QueryExecutionIds"] if each not in self._runs]
        for each in known:
            self._require(call, self._runs[each])
        return {
            "QueryExecutions": [copy.deepcopy(self._runs[each].description) for each in known],
            "UnprocessedQueryExecutionIds": [
                {"QueryExecutionId": each, "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                 "ErrorMessage": f"QueryExecution {each} was not found"}
                for each in unknown
            ],
        }  # fmt: skip

    def _list(self, call: Call) -> dict[str, Any]:
        self._workgroup(call)
        group = call.params.get("WorkGroup") or "primary"
        found = [run.name for run in reversed(self._runs.values()) if run.workgroup == group]
        first, most = int(call.params.get("NextToken") or 0), call.params.get("MaxResults") or 50
        page: dict[str, Any] = {"QueryExecutionIds": found[first : first + most]}
        return {**page, "NextToken": str(first + most)} if first + most < len(found) else page

    def _stop(self, call: Call) -> dict[str, Any]:
        run = self._run(call)
        if run.state in ENDED:
            raise _invalid(f"Query {run.name} has already completed: {run.state}")
        run.stop_asked.set()
        return {}

    def _run(self, call: Call) -> QueryRun:
        run = self._runs.get(call.params["QueryExecutionId"])
        if run is None:
            raise _invalid(f"QueryExecution {call.params['QueryExecutionId']} was not found")
        self._require(call, run)
        return run

    def _require(self, call: Call, run: QueryRun) -> None:
        action, arn = f"athena:{call.operation}", workgroup_arn(call, run.workgroup)
        if not self._cloud.iam.may(call, action, arn):
            said = f"You are not authorized to perform: {action} on the resource: {arn}"
            raise AwsError("AccessDeniedException", said)

    def _workgroup(self, call: Call) -> Any:
        name = call.params.get("WorkGroup") or "primary"
        found = athena_backends[ACCOUNT][call.region].work_groups.get(name)
        if found is None:
            raise _invalid(f"WorkGroup {name} is not found.")
        if found.state != "ENABLED":
            raise _invalid(f"WorkGroup {name} is disabled.")
        return found

    def _output(self, group: Any, request: dict[str, Any]) -> str:
        """Where the query's results go: the workgroup's place if it insists on it."""
        own = group.configuration.get("ResultConfiguration", {}).get("OutputLocation", "")
        asked = request.get("ResultConfiguration", {}).get("OutputLocation", "")
        insists = own and group.configuration["EnforceWorkGroupConfiguration"]
        output: str = own if insists else asked or own
        if not output:
            raise _invalid("No output location provided. An output location is required either"
                           " through the Workgroup result configuration setting or as an API"
                           " input.")  # fmt: skip
        return output


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)
