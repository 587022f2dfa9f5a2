"""A small client of Airflow's REST API (v2): start runs, follow them, read their logs."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import requests

from millrace.errors import MillraceError

FINISHED = frozenset({"success", "failed"})
TIMEOUT = 30  # seconds that one call may take
ATTEMPTS = 12  # at one call that Airflow's database refused


class AirflowApiError(MillraceError):
    """Airflow did not do what was asked; the message says what was asked and what came back."""


class AirflowApi:
    """Airflow's API at `url`, used as one user.

    Args:
        url: such as `http://127.0.0.1:8080`.
        username: user of the simple auth manager.
        password: its password.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._credentials = {"username": username, "password": password}
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of the user's must not stand before 127.0.0.1

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._call("PATCH", _path(dag_id), json={"is_paused": False})

    def is_paused(self, dag_id: str) -> bool:
        """Whether a DAG starts no run by itself, and hears no event."""
        return bool(self._object("GET", _path(dag_id))["is_paused"])

    def announce(self, uri: str, partition: str, extra: Mapping[str, Any]) -> None:
        """Tell of a change in an asset's partition, as a task with this outlet does.

        Raises:
            AirflowApiError: no DAG has the asset.
        """
        found = self._all("/assets", "assets", uri_pattern=uri)
        known = {asset["uri"]: asset["id"] for asset in found}
        if uri not in known:
            raise AirflowApiError(f"Airflow at {self.url} knows no asset {uri}; no DAG has it")
        body = {"asset_id": known[uri], "partition_key": partition, "extra": dict(extra)}
        self._call("POST", "/assets/events", json=body)

    def trigger(
        self, dag_id: str, conf: dict[str, Any] | None = None, partition_key: str | None = None
    ) -> str:
        """Start a run, with `conf` as its parameters, and return its id."""
        # An id of our own: asked a second time, Airflow starts no second run.
        run_id = f"manual__{dt.datetime.now(dt.UTC).isoformat()}_{uuid.uuid4().hex[:8]}"
        body: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        if partition_key:
            body["partition_key"] = partition_key
        self._call("POST", _path(dag_id, "dagRuns"), json=body)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run as the API describes it: `state`, `start_date`, `end_date`, `conf` ..."""
        return self._object("GET", _path(dag_id, "dagRuns", run_id))

    def runs(self, dag_id: str, run_type: str | None = None) -> list[dict[str, Any]]:
        """All runs of a DAG, or those of one type: `manual`, `scheduled`, `backfill` ..."""
        found = self._all(_path(dag_id, "dagRuns"), "dag_runs")
        return [run for run in found if run_type in (None, run["run_type"])]

    def backfills(self, dag_id: str) -> list[dict[str, Any]]:
        """All backfills of a DAG; `completed_at` is None while one runs."""
        return self._all("/backfills", "backfills", dag_id=dag_id)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The tasks of a run: `task_id`, `map_index`, `state`, `try_number`, `duration` (s) ..."""
        return self._all(_path(dag_id, "dagRuns", run_id, "taskInstances"), "task_instances")

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1
    ) -> str:
        """The log of one attempt as plain text, one event a line."""
        path = _path(dag_id, "dagRuns", run_id, "taskInstances", task_id, "logs", str(try_number))
        parameters = {"map_index": map_index, "full_content": True}
        content = self._object("GET", path, params=parameters)["content"]
        return "\n".join(_log_line(event) for event in content)

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """A value that a task handed on."""
        path = _path(dag_id, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", key)
        return self._object("GET", path, params={"map_index": map_index})["value"]

    def respond(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer the question of a task that waits for a person."""
        path = _path(dag_id, "dagRuns", run_id, "taskInstances", task_id, "-1", "hitlDetails")
        self._call("PATCH", path, json={"chosen_options": [option]})

    def import_errors(self) -> dict[str, str]:
        """DAG files that Airflow cannot import, each with its traceback."""
        found = self._all("/importErrors", "import_errors")
        return {error["filename"]: error["stack_trace"] for error in found}

    def wait_for_dags(self, dag_ids: Iterable[str], timeout: float = 120) -> None:
        """Return as soon as Airflow knows all these DAGs.

        Raises:
            AirflowApiError: a DAG file cannot be imported, or the DAGs do not come within
                `timeout` seconds.
        """
        wanted, deadline = set(dag_ids), time.monotonic() + timeout
        while missing := wanted - {dag["dag_id"] for dag in self._all("/dags", "dags")}:
            errors = self.import_errors()
            if errors or time.monotonic() > deadline:
                reasons = "".join(
                    f"\n{file} cannot be imported:\n{why}" for file, why in errors.items()
                )
                reasons = (
                    reasons or f"\nNo import errors; waited {timeout:.0f} s for the DAG processor."
                )
                raise AirflowApiError(
                    f"Airflow does not know {', '.join(sorted(missing))}.{reasons}"
                )
            time.sleep(0.5)

    def wait(
        self,
        dag_id: str,
        run_id: str,
        timeout: float,
        on_change: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Follow a run until it has succeeded or failed, and return it.

        Args:
            dag_id: the DAG.
            run_id: the run.
            timeout: seconds to wait.
            on_change: called with a task instance each time its state changes.

        Raises:
            AirflowApiError: the run is not finished after `timeout` seconds.
        """
        seen: dict[tuple[str, int, int], str | None] = {}
        deadline = time.monotonic() + timeout
        while True:
            run = self.run(dag_id, run_id)
            if on_change:
                for task in self.task_instances(dag_id, run_id):
                    key = (task["task_id"], task["map_index"], task["try_number"])
                    if task["state"] != seen.get(key):
                        seen[key] = task["state"]
                        on_change(task)
            if run["state"] in FINISHED:
                return run
            if time.monotonic() > deadline:
                raise AirflowApiError(
                    f"Run {run_id} of {dag_id} is still {run['state']} after {timeout:.0f} s;"
                    f" {self._undone(dag_id, run_id)}"
                )
            time.sleep(0.5)

    def _undone(self, dag_id: str, run_id: str) -> str:
        """The tasks that have begun and not ended, each with its state and try."""
        ended = {None, *FINISHED, "skipped", "upstream_failed"}
        found = [
            f"{task['task_id']} is {task['state']} in try {task['try_number']}"
            for task in self.task_instances(dag_id, run_id)
            if task["state"] not in ended
        ]
        return ", ".join(found) or "none of its tasks is under way"

    def log_in(self) -> None:
        """Fetch a token; the other calls do it by themselves when they need one."""
        reply = self._send("POST", f"{self.url}/auth/token", json=self._credentials)
        if not reply.ok:
            raise AirflowApiError(_refusal("log-in", self.url, reply))
        self._http.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def _all(self, path: str, key: str, **filters: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        while True:
            page = self._object("GET", path, params={"limit": 100, "offset": len(items), **filters})
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def _object(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._call(method, path, **options).json()
        return found

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        if "Authorization" not in self._http.headers:
            self.log_in()
        url = f"{self.url}/api/v2{path}"
        for attempt in range(1, ATTEMPTS + 1):
            reply = self._send(method, url, **options)
            if reply.status_code == 401:  # the token has run out
                self.log_in()
                reply = self._send(method, url, **options)
            if not _database_error(reply) or attempt == ATTEMPTS:
                break
            time.sleep(attempt * random.uniform(0.1, 0.5))  # not in step with other callers
        done_before = attempt > 1 and reply.status_code == 409
        if not reply.ok and not done_before:
            raise AirflowApiError(_refusal(method, url, reply))
        return reply

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        options.setdefault("headers", {"Accept": "application/json"})
        try:
            return self._http.request(method, url, timeout=TIMEOUT, **options)
        except requests.RequestException as error:
            raise AirflowApiError(
                f"{method} {url} got no answer: {error}. Is the stack up?"
            ) from error


def _path(*parts: str) -> str:
    return "/dags/" + "/".join(quote(part, safe="") for part in parts)


def _refusal(asked: str, url: str, reply: requests.Response) -> str:
    return f"{asked} {url} answered {reply.status_code}: {reply.text[:500]}"


def _database_error(reply: requests.Response) -> bool:
    """Whether Airflow's database refused, such as SQLite to one of two writers; nothing is done."""
    return reply.status_code == 500 and '"Database error"' in reply.text


def _log_line(event: dict[str, Any] | str) -> str:
    if isinstance(event, str):
        return event
    details = event.get("error_detail") or []
    trace = [f"{d.get('exc_type')}: {d.get('exc_value')}" for d in details if isinstance(d, dict)]
    said = [event.get(name) for name in ("timestamp", "level", "event", "reason")]
    return " ".join(str(part) for part in (*said, *trace) if part)
