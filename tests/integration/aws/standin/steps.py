"""One step of an EMR cluster, as a process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.aws.standin.faults import Fault
from tests.integration.aws.standin.jobs import Expired, Failed, Job, Stopped
from tests.integration.aws.standin.logs import LogFiles
from tests.integration.aws.standin.processes import OnLine
from tests.integration.aws.standin.spark import local_command, parse, variables

if TYPE_CHECKING:
    from tests.integration.aws.standin.clusters import Cluster

RUNNER = "command-runner.jar"
CLIENT_ERROR = 'Exception in thread "main" org.apache.spark.SparkException'
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
FAULTS = {
    "capacity": "Not enough cluster resources to run the step.",
    "internal_error": "An internal error occurred.",
    "image": "The step's image could not be found.",
}


class Step(Job):
    """A step; it begins when its cluster begins it."""

    service = "emr-step"

    def __init__(self, cluster: Cluster, name: str, config: Mapping[str, Any], fault: Fault | None):
        super().__init__(cluster.cloud, name, cluster.region, cluster.instance_role, {}, fault)
        self.cluster, self.config = cluster, config
        prefix = f"{cluster.log_uri}/{cluster.name}" if cluster.log_uri else None
        self.log_prefix = f"{prefix}/steps/{name}" if prefix else None
        self._logs = LogFiles(lambda: self.store, prefix, lambda: self.cloud.pace["s3_logs"])
        self.status: dict[str, Any] = {
            "State": "PENDING", "StateChangeReason": {},
            "Timeline": {"CreationDateTime": self.created},
        }  # fmt: skip

    @property
    def title(self) -> str:
        return str(self.config["Name"])

    @property
    def state(self) -> str:
        return str(self.status["State"])

    def change(self, state: str, **facts: Any) -> None:
        times = {"RUNNING": "StartDateTime"} | dict.fromkeys(ENDED, "EndDateTime")
        with self.cloud.lock:
            if state in times:
                self.status["Timeline"][times[state]] = time.time()
            if state in ENDED:
                self.ended = time.time()
            self.status.update(facts, State=state)

    def break_down(self, reason: str) -> None:
        self.change("FAILED", FailureDetails={"Reason": reason})

    def cancel(self, *, at_once: bool = False) -> None:
        """End a pending step at once, a running one soon."""
        self.stop_at_once = at_once
        if self.state == "PENDING":
            self.change("CANCELLED", StateChangeReason={"Message": "Step was cancelled by user"})
        self.stop_asked.set()

    def run(self) -> None:
        if self.state in ENDED:
            return
        self.change("RUNNING")
        try:
            self.stay("RUNNING")
            self._execute()
            state, facts = "COMPLETED", {}
        except (Stopped, Expired):
            state, facts = (
                "CANCELLED",
                {"StateChangeReason": {"Message": "Step was cancelled by user"}},
            )
        except Failed as failure:
            state, facts = "FAILED", {"FailureDetails": self._details(str(failure))}
        except (ClientError, BotoCoreError, OSError) as error:
            self._log("controller", f"ERROR {error}")
            state, facts = "FAILED", {"FailureDetails": self._details(str(error))}
        self._log("controller", f"INFO Step ended in {state}")
        self.cloud.later.call(self.cloud.pace["s3_logs"], lambda: self._logs.copy(now=True))
        self.change(state, **facts)

    def _execute(self) -> None:
        if self.fault and self.fault.fault in FAULTS:
            raise Failed(FAULTS[self.fault.fault])
        jar = self.config["HadoopJarStep"]
        words = [str(word) for word in jar.get("Args", [])]
        self._log("controller", f"INFO startExec 'hadoop jar {jar['Jar']} {' '.join(words)}'")
        if jar["Jar"] != RUNNER or not words:
            raise Failed(f"Cannot run the jar {jar['Jar']}: the stand-in runs {RUNNER} only")
        if self.fault and self.fault.fault == "never_ends":
            self.stay_for_ever()
        command, application, environment = words, "", self.environment()
        hear: OnLine = self._log
        if words[0] == "spark-submit":
            submission = parse(words[1:])
            command = local_command(submission, self.store, self.folder)
            environment |= variables(submission)
            if ("--deploy-mode", "cluster") in submission.options:
                application, hear = self._on_the_cluster()
        code = self.execute(command, environment, self.folder, hear,
                            meanwhile=self._logs.copy)  # fmt: skip
        if code and application:
            said = f"Application {application} finished with failed status"
            self._log("stderr", f"{CLIENT_ERROR}: {said}")
        self._log("controller", f"INFO waitProcessCompletion ended with exit code {code}")
        if code:
            raise Failed(self._cause(code))

    def _log(self, name: str, line: str) -> None:
        self._logs.write(f"steps/{self.name}/{name}", line)

    def _on_the_cluster(self) -> tuple[str, OnLine]:
        """With `--deploy-mode cluster` the driver's lines stand in a container's logs.

        Returns:
            The id of YARN's application, and who hears the driver.
        """
        number = self.cluster.steps.index(self) + 1
        stamp = f"{int(self.cluster.created * 1000)}_{number:04d}"
        folder = f"containers/application_{stamp}/container_{stamp}_01_000001"
        self._log("stderr", f"INFO YarnClientImpl: Submitted application application_{stamp}")
        return f"application_{stamp}", lambda name, line: self._logs.write(f"{folder}/{name}", line)

    def _cause(self, code: int) -> str:
        """The line that looks most like a cause, as EMR guesses one."""
        lines = [line for line in self._logs.lines(f"steps/{self.name}/stderr") if line.strip()]
        return lines[-1] if lines else f"the step exited with code {code}"

    def _details(self, message: str) -> dict[str, str]:
        known = "Exception" in message or "Error" in message
        details = {"Reason": "Unknown Error." if not known else message.partition(":")[0]}
        if known:
            details["Message"] = message
        if self.log_prefix:
            details["LogFile"] = f"{self.log_prefix}/stderr.gz"
        return details

    def describe(self) -> dict[str, Any]:
        """As DescribeStep answers it."""
        jar = self.config["HadoopJarStep"]
        return {
            "Id": self.name, "Name": self.config["Name"],
            "Config": {"Jar": jar["Jar"], "Args": jar.get("Args", []), "Properties": {}},
            "ActionOnFailure": self.config.get("ActionOnFailure", "CONTINUE"),
            "Status": self.status,
        }  # fmt: skip
