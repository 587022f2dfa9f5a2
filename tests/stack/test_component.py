"""A component that was killed leaves children behind; its successor ends the idle ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from millrace.settings import PROJECT
from millrace.stack.component import LOG_LIMIT, MARK, NAME, processes

# A leader with an idle child and a child that has a child of its own, as a worker with a task.
LEADER = """
import subprocess, sys
subprocess.Popen(["sleep", "61"])
task = "import subprocess; subprocess.run(['sleep', '62'], process_group=0)"
subprocess.Popen([sys.executable, "-c", task])
subprocess.Popen(["sleep", "63"]).wait()
"""


def environment(home: Path, name: str) -> dict[str, str]:
    plugins = str(PROJECT / "plugins")
    return {**os.environ, "PYTHONPATH": plugins, MARK: str(home), NAME: name}


def running(home: Path) -> dict[str, psutil.Process]:
    return {" ".join(p.cmdline()): p for p in processes(str(home))}


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        [sys.executable, "-c", LEADER],
        env=environment(tmp_path, "scheduler"),
        start_new_session=True,
    )
    deadline = time.monotonic() + 10
    while not {"sleep 61", "sleep 62", "sleep 63"} <= running(tmp_path).keys():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield started
    for process in processes(str(tmp_path)):
        process.kill()
    started.wait()


def succeed(home: Path, name: str, *options: str) -> str:
    command = [sys.executable, "-m", "millrace.stack.component", *options, "echo", "started"]
    return subprocess.run(
        command, env=environment(home, name), text=True, capture_output=True, check=True, timeout=20
    ).stdout


def test_idle_leftovers_are_ended_and_a_worker_with_a_task_is_not(
    leader: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    leader.send_signal(signal.SIGKILL)
    leader.wait()
    assert "left behind by the previous scheduler\nstarted" in succeed(tmp_path, "scheduler")
    deadline = time.monotonic() + 10  # what is killed may take a moment to go
    while {"sleep 61", "sleep 63"} & (left := running(tmp_path)).keys():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "sleep 62" in left
    assert left["sleep 62"].parent().ppid() == 1


def test_nothing_is_ended_while_the_leader_lives(
    leader: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert succeed(tmp_path, "scheduler") == "started\n"
    assert len(running(tmp_path)) == 5


def test_another_component_and_another_home_are_left_alone(
    leader: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    leader.send_signal(signal.SIGKILL)
    leader.wait()
    assert succeed(tmp_path, "triggerer") == "started\n"
    assert succeed(tmp_path / "other", "scheduler") == "started\n"
    assert {"sleep 61", "sleep 63"} <= running(tmp_path).keys()


def test_a_log_of_its_own_goes_on_where_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    for expected in ("started\n", "started\nstarted\n"):
        assert succeed(tmp_path, "scheduler", "--log", str(log)) == ""
        assert log.read_text() == expected
    assert list(tmp_path.iterdir()) == [log]


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    succeed(tmp_path, "scheduler", "--log", str(log))
    assert log.read_text() == "started\n"
    assert (tmp_path / "scheduler.log.1").stat().st_size == LOG_LIMIT + 1
