"""Queries of an Athena workgroup."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

from millrace.jobs.emr_serverless import client_token
from millrace.jobs.job import Job, JobFailed, Lines, NameTaken, Request, State, Status

log = logging.getLogger(__name__)

BATCH = 50  # the most queries that one BatchGetQueryExecution tells of
PAUSE, PATIENCE = 0.5, 300.0  # seconds between looks at a short statement, and for all of it
LOOK_BACK = timedelta(days=30)  # how old a query may be that is found by its name
STATES = {
    "QUEUED": State.WAITING,
    "RUNNING": State.RUNNING,
    "SUCCEEDED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "CANCELLED": State.STOPPED,
}


class Athena:
    """Queries; `home` is the workgroup.

    `Request.body` holds what StartQueryExecution takes, without `WorkGroup` and
    `ClientRequestToken`; besides, `Before` may hold statements that make what the query reads:
    tables whose names begin with `tables_of` the try, which are dropped when the query has ended.
    A query has no name in the service: the first line of its text is a comment that says it.
    Athena keeps no time limit for one query: the workgroup's does.

    Args:
        client: boto3's client of Athena.
    """

    unique_names = False  # of two copies that start a query at once the request token makes one
    patience = 0.0  # a query's only line is its reason, which comes with its state

    def __init__(self, client: Any):
        self.client = client

    def find(self, name: str, home: str = "") -> tuple[Job, Status] | None:
        """The latest try among the workgroup's queries of the last 30 days, newest first."""
        oldest = datetime.now(UTC) - LOOK_BACK
        found: list[tuple[Job, Status]] = []
        for query in self._listed(home):
            if query["Status"]["SubmissionDateTime"] < oldest:
                break
            if match := re.match(rf"-- {re.escape(name)}-(\d+)\n", query.get("Query", "")):
                job = Job(name, int(match[1]), query["QueryExecutionId"], home)
                found.append((job, _status(query)))
        return max(found, key=lambda each: each[0].number, default=None)

    def start(self, request: Request, number: int) -> Job:
        name = f"{request.name}-{number}"
        body = request.body_of(number)
        before = body.pop("Before", ())
        body["QueryString"] = f"-- {name}\n{body['QueryString']}"
        try:
            self._carry_out(before, request.home, body)
            answer = self.client.start_query_execution(
                WorkGroup=request.home, ClientRequestToken=client_token(name), **body
            )
        except self.client.exceptions.InvalidRequestException as error:
            if "idempotent" in str(error).lower():  # the token was used for another text
                raise NameTaken(f"{name}: {error}") from error
            self._drop(tables_in(body["QueryString"], request.name, number), request.home, body)
            raise
        except JobFailed:
            self._drop(tables_in(body["QueryString"], request.name, number), request.home, body)
            raise
        return Job(request.name, number, answer["QueryExecutionId"], request.home)

    def poll(self, jobs: Sequence[Job]) -> dict[Job, Status]:
        """A call for each 50 queries."""
        told = {query["QueryExecutionId"]: query for query in self._told([job.id for job in jobs])}
        return {job: _status(told[job.id]) for job in jobs if job.id in told}

    def logs(self, job: Job, cursor: Mapping[str, Any]) -> Lines:
        """Athena writes no log; once a query has ended, a line says what it scanned."""
        if cursor.get("told"):
            return Lines((), cursor, complete=True)
        query = next(self._told([job.id]), None)
        if query is None or not _status(query).state.ended:
            return Lines((), cursor)
        status, scanned = _status(query), scanned_bytes(query)
        line = f"{status.detail}: {scanned} bytes scanned {status.reason}".rstrip()
        return Lines((line,), {"told": True}, complete=True)

    def stop(self, job: Job) -> None:
        try:
            self.client.stop_query_execution(QueryExecutionId=job.id)
        except self.client.exceptions.InvalidRequestException as error:
            log.info("%s is unknown or has ended: %s", job, error)

    def tidy(self, job: Job) -> None:
        """Drop the tables that were made for the query; the files that they read stay."""
        if query := next(self._told([job.id]), None):
            self._drop(tables_in(query["Query"], job.name, job.number), job.home, query)

    def link(self, job: Job) -> str:
        """The query's page in the console."""
        region = self.client.meta.region_name
        return (
            f"https://{region}.console.aws.amazon.com/athena/home?region={region}"
            f"#/query-editor/history/{job.id}"
        )

    def _drop(self, tables: Sequence[str], workgroup: str, like: Mapping[str, Any]) -> None:
        """Drop tables; one that cannot be dropped holds up nothing: it holds no rows itself."""
        try:
            drops = [f"DROP TABLE IF EXISTS `{table}`" for table in tables]
            self._carry_out(drops, workgroup, like)
        except Exception as error:
            log.warning("Of %s some could not be dropped: %s", ", ".join(tables), error)

    def _carry_out(
        self, statements: Sequence[str], workgroup: str, like: Mapping[str, Any]
    ) -> None:
        """Run short statements at the same time, in the database of a query, to their end.

        Raises:
            JobFailed: one of them failed, or they took too long.
        """
        shared = {key: like[key] for key in ("QueryExecutionContext",) if key in like}
        if location := like.get("ResultConfiguration", {}).get("OutputLocation"):
            folder = location if location.endswith("/") else f"{location.rpartition('/')[0]}/"
            shared["ResultConfiguration"] = {"OutputLocation": folder}
        going = {
            self.client.start_query_execution(
                QueryString=statement, WorkGroup=workgroup, **shared
            )["QueryExecutionId"]: statement
            for statement in statements
        }  # fmt: skip
        end = time.monotonic() + PATIENCE
        failed: list[str] = []
        while going and time.monotonic() < end:
            for query in self._told(list(going)):
                status = _status(query)
                if status.state.ended:
                    statement = going.pop(query["QueryExecutionId"])
                    if status.state is not State.SUCCEEDED:
                        failed.append(f"{statement[:80]}: {status.reason}")
            time.sleep(PAUSE if going else 0)
        failed += [f"{each[:80]}: takes over {PATIENCE:.0f} s" for each in going.values()]
        if failed:
            raise JobFailed(f"Athena: {failed[0]}")

    def _listed(self, workgroup: str) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("list_query_executions").paginate(
            WorkGroup=workgroup, PaginationConfig={"PageSize": BATCH}
        )
        for page in pages:
            ids = page.get("QueryExecutionIds", [])
            told = {query["QueryExecutionId"]: query for query in self._told(ids)}
            yield from (told[each] for each in ids if each in told)

    def _told(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        for some in batched(ids, BATCH):
            answer = self.client.batch_get_query_execution(QueryExecutionIds=list(some))
            yield from answer.get("QueryExecutions", [])


def tables_of(name: str, number: int | str) -> str:
    """What the names of the tables begin with that are made for one try of a job."""
    return f"{name.replace('-', '_').lower()}_{number}_"


def tables_in(query: str, name: str, number: int) -> list[str]:
    """The tables in a query's text that were made for this try."""
    return sorted(set(re.findall(rf"\b{tables_of(name, number)}\w+", query)))


def scanned_bytes(query: Mapping[str, Any]) -> int:
    """What a query has read so far, in bytes: Athena bills by it."""
    scanned: int = query.get("Statistics", {}).get("DataScannedInBytes", 0)
    return scanned


def _status(query: Mapping[str, Any]) -> Status:
    told = query["Status"]
    state = STATES.get(told["State"], State.RUNNING)
    reason = told.get("StateChangeReason", "") if state in (State.FAILED, State.STOPPED) else ""
    milliseconds = query.get("Statistics", {}).get("TotalExecutionTimeInMillis")
    seconds = None if milliseconds is None else milliseconds / 1000
    scanned = scanned_bytes(query) if state.ended else None
    return Status(state, told["State"], reason, seconds, scanned)
