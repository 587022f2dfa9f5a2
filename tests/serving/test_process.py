"""The service as a process: it starts, ends in good order, and says which setting is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from millrace.settings import PROJECT
from millrace.variables import SettingsError
from serving.settings import ServiceSettings
from tests.serving.waiting import until
from tests.tracking.mlflow_server import free_port

pytestmark = pytest.mark.integration
RECORD = {"visits": 3, "fee": 30, "club": "north", "name": "Roe, Mr. R."}


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "serving", *options]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    kept.pop("MLFLOW_TRACKING_URI", None)
    folders = [PROJECT / "plugins", PROJECT / "include", PROJECT / "include" / "training"]
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders)), **more}


@contextmanager
def running(folder: Path, log: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service with a folder of models, and its address."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("--port", str(port)), stdout=output, stderr=subprocess.STDOUT,
            env=environment(MILLRACE_MODEL_FOLDER=str(folder), **more),
        )  # fmt: skip
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def test_it_answers_and_ends_in_good_order(baked: Path, tmp_path: Path) -> None:
    log, lake = tmp_path / "log", tmp_path / "lake"
    more = {"MILLRACE_SERVICE_RECORD": "yes", "MILLRACE_LAKE": str(lake)}
    with running(baked / "good", log, **more) as (process, url), ThreadPoolExecutor(8) as pool:
        until(lambda: is_ready(url))
        rows = [RECORD] * 900  # with their reasons: long enough to be under way at the signal
        begun = [
            pool.submit(requests.post, f"{url}/club/predict?explain=true", json=rows, timeout=60)
            for _ in range(6)
        ]
        until(lambda: b'"records": 900' in log.read_bytes())
        process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in begun]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert process.wait(30) in (0, -signal.SIGTERM)
    assert all(json.loads(line) for line in log.read_text().splitlines())
    assert len(list(lake.rglob("*.parquet"))) == 1, "what was predicted is recorded"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "error: the service has no models: set MLFLOW_TRACKING_URI"),
        ({"MLFLOW_TRACKING_URI": "mlflow:5000"}, "error: MLFLOW_TRACKING_URI is 'mlflow:5000'"),
        ({"MILLRACE_MODELS": "Club"}, "error: MILLRACE_MODELS holds 'Club'; write data sets such"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(variables: dict[str, str], said: str) -> None:
    done = subprocess.run(
        command(), env=environment(**variables), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith(said)


def test_settings() -> None:
    found = ServiceSettings.from_environment(
        {"MILLRACE_MODELS": "club, gym=3", "MLFLOW_TRACKING_URI": "http://mlflow:5000/"}
    )
    assert found.models == {"club": None, "gym": 3}
    assert (found.mlflow_uri, found.folder, found.lake) == ("http://mlflow:5000", None, None)
    assert not found.others
    found = ServiceSettings.from_environment(
        {"MILLRACE_MODELS": "*,gym=3", "MILLRACE_MODEL_FOLDER": "x", "MILLRACE_RELEASE": "1f0c2ab"}
    )
    assert (found.models, found.others, found.release) == ({"gym": 3}, True, "1f0c2ab")
    with pytest.raises(SettingsError, match="MILLRACE_SERVICE_BODY"):
        ServiceSettings.from_environment(
            {"MILLRACE_SERVICE_BODY": "-1", "MILLRACE_MODEL_FOLDER": "x"}
        )
