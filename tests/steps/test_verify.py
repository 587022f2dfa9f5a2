"""Verification through an address: what counts is what the service answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.lake import LocalStore
from millrace.model_service import ModelService, NoAnswer
from millrace.steps.run import Run
from millrace.steps.verify import DeploymentFailed, NotVerified, Patience, report_failure, verify
from tests.tracking import made_up

REMOTE = Path(__file__).parents[1] / "remote"
SOON = Patience(seconds=0.5, pause=0.05)
PLAN = {"version": "2", "content": "files of 2", "where": "local",
        "before": {"version": "1", "content": "files of 1"}}  # fmt: skip


class Remote:
    """The service as a process on this machine, and its registry."""

    def __init__(self, folder: Path, dataset: str = "club"):
        self.dataset = dataset
        self.registry = folder / "registry.json"
        self.champion("1", {"1": {"content": "files of 1"}, "2": {"content": "files of 2"}})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from remote_service import main; main()", str(port)],
            env={**os.environ, "PYTHONPATH": str(REMOTE), "MILLRACE_MODELS": dataset,
                 "REGISTRY": str(self.registry)},
        )  # fmt: skip
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                ModelService(self.url).complaint(dataset)
                return
            except NoAnswer:
                time.sleep(0.05)
        raise AssertionError("the service does not come up")

    def champion(self, number: str, versions: dict[str, Any] | None = None) -> None:
        """Move the alias; change versions."""
        known = json.loads(self.registry.read_text()) if self.registry.exists() else {}
        held = {**known.get(self.dataset, {}).get("versions", {}), **(versions or {})}
        document = {self.dataset: {"champion": number, "versions": held}}
        part = self.registry.with_suffix(".part")
        part.write_text(json.dumps(document))
        part.replace(self.registry)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    remote = Remote(tmp_path_factory.mktemp("remote"))
    yield remote
    remote.process.kill()
    remote.process.wait()


@pytest.fixture
def remote(started: Remote) -> Remote:
    """The service with version 1 loaded."""
    started.champion("1", {"2": {"content": "files of 2"}})
    ModelService(started.url).complaint("club")
    return started


@pytest.fixture
def run(remote: Remote, tmp_path: Path) -> Run:
    settings = made_up.settings(
        tmp_path, "http://127.0.0.1:9", MILLRACE_SERVICE_URL=f"{remote.url}/"
    )
    spec = made_up.write_spec(tmp_path / "datasets")
    return Run(spec, "2026-03-01", LocalStore(Path(settings.lake)), settings, ("good",))


def test_a_champion_that_is_taken_up_is_verified(remote: Remote, run: Run) -> None:
    remote.champion("2")
    assert verify(run, PLAN, Patience(seconds=60, pause=0.05)) == "2"


def test_the_old_version_is_no_success(run: Run) -> None:
    with pytest.raises(
        NotVerified, match=r"does not serve version 2 of club after 0.5 s; .*times version 1 \(file"
    ):
        verify(run, PLAN, SOON)


def test_the_same_number_with_other_files_is_no_success(remote: Remote, run: Run) -> None:
    remote.champion("2", {"2": {"content": "other files"}})
    with pytest.raises(NotVerified, match=r"times version 2 \(files other fi\)"):
        verify(run, PLAN, SOON)


def test_a_champion_that_the_service_refuses_fails_with_its_words(remote: Remote, run: Run) -> None:
    remote.champion("2", {"2": {"content": "files of 2", "broken": "model.json is no JSON"}})
    with pytest.raises(
        NotVerified,
        match=r"not take version 2: version 2 is not in .*: model.json is no JSON; version 1 stays",
    ):
        verify(run, PLAN, Patience(seconds=60, pause=0.05))
    with pytest.raises(DeploymentFailed) as failure:
        report_failure(run, PLAN, "model.json is no JSON", SOON)
    assert str(failure.value) == (
        "Version 2 of club did not come into service: model.json is no JSON\n"
        "Version 1 is in service, verified; `make rollback DATASET=club` puts the champion before"
        " it back in the registry."
    )


def test_a_model_that_cannot_predict_is_no_success(remote: Remote, run: Run) -> None:
    remote.champion("2", {"2": {"content": "files of 2", "mute": True}})
    with pytest.raises(NotVerified, match=r"not predict its own example: .*500.*fell silent"):
        verify(run, PLAN, SOON)


def test_an_old_version_that_is_gone_too_is_told(remote: Remote, run: Run) -> None:
    remote.champion("2")
    with pytest.raises(DeploymentFailed, match=r"(?s)Version 1, which was .*, is not either: http"):
        report_failure(run, PLAN, "why", SOON)
    with pytest.raises(DeploymentFailed, match=r"Before it there was none: http.*gives version 2"):
        report_failure(run, {**PLAN, "before": None}, "why", SOON)


def test_nobody_there_is_told_with_the_address(run: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(NoAnswer, match=f"{url}/club/model does not answer"):
            ModelService(url).model("club")
