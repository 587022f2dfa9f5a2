"""One query of Athena: DDL on moto's Glue, and UNLOAD as a process that runs DuckDB.

A query has the rights of whoever started it, on S3 and on the catalogue.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.glue.exceptions import GlueClientError
from moto.glue.models import glue_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.calls import Call
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Failed, Job, Stopped, python
from tests.integration.aws.standin.statements import CreateTable, DropTable, Unload, parse
from tests.integration.aws.standin.storage import Store

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
FAULTS = {
    "capacity": "Query exhausted resources at this scale factor",
    "internal_error": "GENERIC_INTERNAL_ERROR: Internal error. Please try again.",
    "image": "GENERIC_INTERNAL_ERROR: the engine could not be started",
}
ENGINE = Path(__file__).with_name("engine.py")


class QueryRun(Job):
    """One query; `description` is what GetQueryExecution answers."""

    service = "athena"

    def __init__(self, cloud: Cloud, identifier: str, call: Call, output: str,
                 fault: Fault | None):  # fmt: skip
        super().__init__(cloud, identifier, call.region, "", {}, fault)
        self.call, self.request, self.output = call, call.params, output.rstrip("/")
        self.workgroup = self.request.get("WorkGroup") or "primary"
        context = self.request.get("QueryExecutionContext") or {}
        self.database = context.get("Database", "default").lower()
        self._errors: list[str] = []
        text = self.request["QueryString"].strip()
        self.description: dict[str, Any] = {
            "QueryExecutionId": identifier, "Query": text, "WorkGroup": self.workgroup,
            "StatementType": "DDL" if text.upper().startswith(("CREATE", "DROP")) else "DML",
            "ResultConfiguration": {"OutputLocation": f"{self.output}/{identifier}.txt"},
            "QueryExecutionContext": context,
            "Status": {"State": "QUEUED", "SubmissionDateTime": self.created},
            "Statistics": {},
        }  # fmt: skip

    @property
    def state(self) -> str:
        return str(self.description["Status"]["State"])

    @property
    def title(self) -> str:
        """The comment in the first line, which is the job's name, or else the statement."""
        return str(self.description["Query"].splitlines()[0].removeprefix("-- "))

    @property
    def store(self) -> Store:  # type: ignore[override]
        """S3 with the caller's rights."""
        return self.cloud.store_of(self.call)

    def change(self, state: str, reason: str = "") -> None:
        now = time.time()
        with self.cloud.lock:
            status = {**self.description["Status"], "State": state}
            if reason:
                status["StateChangeReason"] = reason
            if state in ENDED:
                self.ended = status["CompletionDateTime"] = now
                took = {"TotalExecutionTimeInMillis": int(1000 * (now - self.created))}
                self.description["Statistics"] = {**self.description["Statistics"], **took}
            self.description["Status"] = status

    def break_down(self, reason: str) -> None:
        self.change("FAILED", reason)

    def run(self) -> None:
        try:
            self.change("QUEUED")
            self.stay("QUEUED")
            self.change("RUNNING")
            self._execute()
            self.stay("RUNNING")
            self.store.write(b"", f"{self.output}/{self.name}.txt")
            state, reason = "SUCCEEDED", ""
        except Stopped:
            state, reason = "CANCELLED", "Query cancelled by user"
        except Failed as failure:
            state, reason = "FAILED", str(failure)
        except (ClientError, BotoCoreError, GlueClientError) as error:
            state, reason = "FAILED", f"{error} (Service: Amazon S3 or AWS Glue)"
        self.change(state, reason)

    def _execute(self) -> None:
        statement = parse(self.request["QueryString"], self.database)
        if isinstance(statement, CreateTable):
            self._create(statement)
        elif isinstance(statement, DropTable):
            self._drop(statement)
        else:
            if self.fault and self.fault.fault in FAULTS:
                raise Failed(FAULTS[self.fault.fault])
            if self.fault and self.fault.fault == "never_ends":
                self.stay_for_ever()
            self._unload(statement)

    def _create(self, statement: CreateTable) -> None:
        self._require("glue:CreateTable", statement.database, statement.table)
        tables = self._tables(statement.database)
        if statement.table in tables:
            if statement.exists_is_fine:
                return
            raise Failed("FAILED: Execution Error, return code 1. AlreadyExistsException(message:"
                         f"Table {statement.table} already exists)")  # fmt: skip
        described: dict[str, Any] = {
            "Name": statement.table, "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": kind} for name, kind in statement.columns],
                "Location": statement.location,
            },
        }  # fmt: skip
        self._glue.create_table(statement.database, statement.table, described)

    def _drop(self, statement: DropTable) -> None:
        self._require("glue:GetTable", statement.database, statement.table)
        self._require("glue:DeleteTable", statement.database, statement.table)
        if statement.table in self._tables(statement.database):
            self._glue.delete_table(statement.database, statement.table)
        elif not statement.absent_is_fine:
            raise Failed(f"FAILED: SemanticException Table not found {statement.table}")

    def _unload(self, statement: Unload) -> None:
        known, scanned = {}, 0
        for table in statement.reads:
            self._require("glue:GetTable", self.database, table)
            found = self._tables(self.database).get(table)
            if found is None:
                raise Failed(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{self.database}"
                             f".{table}' does not exist")  # fmt: skip
            described = found.as_dict()["StorageDescriptor"]
            folder = self.folder / "tables" / table
            self.store.fetch_all(described["Location"], folder)
            scanned += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            columns = [(each["Name"], each["Type"]) for each in described["Columns"]]
            known[table] = {"folder": str(folder), "columns": columns}
        if any(True for _ in self.store.keys(statement.target)):
            raise Failed("HIVE_PATH_ALREADY_EXISTS: Target directory already exists:"
                         f" {statement.target}. You may need to clean the data.")  # fmt: skip
        written = self.folder / "written"
        task = self.folder / "task.json"
        task.write_text(json.dumps({"query": statement.query, "tables": known,
                                    "written": str(written)}))  # fmt: skip
        command = [python(), "-I", str(ENGINE), str(task)]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
        }
        if self.execute(command, environment, self.folder, self._hear):
            raise Failed(self._errors[-1] if self._errors else "GENERIC_INTERNAL_ERROR")
        for path in sorted(written.iterdir()):
            self.store.send(path, f"{statement.target.rstrip('/')}/{path.name}")
        with self.cloud.lock:
            self.description["Statistics"] = {"DataScannedInBytes": scanned}
        listed = "\n".join(f"{statement.target}{path.name}" for path in sorted(written.iterdir()))
        self.store.write(listed.encode(), f"{self.output}/{self.name}-manifest.csv")

    def _hear(self, stream: str, line: str) -> None:
        if stream == "stderr" and line.strip():
            self._errors.append(line)

    @property
    def _glue(self) -> Any:
        return glue_backends[ACCOUNT][self.region]

    def _tables(self, database: str) -> dict[str, Any]:
        if database not in self._glue.databases:
            raise Failed(f"SCHEMA_NOT_FOUND: line 1:1: Schema '{database}' does not exist")
        tables: dict[str, Any] = self._glue.databases[database].tables
        return tables

    def _require(self, action: str, database: str, table: str) -> None:
        """Glue asks for the right on the catalogue, on the database and on the table."""
        base = f"arn:aws:glue:{self.region}:{ACCOUNT}"
        for place in ("catalog", f"database/{database}", f"table/{database}/{table}"):
            if not self.cloud.iam.may(self.call, action, f"{base}:{place}"):
                raise Failed("Insufficient permissions to execute the query. User is not"
                             f" authorized to perform: {action} on resource:"
                             f" {base}:{place}")  # fmt: skip
