"""MLflow down, hanging, or dying midway: nothing waits long, and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from millrace.datasets import load_spec
from millrace.errors import MillraceError
from millrace.lake import LakeError, LocalStore, Store, open_store
from millrace.steps.log_to_mlflow import log_spooled, log_to_mlflow
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import registry, runs, spool
from millrace.tracking.server import (
    TrackingUnavailable,
    connect,
    is_no_answer,
    within_budget,
)
from tests.tracking import made_up
from tests.tracking.conftest import BOTH, CANDIDATES, GOOD, STUMP
from tests.tracking.mlflow_server import MlflowServer, free_port

pytestmark = pytest.mark.integration

RunOf = Callable[..., Run]
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


@contextmanager
def stub(*, answers_health: bool) -> Iterator[str]:
    """A server that accepts connections and never answers, except perhaps its health check."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                kept.append(connection)
                if answers_health and connection.recv(4096).startswith(b"GET /health"):
                    connection.sendall(HEALTHY)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for connection in kept:
        connection.close()


def run_against(uri: str, home: Path, partition: str = GOOD, **changes: Any) -> Run:
    settings = made_up.settings(home, uri, MILLRACE_MLFLOW_BUDGET="2")
    spec = load_spec(home / "datasets" / "club.yaml")
    store = open_store(settings.lake)
    run = Run(spec, partition, store, settings, CANDIDATES[partition])
    return dataclasses.replace(run, **changes)


def waiting(store: Store) -> list[spool.Pending]:
    return list(spool.entries(store))


@pytest.mark.parametrize("kind", ["refused", "silent", "healthy only"])
def test_a_dead_server_is_given_up_within_the_budget_and_the_result_waits(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    with stub(answers_health=kind == "healthy only") as uri:
        uri = f"http://127.0.0.1:{free_port()}" if kind == "refused" else uri
        run = run_against(uri, home, promote="yes", backfill=True)
        started = time.monotonic()
        assert log_to_mlflow(run) == {"spooled": True}
        assert time.monotonic() - started < 20  # and not as long as one request may take
        [entry] = waiting(run.store)
    assert (entry.dataset, entry.partition) == ("club", GOOD)
    assert (entry.promote, entry.backfill) == ("yes", True)
    assert uri in entry.reason


def test_a_promotion_waits_too(home: Path) -> None:
    run = run_against(f"http://127.0.0.1:{free_port()}", home)
    result = promote(run)
    assert result["champion"] is False
    assert "waits in the spool" in result["reasons"]
    assert [entry.partition for entry in waiting(run.store)] == [GOOD]


def test_a_server_that_times_out_each_call_is_unavailable_though_it_says_it_is_well(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with stub(answers_health=True) as uri:
        run = run_against(uri, home)
        patient = dataclasses.replace(run.settings, mlflow_budget=20.0)
        started = time.monotonic()
        assert log_to_mlflow(dataclasses.replace(run, settings=patient)) == {"spooled": True}
        assert time.monotonic() - started < 10


def test_what_waits_is_logged_and_promoted_once(client: Any, run_of: RunOf, home: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for partition in (STUMP, GOOD):
        lost = run_against(dead, home, partition)
        log_to_mlflow(lost)
        promote(lost)
    run = run_of(GOOD)
    assert [entry.partition for entry in waiting(run.store)] == [GOOD, STUMP]

    assert log_spooled(run.store, run.settings) == [
        {"dataset": "club", "partition": GOOD, "backfill": False, "champion": True},
        {"dataset": "club", "partition": STUMP, "backfill": False, "champion": False},
    ]

    assert waiting(run.store) == []
    assert run.store.list("spool") == []
    experiment = client.get_experiment_by_name("club").experiment_id
    assert len(client.search_runs([experiment])) == 4
    champion = registry.champion(client, "club")
    assert champion is not None
    assert champion.tags["millrace.partition"] == GOOD
    assert log_spooled(run.store, run.settings) == []
    assert len(client.search_runs([experiment])) == 4


def test_a_broken_entry_stays_and_holds_up_no_other(
    client: Any, run_of: RunOf, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(GOOD)
    good = spool.Pending.of(run, "made up")
    spec_gone = dataclasses.replace(good, dataset="a_gone")
    outputs_gone = dataclasses.replace(good, partition="2026-01-01")
    for entry in (spec_gone, outputs_gone, good):
        spool.add(run.store, entry)
    run.store.replace("spool/mlflow/broken/2026-01-01.json", b"{", None)

    with caplog.at_level(logging.ERROR):
        assert len(log_spooled(run.store, run.settings)) == 1

    assert waiting(run.store) == [spec_gone, outputs_gone]
    for part in ("a_gone", "club/2026-01-01", "broken"):
        assert any(part in record.getMessage() for record in caplog.records)
    assert registry.champion(client, "club") is not None


def test_a_server_that_dies_between_logging_and_promotion_and_midway(home: Path) -> None:
    with MlflowServer(home / "mlflow") as server:
        first = run_against(server.uri, home, STUMP)
        patient = dataclasses.replace(first.settings, mlflow_budget=15.0)
        first = dataclasses.replace(first, settings=patient)
        other = dataclasses.replace(first, partition=BOTH, candidates=CANDIDATES[BOTH])
        assert log_to_mlflow(first)["spooled"] is False
        client = connect(patient)
        experiment = client.get_experiment_by_name("club").experiment_id
        log_model, logged = runs._log_model, []

        def dies_at_the_second(run_id: str, candidate: str, evaluation: Any) -> str:
            if logged:
                server.kill()
            logged.append(candidate)
            return log_model(run_id, candidate, evaluation)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs, "_log_model", dies_at_the_second)
            assert log_to_mlflow(other) == {"spooled": True}
        assert len(logged) == 2
        assert promote(first)["champion"] is False
        assert [entry.partition for entry in waiting(first.store)] == [STUMP, BOTH]

        server.start()
        assert len(client.search_runs([experiment])) == 5, "one whole and one half"
        assert len(log_spooled(first.store, patient)) == 2
        assert waiting(first.store) == []
        assert len(client.search_runs([experiment])) == 5, "two whole"
        champion = registry.champion(client, "club")
        assert champion is not None
        assert champion.tags["millrace.partition"] == BOTH
        assert champion.tags[registry.REPLACES] == "1"


def test_an_error_of_the_lake_is_no_sign_of_a_dead_server(home: Path) -> None:
    run = run_against(f"http://127.0.0.1:{free_port()}", home)
    run.store.delete(f"reports/club/{GOOD}/evaluation")
    with pytest.raises(LakeError, match="run the step evaluate first"):
        log_to_mlflow(run)
    assert waiting(run.store) == []


def test_errors_of_the_work_come_through(home: Path) -> None:
    settings = made_up.settings(home, "http://127.0.0.1:9")

    def fails() -> None:
        raise MillraceError("mend this")

    with pytest.raises(MillraceError, match="mend this"):
        within_budget(settings, fails)
    hasty = dataclasses.replace(settings, mlflow_budget=0.1)
    with pytest.raises(TrackingUnavailable, match=r"more than 0\.1 s \(MILLRACE_MLFLOW_BUDGET\)"):
        within_budget(hasty, lambda: time.sleep(1))
    with pytest.raises(TrackingUnavailable):
        within_budget(settings, lambda: time.sleep(1), spent=settings.mlflow_budget - 0.1)


@pytest.mark.parametrize(
    ("status", "unavailable"), [(404, False), (413, False), (500, True), (503, True)]
)
def test_only_failures_of_the_server_count_as_no_answer(status: int, unavailable: bool) -> None:
    response = requests.Response()
    response.status_code = status
    assert is_no_answer(requests.HTTPError(response=response)) is unavailable
    assert not is_no_answer(ValueError("x"))
    try:
        try:
            raise requests.ConnectionError("refused")
        except requests.ConnectionError as cause:
            raise RuntimeError("as MLflow wraps it") from cause
    except RuntimeError as error:
        assert is_no_answer(error)


def test_entries_are_kept_by_several_tasks_at_once(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    entry = spool.Pending("club", GOOD, "local", "auto", False, "r0")
    threads = [
        threading.Thread(
            target=spool.add, args=(store, dataclasses.replace(entry, reason=f"r{number}"))
        )
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [kept] = waiting(store)
    assert dataclasses.replace(kept, reason="r0") == entry


def test_an_entry_that_was_replaced_meanwhile_is_not_taken_out(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    entry = spool.Pending("club", GOOD, "local", "auto", False, "first")
    later = dataclasses.replace(entry, promote="yes", reason="second")
    spool.add(store, entry)
    [taken] = waiting(store)
    spool.add(store, later)
    spool.remove(store, taken)
    assert waiting(store) == [later]
    spool.remove(store, later)
    assert waiting(store) == []
    assert json.loads(later.text())["promote"] == "yes"
