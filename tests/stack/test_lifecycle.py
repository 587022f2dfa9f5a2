"""The stack for real: up, a run through the scheduler, components killed, down without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.integration.waiting import standing

from millrace.airflow_api import AirflowApi
from millrace.settings import PROJECT, Settings
from millrace.stack import Stack, StackError
from millrace.stack.component import processes
from millrace.stack.health import COMPONENTS
from millrace.stack.ports import is_free

pytestmark = pytest.mark.integration

DAG = """
import os, time
from airflow.sdk import dag, task

@dag(params={"seconds": 0})
def stack_probe():
    @task
    def report(params):
        print("tracking at", os.environ["MLFLOW_TRACKING_URI"], flush=True)
        for second in range(params["seconds"]):
            print("second", second, flush=True)
            time.sleep(1)
        return {"home": os.environ["MILLRACE_HOME"]}
    report()

stack_probe()
"""


def settings(home: Path) -> Settings:
    return Settings.from_environment({"MILLRACE_HOME": str(home)})


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("dags")
    (folder / "probe.py").write_text(DAG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_DAGS", str(folder))
        for variable in ("MILLRACE_AIRFLOW_PORT", "MILLRACE_MLFLOW_PORT", "MILLRACE_LOG_PORT"):
            patch.delenv(variable, raising=False)
        yield folder


@pytest.fixture(scope="module")
def stack(dags: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(settings(tmp_path_factory.mktemp("first"))) as running:
        yield running


@pytest.fixture(scope="module")
def api(stack: Stack) -> AirflowApi:
    client = stack.api
    client.wait_for_dags(["stack_probe"], timeout=120)
    client.unpause("stack_probe")
    return client


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.1)


def test_a_run_goes_through_the_scheduler(stack: Stack, api: AirflowApi) -> None:
    run = api.trigger("stack_probe")
    states: list[str] = []
    assert (
        api.wait("stack_probe", run, 120, lambda t: states.append(t["state"]))["state"] == "success"
    )
    assert states[-1] == "success"
    assert api.xcom("stack_probe", run, "report") == {"home": str(stack.home)}
    log = api.log("stack_probe", run, "report", 1)
    assert f"tracking at {stack.mlflow_url}" in log
    assert "deprecated" not in log


def test_the_log_of_a_running_task_can_be_read(api: AirflowApi) -> None:
    run = api.trigger("stack_probe", {"seconds": 6})
    until(lambda: api.task_instances("stack_probe", run)[0]["state"] == "running")
    until(lambda: "tracking at" in (log := api.log("stack_probe", run, "report", 1)) and log)
    assert "Could not read served logs" not in api.log("stack_probe", run, "report", 1)
    assert api.wait("stack_probe", run, 120)["state"] == "success"


def test_runs_that_are_started_side_by_side_all_start_once(stack: Stack, api: AirflowApi) -> None:
    before = {run["dag_run_id"] for run in api.runs("stack_probe")}
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: stack.api.trigger("stack_probe"), range(12)))
    found = {run["dag_run_id"] for run in api.runs("stack_probe")} - before
    assert len(set(started)) == 12
    assert found == set(started)
    for run in started:
        assert api.wait("stack_probe", run, 120)["state"] == "success"


def test_a_second_up_says_so_and_starts_nothing(stack: Stack) -> None:
    before = stack.pids()
    said: list[str] = []
    Stack(stack.settings).up(said.append)
    assert said == ["already up"]
    assert stack.pids() == before


def test_everything_listens_on_this_machine_only(stack: Stack) -> None:
    pids = {process.pid for process in processes(str(stack.home))}
    listening = [c for c in psutil.net_connections("tcp") if c.pid in pids and c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert {c.laddr.port for c in listening} == {
        stack.ports.airflow,
        stack.ports.mlflow,
        stack.ports.logs,
        stack.ports.service,
    }


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_killed_component_comes_back(stack: Stack, name: str) -> None:
    killed = stack.pids()[name]
    os.kill(killed, signal.SIGKILL)
    until(lambda: stack.pids().get(name) not in (None, killed))
    until(lambda: psutil.Process(stack.pids()[name]).children() or name != "mlflow")
    until(stack.is_up)


def test_a_task_outlives_its_scheduler(stack: Stack, api: AirflowApi) -> None:
    run = api.trigger("stack_probe", {"seconds": 8})
    until(
        lambda: (
            "tracking at" in api.log("stack_probe", run, "report", 1) if _runs(api, run) else False
        )
    )
    os.kill(stack.pids()["scheduler"], signal.SIGKILL)
    ended = api.wait("stack_probe", run, 120)
    assert ended["state"] == "success", standing(stack)
    assert api.task_instances("stack_probe", run)[0]["try_number"] == 1
    assert "second 7" in api.log("stack_probe", run, "report", 1)
    until(stack.is_up)


def _runs(api: AirflowApi, run: str) -> bool:
    return bool(api.task_instances("stack_probe", run)[0]["state"] == "running")


def test_another_home_runs_beside_it_and_leaves_it_up(stack: Stack, tmp_path: Path) -> None:
    other = Stack(settings(tmp_path))
    try:
        other.up()
        assert other.is_up()
        assert other.ports.airflow != stack.ports.airflow
        assert other.password != stack.password
        taken = [*vars(other.ports).values()]
    finally:
        other.down()
    assert list(processes(str(tmp_path))) == []
    assert all(is_free(port) for port in taken)
    assert stack.is_up()
    other.down()  # a second time is harmless


def test_down_ends_running_tasks_too(stack: Stack, api: AirflowApi) -> None:
    run = api.trigger("stack_probe", {"seconds": 600})
    until(lambda: _runs(api, run))
    stack.down()
    assert not stack.is_up()
    assert list(processes(str(stack.home))) == []


def test_what_does_not_come_up_is_named_with_its_log(
    dags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL", "often")
    found = r"(?s)scheduler keeps dying.*scheduler\.log.*orphaned_tasks_check_interval"
    with pytest.raises(StackError, match=found), Stack(settings(tmp_path)):
        pass  # down again, should it be up against expectation
    assert list(processes(str(tmp_path))) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_up_leaves_nothing_after_down(
    dags: Path, tmp_path: Path, number: signal.Signals
) -> None:
    environment = {
        **os.environ,
        "MILLRACE_HOME": str(tmp_path),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    command = [sys.executable, "-m", "millrace.stack"]
    # A shell without job control starts what it puts into the background deaf to SIGINT.
    hearing = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    up = subprocess.Popen([*command, "up"], env=environment, preexec_fn=hearing)
    until(lambda: Stack(settings(tmp_path)).pids())
    up.send_signal(number)
    assert up.wait(60) != 0
    if number == signal.SIGKILL:
        assert list(processes(str(tmp_path)))
        shutil.rmtree(tmp_path)  # and somebody thinks that removing the folder is enough
        subprocess.run([*command, "down"], env=environment, check=True, timeout=60)
    assert list(processes(str(tmp_path))) == []
