"""Script mode: the folders of one training job, its script as a process, its results."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.aws.standin import toolkit
from tests.integration.aws.standin.jobs import Failed, python

if TYPE_CHECKING:
    from tests.integration.aws.standin.training import TrainingJob

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
FOLDERS = ("code", "model", "output/data", "input/config", "input/data", "checkpoints")
TOOLKIT = "sagemaker-training-toolkit INFO    "


class Interrupted(Exception):
    """The spot instance was taken away."""


class ScriptMode:
    """Downloads, trains and uploads for one job; `root` stands for /opt/ml."""

    def __init__(self, job: TrainingJob):
        self._job, self._request = job, job.request
        self.root = job.folder / "opt" / "ml"
        self.metrics: dict[str, dict[str, Any]] = {}
        self._program, self._own = "", dict[str, Any]()
        self._synced = 0.0

    def download(self) -> None:
        """Source, channels and checkpoints into empty folders.

        Raises:
            Failed: S3 refused, or the hyperparameters name no script.
        """
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        given = self._request.get("HyperParameters", {})
        self._own, platform = toolkit.hyperparameters(given)
        config = self.root / "input" / "config" / "hyperparameters.json"
        config.write_text(json.dumps(given))
        try:
            self._program = platform["sagemaker_program"]
            source = platform["sagemaker_submit_directory"]
        except KeyError as missing:
            raise Failed(f"AlgorithmError: framework error: no hyperparameter {missing}") from None
        self._fetch(source)

    def _fetch(self, source: str) -> None:
        wanted = {"": source}  # folder under the input data to URI
        for channel in self._request.get("InputDataConfig", []):
            wanted[channel["ChannelName"]] = channel["DataSource"]["S3DataSource"]["S3Uri"]
        store, current = self._job.store, source
        try:
            store.unpack(source, self.root / "code")
            for name, current in list(wanted.items())[1:]:
                store.fetch_all(current, self.root / "input" / "data" / name)
            if "CheckpointConfig" in self._request:
                current = f"{self._request['CheckpointConfig']['S3Uri'].rstrip('/')}/"
                store.fetch_all(current, self.root / "checkpoints")
        except (ClientError, BotoCoreError) as error:
            said = getattr(error, "response", {}).get("Error", {})
            raise Failed(
                f"ClientError: Data download failed:Unable to download object {current}"
                f" ({said.get('Code', 'Error')}: {said.get('Message', error)})"
            ) from None

    def train(self, limit: float) -> None:
        """Run the script to its end, or for `limit` seconds.

        Raises:
            Failed: it ended with another code than 0.
            Stopped, Expired, Interrupted: it was ended.
        """
        job, epoch, errors = self._job, int(time.time()), list[str]()
        stream = job.cloud.log_stream(
            job.role, job.region, LOG_GROUP, f"{job.name}/{toolkit.HOST}-{epoch}"
        )
        if (self.root / "code" / "requirements.txt").exists():
            stream.write(f"{TOOLKIT} requirements.txt is there; the stand-in installs nothing")
        words = [self._program, *toolkit.arguments(toolkit.mapped(self._own, self.root))]
        shown = f"{toolkit.PYTHON} {' '.join(words)}".replace(str(self.root), toolkit.ROOT)
        stream.write(f"{TOOLKIT} Invoking user script: {shown}")

        def hear(name: str, line: str) -> None:
            line = line.replace(str(self.root), toolkit.ROOT)
            if name == "stderr":
                errors.append(line)
            self._measure(line)
            stream.write(line)

        variables = toolkit.variables(self.root, self._request, self._own, self._program)
        began = time.monotonic()
        try:
            code = job.execute(
                [python(), "-u", *words], {**job.environment(), **variables}, self.root / "code",
                hear, limit=limit, meanwhile=lambda: self._meanwhile(began),
            )  # fmt: skip
        finally:
            self._sync_checkpoints()
        if code:
            raise Failed(self._reason(code, shown, errors))

    def upload(self) -> str:
        """The model, always; the output data where there is some. Returns the model's URI."""
        output = self._request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        base = f"{output}/{self._job.name}/output"
        self._job.store.pack(self.root / "model", f"{base}/model.tar.gz")
        if any((self.root / "output" / "data").iterdir()):
            self._job.store.pack(self.root / "output" / "data", f"{base}/output.tar.gz")
        return f"{base}/model.tar.gz"

    def _meanwhile(self, began: float) -> None:
        now, fault = time.monotonic(), self._job.fault
        if now - self._synced > self._job.cloud.pace["checkpoints"]:
            self._sync_checkpoints()
            self._synced = now
        if fault and fault.fault == "interruption" and now - began > fault.seconds:
            self._job.fault = None
            raise Interrupted

    def _sync_checkpoints(self) -> None:
        if "CheckpointConfig" in self._request:
            uri = self._request["CheckpointConfig"]["S3Uri"]
            with suppress(FileNotFoundError):  # renamed while they were sent: the next time
                self._job.store.send_changed(self.root / "checkpoints", uri)

    def _measure(self, line: str) -> None:
        """The last value of each metric whose expression finds one in the log."""
        for wanted in self._request["AlgorithmSpecification"].get("MetricDefinitions", []):
            if found := re.search(wanted["Regex"], line):
                facts: Mapping[str, Any] = {"Value": float(found[1]), "Timestamp": time.time()}
                self.metrics[wanted["Name"]] = {"MetricName": wanted["Name"], **facts}

    def _reason(self, code: int, command: str, errors: list[str]) -> str:
        """A script may leave the reason in the file `failure` of the output folder."""
        file = self.root / "output" / "failure"
        if file.exists():
            said = f"AlgorithmError: {file.read_text()}, exit code: {code}"
            return said[: toolkit.LONGEST_REASON]
        return toolkit.failure_reason(code, command, toolkit.error_lines(errors))
