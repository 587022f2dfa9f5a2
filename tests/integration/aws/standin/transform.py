"""Batch transform jobs: a container as a process, its input split and its answers joined."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.batches import (
    BadRecord,
    answers_of,
    filtered,
    joined,
    payloads,
    split_records,
)
from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Failed, Job, Stopped
from tests.integration.aws.standin.serving import Container
from tests.integration.aws.standin.storage import Store, split

if TYPE_CHECKING:
    from tests.integration.aws.standin.cloud import Cloud

LOG_GROUP = "/aws/sagemaker/TransformJobs"
INSTANCE = "i-0f1e2d3c4b5a69788"
LOOK = "See job logs for more information"
FAULTS = {
    "capacity": "CapacityError: Unable to provision requested ML compute capacity due to"
    " InsufficientInstanceCapacity error.",
    "internal_error": "InternalServerError: We encountered an internal error. Please try again.",
    "image": "ClientError: Cannot pull the image of the model; check that it exists",
}


class TransformJob(Job):
    """One transform job; `description` is what DescribeTransformJob answers."""

    service = "sagemaker-transform"

    def __init__(
        self, cloud: Cloud, request: Mapping[str, Any], model: Mapping[str, Any], region: str,
        fault: Fault | None,
    ):  # fmt: skip
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        name = request["TransformJobName"]
        super().__init__(cloud, name, region, model["ExecutionRoleArn"], tags, fault)
        self.request, self.model = request, model
        self.description: dict[str, Any] = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "TransformJobArn": f"arn:aws:sagemaker:{region}:{ACCOUNT}:transform-job/{name.lower()}",
            "TransformJobStatus": "InProgress", "CreationTime": self.created,
        }  # fmt: skip

    @property
    def state(self) -> str:
        return str(self.description["TransformJobStatus"])

    def change(self, **facts: Any) -> None:
        with self.cloud.lock:
            self.description.update(facts)

    def break_down(self, reason: str) -> None:
        self.change(TransformJobStatus="Failed", FailureReason=reason)

    def ask_to_stop(self) -> None:
        self.change(TransformJobStatus="Stopping")
        self.stop_asked.set()

    def run(self) -> None:
        facts: dict[str, Any] = {}
        try:
            self.stay("Starting")
            if self.fault and self.fault.fault in FAULTS:
                raise Failed(FAULTS[self.fault.fault])
            self.change(TransformStartTime=time.time())
            if self.fault and self.fault.fault == "never_ends":
                self.stay_for_ever()
            self._transform()
            self.stay("Uploading")
            status = "Completed"
        except Stopped:
            status = "Stopped"
        except Failed as failure:
            status, facts = "Failed", {"FailureReason": str(failure)}
        except (ClientError, BotoCoreError) as error:
            said = getattr(error, "response", {}).get("Error", {}).get("Message") or str(error)
            status, facts = "Failed", {"FailureReason": f"ClientError: {said}"}
        self.ended = time.time()
        self.change(TransformJobStatus=status, TransformEndTime=self.ended, **facts)

    def _transform(self) -> None:
        store = self.store
        model, code, program = self._fetch_model(store)
        epoch = int(time.time())
        stream = self.cloud.log_stream(
            self.role, self.region, LOG_GROUP, f"{self.name}/{INSTANCE}-{epoch}"
        )
        self.data_log = self.cloud.log_stream(
            self.role, self.region, LOG_GROUP, f"{self.name}/{INSTANCE}-{epoch}/data-log"
        )
        given = self.model["PrimaryContainer"].get("Environment", {})
        environment = {**self.environment(), "SM_MODEL_DIR": str(model), **given,
                       **self.request.get("Environment", {})}  # fmt: skip
        container = Container(self, model, code, program, environment,
                              lambda _, line: stream.write(line))  # fmt: skip
        try:
            container.ready()
            source = self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
            bucket, _ = split(source)
            for key, relative in list(store.keys(source)):
                self._transform_file(container, store, f"s3://{bucket}/{key}", relative)
        finally:
            container.close()

    def _fetch_model(self, store: Store) -> tuple[Path, Path, str]:
        """Model folder, code folder and program."""
        container = self.model["PrimaryContainer"]
        environment = container.get("Environment", {})
        root = self.folder / "opt" / "ml"
        shutil.rmtree(root, ignore_errors=True)
        model, code = root / "model", root / "code"
        root.mkdir(parents=True)
        model.mkdir()
        if "ModelDataUrl" in container:
            store.unpack(container["ModelDataUrl"], model)
        source = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if source.startswith("s3://"):
            store.unpack(source, code)
        else:  # the archive of the model holds the code
            code = model / "code"
        program = environment.get("SAGEMAKER_PROGRAM", "inference.py")
        if not (code / program).is_file():
            raise Failed(f"AlgorithmError: {LOOK}: no {program} in {source or 'the model archive'}")
        return model, code, program

    def _transform_file(self, container: Container, store: Store, uri: str, relative: str) -> None:
        given, output = self.request["TransformInput"], self.request["TransformOutput"]
        content = store.fetch(uri, self.folder / "input" / relative).read_text(encoding="utf-8")
        kind = given.get("ContentType", "").partition(";")[0].strip()
        limit = (self.request.get("MaxPayloadInMB") or 6) * 2**20
        strategy = self.request.get("BatchStrategy", "MultiRecord")
        accept = output.get("Accept") or "application/json"
        filters = self.request.get("DataProcessing", {})
        lines: list[str] = []
        try:
            records = split_records(content, given.get("SplitType", "None"))
            for group in payloads(records, strategy, limit):
                sent = [filtered(filters.get("InputFilter", "$"), record, kind) for record in group]
                status, body = container.ask(
                    "\n".join(sent).encode(), given.get("ContentType", ""), accept
                )
                if status != 200:
                    self._log_failure(uri, status, body)
                    raise Failed(f"AlgorithmError: {LOOK}")
                lines += self._answers(group, body, strategy, kind, accept, filters)
        except BadRecord as error:
            self.data_log.write(f"{uri.removeprefix('s3://')}: ClientError: {error}")
            raise Failed(f"ClientError: {LOOK}") from None
        ending = "\n" if output.get("AssembleWith") == "Line" else ""
        text = "".join(f"{line}{ending}" for line in lines)
        target = f"{output['S3OutputPath'].rstrip('/')}/{relative}.out"
        store.write(text.encode(), target)

    def _answers(
        self, group: list[str], body: str, strategy: str, kind: str, accept: str,
        filters: Mapping[str, str],
    ) -> list[str]:  # fmt: skip
        """Lines of the output for one request."""
        path = filters.get("OutputFilter", "$")
        if filters.get("JoinSource", "None") != "Input":
            lines = [body] if path == "$" else answers_of(body, len(group), strategy)
            form = accept.partition(";")[0]
            return [filtered(path, line.rstrip("\n"), form) for line in lines]
        answers = answers_of(body, len(group), strategy)
        whole = [
            joined(record, answer, kind) for record, answer in zip(group, answers, strict=True)
        ]
        return [filtered(path, line, kind) for line in whole]

    def _log_failure(self, uri: str, status: int, body: str) -> None:
        place = uri.removeprefix("s3://")
        for line in (f"{place}: ClientError: {status}", f"{place}: ", f"{place}: Message:",
                     *(f"{place}: {line}" for line in body.splitlines())):  # fmt: skip
            self.data_log.write(line)
