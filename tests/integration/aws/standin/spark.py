"""What runs in place of `spark-submit` on a cluster."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.aws.standin.jobs import python
from tests.integration.aws.standin.storage import Store

WITHOUT_VALUE = {"--verbose", "-v", "--supervise"}
CLUSTER_ONLY = {"--master", "--deploy-mode", "--queue", "--num-executors", "--executor-cores",
                "--executor-memory", "--driver-memory", "--driver-cores", "--archives"}  # fmt: skip
ARCHIVES = "spark.archives"
CLUSTER_CONFS = {ARCHIVES, "spark.driver.memory", "spark.driver.memoryOverhead"}
ENVIRONMENTS = ("spark.executorEnv.", "spark.yarn.appMasterEnv.", "spark.emr-serverless.driverEnv.")


@dataclass
class Submission:
    """The parts of a spark-submit command line."""

    options: list[tuple[str, str]] = field(default_factory=list)
    script: str = ""
    arguments: list[str] = field(default_factory=list)


def parse(words: Sequence[str]) -> Submission:
    """The words after `spark-submit`."""
    found, rest = Submission(), list(words)
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if not value and option not in WITHOUT_VALUE and rest:
            value = rest.pop(0)
        found.options.append((option, value))
    if rest:
        found.script, found.arguments = rest[0], rest[1:]
    return found


def confs(submission: Submission) -> dict[str, str]:
    """The settings of all `--conf name=value`."""
    pairs = (value.partition("=") for option, value in submission.options if option == "--conf")
    return {name: value for name, _, value in pairs}


def variables(submission: Submission) -> dict[str, str]:
    """The environment that the settings give the driver and the executors."""
    found = {}
    for name, value in confs(submission).items():
        for prefix in ENVIRONMENTS:
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = value
    return found


def unpack_archives(submission: Submission, store: Store, folder: Path) -> None:
    """Unpack `<uri>#<name>` into the folder `name`, as YARN does for each container."""
    given = [value for option, value in submission.options if option == "--archives"]
    given += [confs(submission).get(ARCHIVES, "")]
    for each in (each for value in given for each in value.split(",") if each):
        uri, _, name = each.partition("#")
        store.unpack(uri, folder / (name or uri.rpartition("/")[2]))


def local_command(submission: Submission, store: Store, folder: Path) -> list[str]:
    """The same job on this machine: the script and its files are fetched first.

    STANDIN_SPARK_SUBMIT is the command; without it, `spark-submit` from the path, or the plain
    interpreter, which takes none of Spark's options.
    """
    script = _fetched(submission.script, store, folder)
    unpack_archives(submission, store, folder)
    configured = os.environ.get("STANDIN_SPARK_SUBMIT")
    found = shutil.which("spark-submit")
    if not configured and not found:
        return [python(), "-u", script, *submission.arguments]
    command = shlex.split(configured) if configured else [str(found)]
    for option, value in submission.options:
        name, _, setting = value.partition("=")
        if option in CLUSTER_ONLY or (option == "--conf" and name in CLUSTER_CONFS):
            continue
        if option == "--conf" and name == "spark.submit.pyFiles":
            option, value = "--py-files", setting
        if option in ("--py-files", "--files", "--jars"):
            value = ",".join(_fetched(name, store, folder) for name in value.split(","))
        command += [option, value] if value else [option]
    return [*command, script, *submission.arguments]


def _fetched(name: str, store: Store, folder: Path) -> str:
    if not name.startswith("s3://"):
        return name
    return str(store.fetch(name, folder / name.rpartition("/")[2]))
