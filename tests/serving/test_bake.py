"""`make bake`: champions as folders for an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from serving import bake
from serving.sources import load_baked
from tests.tracking.conftest import GOOD
from tests.tracking.mlflow_server import MlflowServer, free_port

pytestmark = pytest.mark.integration


def test_all_champions_are_written_or_those_that_are_named(
    run_of: Callable[..., Run],
    mlflow_server: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    assert bake.main(["--into", str(tmp_path)]) == 1
    assert "has no champion; run a pipeline first" in capsys.readouterr().err

    log_to_mlflow(run_of(GOOD, promote="yes"))
    version = promote(run_of(GOOD, promote="yes"))["version"]
    assert bake.main(["--into", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"club: version {version} is in {tmp_path / 'club'}\n"
    assert load_baked(tmp_path / "club").source.version == str(version)

    assert bake.main(["gym", "--into", str(tmp_path)]) == 1
    assert "error: gym has no champion" in capsys.readouterr().err


def test_a_silent_registry_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    assert bake.main(["--into", str(tmp_path)]) == 1
    assert "error: MLflow does not answer" in capsys.readouterr().err
