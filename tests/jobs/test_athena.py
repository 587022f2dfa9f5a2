"""Queries of Athena on the stand-in, which runs them."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from millrace.jobs import athena as backend_module
from millrace.jobs.athena import Athena, tables_in, tables_of
from millrace.jobs.job import TRY, JobFailed, NameTaken, Request, State
from tests.integration.aws.standin import StandIn
from tests.jobs.execution import BUCKET, ended, follow, stand_in

pytestmark = pytest.mark.integration
GROUP = "group"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with stand_in(tmp_path_factory.mktemp("aws")) as started:
        started.client("athena").create_work_group(Name=GROUP, Configuration={})
        started.client("glue").create_database(DatabaseInput={"Name": "millrace"})
        content = io.BytesIO()
        pq.write_table(pa.table({"N": [1, 2, 3]}), content)
        started.client("s3").put_object(
            Bucket=BUCKET, Key="numbers/part-0.parquet", Body=content.getvalue()
        )
        yield started


@pytest.fixture
def athena(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Athena]:
    monkeypatch.setattr(backend_module, "PAUSE", 0.05)
    yield Athena(aws.client("athena"))
    aws.clear_faults()
    assert tables(aws) == []


def request(name: str, select: str = "SELECT n FROM {numbers}", **changes: str) -> Request:
    """A query over a table that is made for it."""
    numbers = f"{tables_of(name, TRY)}numbers"
    column = changes.get("column", "`n` bigint")
    location = changes.get("location", f"s3://{BUCKET}/numbers/")
    body = {
        "Before": [
            f"CREATE EXTERNAL TABLE IF NOT EXISTS `{numbers}` ({column})"
            f" STORED AS PARQUET LOCATION '{location}'"
        ],
        "QueryString": f"UNLOAD ({select.format(numbers=numbers)})"
        f" TO 's3://{BUCKET}/out/{name}-{{try}}/' WITH (format = 'PARQUET')",
        "QueryExecutionContext": {"Database": "millrace"},
        "ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/results/"},
    }
    return Request("athena", name, body, 60, GROUP)


def tables(aws: StandIn) -> list[str]:
    found = aws.client("glue").get_tables(DatabaseName="millrace")["TableList"]
    return [table["Name"] for table in found]


def starts(aws: StandIn) -> int:
    return aws.calls().get("athena.StartQueryExecution", 0)


def test_a_query_reads_tables_that_are_made_for_it_and_dropped(
    aws: StandIn, athena: Athena
) -> None:
    job = athena.start(request("millrace-sum-aa"), 2)
    assert tables(aws) == ["millrace_sum_aa_2_numbers"]
    status, lines = follow(athena, job, ended)
    assert status.state is State.SUCCEEDED and status.scanned and status.seconds
    assert lines == [f"SUCCEEDED: {status.scanned} bytes scanned"]
    s3 = aws.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(
        Bucket=BUCKET, Prefix="out/millrace-sum-aa-2/")["Contents"]]  # fmt: skip
    parts = [pq.read_table(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
             for key in keys]  # fmt: skip
    assert sorted(pa.concat_tables(parts)["n"].to_pylist()) == [1, 2, 3]
    assert athena.find("millrace-sum-aa", GROUP) == (job, status)
    assert athena.find("millrace-sum", GROUP) is None
    athena.tidy(job)
    assert tables(aws) == []


def test_the_same_try_is_started_once(aws: StandIn, athena: Athena) -> None:
    wanted = request("millrace-once-aa")
    job = athena.start(wanted, 1)
    assert athena.start(wanted, 1) == job
    other = replace(wanted, body={**wanted.body, "QueryString": "SELECT 1"})
    with pytest.raises(NameTaken, match="Idempotent"):
        athena.start(other, 1)
    follow(athena, job, ended)
    athena.tidy(job)


def test_a_lost_answer_starts_no_second_query(aws: StandIn, athena: Athena) -> None:
    wanted = request("millrace-lost-aa", "SELECT 1 AS n")
    wanted = replace(wanted, body={**wanted.body, "Before": []})
    before = len(aws.jobs(service="athena"))
    aws.fault({"fault": "lost_answer", "operation": "StartQueryExecution", "times": 1})
    follow(athena, athena.start(wanted, 1), ended)
    assert len(aws.jobs(service="athena")) == before + 1


def test_the_latest_try_is_found(athena: Athena) -> None:
    first = athena.start(request("millrace-tries-aa", "SELECT missing FROM {numbers}"), 1)
    status, lines = follow(athena, first, ended)
    assert status.state is State.FAILED and "missing" in status.reason
    assert lines and "missing" in lines[0]
    athena.tidy(first)
    second = athena.start(request("millrace-tries-aa"), 2)
    found = athena.find("millrace-tries-aa", GROUP)
    assert found and found[0] == second
    follow(athena, second, ended)
    athena.tidy(second)


def test_a_table_that_cannot_be_made_starts_no_query(aws: StandIn, athena: Athena) -> None:
    before = starts(aws)
    with pytest.raises(JobFailed, match=r"CREATE EXTERNAL TABLE.*must be a folder"):
        athena.start(request("millrace-bad-aa", location=f"s3://{BUCKET}/numbers"), 1)
    assert starts(aws) == before + 2  # the table's, and what would drop it
    assert athena.find("millrace-bad-aa", GROUP) is None


def test_a_type_that_is_not_the_files_is_told(athena: Athena) -> None:
    job = athena.start(request("millrace-type-aa", column="`n` double"), 1)
    status, _ = follow(athena, job, ended)
    assert status.state is State.FAILED and "HIVE_BAD_DATA: Field n's type" in status.reason
    athena.tidy(job)


def test_a_stopped_query_is_no_success_and_may_be_stopped_twice(
    aws: StandIn, athena: Athena
) -> None:
    aws.fault({"fault": "never_ends", "operation": "StartQueryExecution", "times": 2})
    job = athena.start(request("millrace-stop-aa"), 1)
    time.sleep(0.3)
    athena.stop(job)
    status, _ = follow(athena, job, ended)
    assert status.state is State.STOPPED and "cancelled" in status.reason
    athena.stop(job)
    athena.tidy(job)


def test_an_unknown_workgroup_is_refused(athena: Athena) -> None:
    with pytest.raises(ClientError, match="WorkGroup elsewhere is not found"):
        athena.start(replace(request("millrace-group-aa"), home="elsewhere"), 1)


def test_only_the_tables_of_the_try_are_dropped() -> None:
    query = "SELECT * FROM millrace_a_1_x, millrace_a_11_y TO 's3://lake/millrace_a/'"
    assert tables_in(query, "millrace-a", 1) == ["millrace_a_1_x"]
