"""The API client against a recorded server: what it asks, and what its errors say."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import responses

from millrace.airflow_api import AirflowApi, AirflowApiError

URL = "http://127.0.0.1:8080"
DAGS, RUNS = f"{URL}/api/v2/dags", f"{URL}/api/v2/dags/a/dagRuns"


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(f"{URL}/auth/token", json={"access_token": "t1"}, status=201)
        yield mock


@pytest.fixture
def api() -> AirflowApi:
    return AirflowApi(URL, "admin", "secret")


def test_trigger_sends_the_parameters_and_returns_the_run(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.post(RUNS, json={})
    run_id = api.trigger("a", {"engine": "local"})
    asked = server.calls[-1].request
    assert json.loads(asked.body) == {
        "dag_run_id": run_id,
        "logical_date": None,
        "conf": {"engine": "local"},
    }
    assert asked.headers["Authorization"] == "Bearer t1"


def test_an_asset_is_announced_by_its_exact_address(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    found = [{"id": 7, "uri": "champion/homes_2"}, {"id": 8, "uri": "champion/homes"}]
    server.get(f"{URL}/api/v2/assets", json={"assets": found, "total_entries": 2})
    server.post(f"{URL}/api/v2/assets/events", json={})
    api.announce("champion/homes", "2026-01-01", {"changed": True})
    assert json.loads(server.calls[-1].request.body) == {
        "asset_id": 8, "partition_key": "2026-01-01", "extra": {"changed": True},
    }  # fmt: skip
    with pytest.raises(AirflowApiError, match="knows no asset champion/home; no DAG has it"):
        api.announce("champion/home", "2026-01-01", {})


LOCKED = {"detail": {"reason": "Database error", "orig_error": "hidden"}}


def test_what_the_database_refuses_is_asked_again_for_the_same_run(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.post(RUNS, status=500, json=LOCKED)
    server.post(RUNS, status=500, json=LOCKED)
    server.post(RUNS, json={})
    run_id = api.trigger("a")
    asked = [json.loads(call.request.body)["dag_run_id"] for call in server.calls[1:]]
    assert asked == [run_id] * 3


def test_a_run_that_was_started_after_all_is_no_conflict(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.post(RUNS, status=500, json=LOCKED)
    server.post(RUNS, status=409, json={"detail": "exists"})
    assert api.trigger("a").startswith("manual__")


def test_other_trouble_of_the_server_is_told_at_once(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.post(RUNS, status=500, json={"detail": "it broke"})
    with pytest.raises(AirflowApiError, match=r"answered 500: .*it broke"):
        api.trigger("a")
    assert len(server.calls) == 2  # the log-in, and one request


def test_an_expired_token_is_replaced(server: responses.RequestsMock, api: AirflowApi) -> None:
    server.get(f"{RUNS}/r", status=401)
    server.get(f"{RUNS}/r", json={"state": "running"})
    assert api.run("a", "r")["state"] == "running"


def test_an_error_names_what_was_asked_and_what_came_back(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.post(RUNS, status=404, json={"detail": "no such DAG"})
    with pytest.raises(
        AirflowApiError, match=r"POST .*/dags/a/dagRuns answered 404: .*no such DAG"
    ):
        api.trigger("a")


def test_a_dead_server_is_named(api: AirflowApi) -> None:
    with (
        responses.RequestsMock(),
        pytest.raises(AirflowApiError, match=r"POST .*/auth/token got no answer"),
    ):
        api.run("a", "r")


def test_run_ids_are_quoted_in_the_path(server: responses.RequestsMock, api: AirflowApi) -> None:
    server.get(f"{RUNS}/manual__2026-01-01T00%3A00%3A00%2B00%3A00%2F1", json={"state": "success"})
    assert api.run("a", "manual__2026-01-01T00:00:00+00:00/1")["state"] == "success"


def test_all_pages_are_read(server: responses.RequestsMock, api: AirflowApi) -> None:
    tasks = [{"task_id": f"t{n}"} for n in range(150)]
    for offset in (0, 100):
        server.get(
            f"{RUNS}/r/taskInstances",
            json={"task_instances": tasks[offset : offset + 100], "total_entries": 150},
            match=[responses.matchers.query_param_matcher({"offset": offset, "limit": 100})],
        )
    assert api.task_instances("a", "r") == tasks


def test_waiting_for_dags_raises_with_the_import_errors(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    server.get(DAGS, json={"dags": [], "total_entries": 0})
    error = {"filename": "tabular.py", "stack_trace": "SyntaxError: line 3"}
    server.get(f"{URL}/api/v2/importErrors", json={"import_errors": [error], "total_entries": 1})
    with pytest.raises(
        AirflowApiError, match=r"(?s)does not know a, b\..*tabular\.py.*SyntaxError: line 3"
    ):
        api.wait_for_dags(["b", "a"], timeout=5)


def test_wait_reports_each_change_once(server: responses.RequestsMock, api: AirflowApi) -> None:
    for state in ("running", "running", "success"):
        server.get(f"{RUNS}/r", json={"state": state})
        task = {"task_id": "t", "map_index": -1, "try_number": 1, "state": state}
        server.get(f"{RUNS}/r/taskInstances", json={"task_instances": [task], "total_entries": 1})
    seen: list[str] = []
    assert api.wait("a", "r", 10, lambda t: seen.append(t["state"]))["state"] == "success"
    assert seen == ["running", "success"]


def test_wait_says_how_far_the_run_came(server: responses.RequestsMock, api: AirflowApi) -> None:
    server.get(f"{RUNS}/r", json={"state": "running"})
    states = {"plan": "success", "approve": "awaiting_input", "update": None}
    tasks = [{"task_id": name, "state": state, "try_number": 2} for name, state in states.items()]
    server.get(f"{RUNS}/r/taskInstances", json={"task_instances": tasks, "total_entries": 3})
    with pytest.raises(
        AirflowApiError, match=r"running after 0 s; approve is awaiting_input in try 2"
    ):
        api.wait("a", "r", 0)
    server.get(f"{RUNS}/q", json={"state": "queued"})
    server.get(f"{RUNS}/q/taskInstances", json={"task_instances": [], "total_entries": 0})
    with pytest.raises(AirflowApiError, match=r"queued after 0 s; none of its tasks is under way"):
        api.wait("a", "q", 0)


def test_a_log_is_plain_text_with_the_error(
    server: responses.RequestsMock, api: AirflowApi
) -> None:
    error = [{"exc_type": "ValueError", "exc_value": "no rows"}]
    events = [
        {"event": "::group::Log message source details"},
        {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": "training"},
        {"level": "error", "event": "Task failed", "error_detail": error},
        {"level": "info", "event": "Skipping task.", "reason": "it is there"},
    ]
    server.get(
        f"{RUNS}/r/taskInstances/t/logs/1", json={"content": events, "continuation_token": None}
    )
    text = api.log("a", "r", "t", 1)
    assert "2026-01-01T00:00:00Z info training" in text
    assert "error Task failed ValueError: no rows" in text
    assert "info Skipping task. it is there" in text
