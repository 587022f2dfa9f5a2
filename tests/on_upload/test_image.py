"""The function as its image has it: these packages, these files, Lambda's own runtime client.

Without containers: its files are laid out in a folder as the Dockerfile says, and run in an
environment that has its requirements and nothing else. tests/containers builds the image.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import Place, require_published
from millrace.lake.code import code_fingerprint
from millrace.settings import PROJECT
from millrace.steps.preprocess import preprocess
from millrace.steps.validate_raw import validate_raw
from tests.arrivals.documents import notification, record, sns_to_lambda, sqs_to_lambda
from tests.on_upload.conftest import DAY, Lake
from tests.on_upload.runtime_api import RuntimeApi, runtime_api
from tests.test_import_rules import loaded_with

FOLDER = PROJECT / "include" / "lambda"
NAMES = {"yaml": "pyyaml", "pydantic_core": "pydantic-core"}  # packages by what is imported


def pins(path: Path) -> dict[str, str]:
    """Versions by package, without those for other systems."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), flags=re.MULTILINE)
    return dict(found)


def copied() -> list[tuple[str, str]]:
    """Sources and targets of the Dockerfile's COPY lines."""
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    copies = [line.split() for line in lines if line.startswith("COPY")]
    return [tuple(part for part in words[1:] if part[:2] != "--") for words in copies]  # type: ignore[misc]


def test_the_versions_are_those_of_the_workers() -> None:
    image, workers = pins(FOLDER / "requirements.txt"), pins(PROJECT / "requirements.txt")
    assert len(image) > 20
    assert image.items() <= workers.items()


def test_the_handler_loads_what_the_image_has_and_no_airflow() -> None:
    found = loaded_with(FOLDER / "handler.py") - {"millrace"}
    installed = pins(FOLDER / "requirements.txt")
    assert {"pandas", "yaml", "boto3"} <= found
    assert {NAMES.get(name, name) for name in found} <= set(installed)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the image's packages and Lambda's runtime client."""
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    if not Path(uv).is_file():
        pytest.skip("no uv, which makes the environment of the image")
    home = tmp_path_factory.mktemp("image-python")
    interpreter = home / "bin" / "python"
    locked = ["--only-binary", ":all:", "--require-hashes", "-r", FOLDER / "requirements.txt"]
    for command in (
        [uv, "venv", "-q", "-p", os.path.realpath(sys.executable), home],
        [uv, "pip", "install", "-q", "-p", interpreter, *locked],
        [uv, "pip", "install", "-q", "-p", interpreter, "awslambdaric"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and re.search("dns error|[Cc]onnect|timed out", done.stderr):
            pytest.skip(f"the package registry does not answer: {done.stderr[:200]}")
        assert done.returncode == 0, done.stderr
    return interpreter


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's working folder, filled as the Dockerfile says."""
    task = tmp_path_factory.mktemp("var") / "task"
    task.mkdir()
    skipped = shutil.ignore_patterns("__pycache__")
    for source, target in copied():
        if (PROJECT / source).is_dir():
            shutil.copytree(PROJECT / source, task / target, ignore=skipped)
        else:
            shutil.copy(PROJECT / source, task / target)
    return task


class Function:
    """The running function: invoke it, read its log."""

    def __init__(self, api: RuntimeApi, process: subprocess.Popen[bytes], log: Path):
        self.api, self.process, self.log = api, process, log

    def invoke(self, event: Any) -> tuple[str, Any]:
        return self.api.invoke(event, lambda: self.process.poll() is None)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def function(python: Path, image: Path, lake: Lake, tmp_path: Path) -> Iterator[Function]:
    """The function in a process of its own, in an environment like Lambda's."""
    command = re.search(r"^CMD (.*)$", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert command
    packages = next((python.parents[1] / "lib").glob("python*/site-packages"))
    (packages / "millrace.pth").write_text(f"{image / 'plugins'}\n")
    log = tmp_path / "log"
    with runtime_api() as api, log.open("w") as sink:
        process = subprocess.Popen(
            [python, "-m", "awslambdaric", *json.loads(command[1])],
            cwd=image, stdout=sink, stderr=subprocess.STDOUT,
            env={
                **lake.environment,
                "AWS_LAMBDA_RUNTIME_API": api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "on-upload",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
                "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "LAMBDA_TASK_ROOT": str(image),
                "TMPDIR": str(tmp_path),
                "PATH": "/usr/bin:/bin",
            },
        )  # fmt: skip
        try:
            yield Function(api, process, log)
        finally:
            process.kill()
            process.wait()
            api.events.put(("", None))


@pytest.mark.integration
def test_the_function_does_the_work_of_the_dag(
    function: Function, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    key = lake.deliver(f"orchard/{DAY}/the rows+100%.csv")
    kind, answer = function.invoke(sns_to_lambda(notification(record(key))))
    assert (kind, answer["prepared"]) == ("response", [f"orchard/{DAY}"])
    manifest = require_published(lake.store, Place("processed", "orchard", DAY), "-").manifest
    assert manifest.code == code_fingerprint(), "the same code as the worker's"
    caplog.set_level("INFO", logger="millrace")
    run = lake.run("orchard")
    validate_raw(run)
    preprocess(run)
    assert caplog.text.count("Nothing to do") == 3
    said = [line for line in function.lines() if line["message"].startswith("Prepared")]
    assert said[0]["logger"] == "millrace.on_upload"
    assert said[0]["requestId"]


@pytest.mark.integration
def test_a_failure_is_reported_to_lambda_and_the_next_event_is_served(
    function: Function, lake: Lake, tmp_path: Path
) -> None:
    bad = lake.deliver("orchard/2026-01-01/a.csv", "tree,height\n1,2\n")
    good = lake.deliver(f"orchard/{DAY}/a.csv")
    event = sqs_to_lambda(notification(record(bad)), notification(record(good)))
    kind, error = function.invoke(event)
    assert (kind, error["errorType"]) == ("error", "UploadFailed")
    assert "orchard/2026-01-01: " in error["errorMessage"]
    assert len(lake.published(f"orchard/{DAY}")) == 3
    assert any("no such column" in json.dumps(line) for line in function.lines())
    kind, answer = function.invoke(notification(record(good)))
    assert (kind, answer["prepared"]) == ("response", [f"orchard/{DAY}"])
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "log"]
    assert left == [], "the disk of a function that is used again must not fill up"
