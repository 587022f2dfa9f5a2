"""The local stack: Airflow, MLflow and the model service on this machine, kept alive.

`supervisord` runs the components of `supervisord.conf` and starts again what dies;
this module prepares their home folder, waits until all of them are healthy, and stops them.
Everything is written under `settings.home`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from millrace.airflow_api import AirflowApi
from millrace.errors import MillraceError
from millrace.settings import Settings
from millrace.stack.component import MARK, mark, processes
from millrace.stack.database import migrate
from millrace.stack.environment import (
    USERNAME,
    mlflow_url,
    own_mlflow,
    read_secrets,
    stack_environment,
    write_airflow_files,
)
from millrace.stack.health import COMPONENTS, broken, unhealthy, unsettled
from millrace.stack.ports import Claims, Ports, available

CONFIGURATION = Path(__file__).with_name("supervisord.conf")
START_TIMEOUT = 240.0  # seconds; a first start without compiled bytecode takes about 50
STOP_TIMEOUT = 30.0  # seconds for the components to stop by themselves
GRACE = 5.0  # seconds for tasks to stop their remote jobs before they are killed

Progress = Callable[[str], object]


class StackError(MillraceError):
    """The stack cannot start; the message names the component and shows the end of its log."""


class Stack:
    """Airflow, MLflow and the model service of one home folder.

    As a context manager: up on entry, down on exit.

    Args:
        settings: whose `home` holds everything the stack writes.
        ports: the ports to use, as if the user had set them; by default those of the environment,
            or the next free ones where a default is taken.
    """

    username = USERNAME

    def __init__(self, settings: Settings, ports: Ports | None = None) -> None:
        self.settings, self.home = settings, settings.home
        wanted = (ports, set(asdict(ports))) if ports else Ports.from_environment()
        self._wanted, self._explicit = wanted
        self._state_file = self.home / "stack.json"

    @property
    def ports(self) -> Ports:
        """The ports of the stack that is up, or was last; else the wanted ones."""
        state = self._state()
        return Ports(**state["ports"]) if state else self._wanted

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's UI and API."""
        return f"http://127.0.0.1:{self.ports.airflow}"

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow server the tasks write to."""
        return mlflow_url(self.settings, self.ports)

    @property
    def service_url(self) -> str:
        """Address of the model service."""
        return f"http://127.0.0.1:{self.ports.service}"

    @property
    def password(self) -> str:
        """The generated password of `username`."""
        return read_secrets(self.home)["password"]

    @property
    def api(self) -> AirflowApi:
        """A new client of this stack's Airflow."""
        return AirflowApi(self.airflow_url, self.username, self.password)

    def environment(self) -> dict[str, str]:
        """The environment for Airflow's command line and all components."""
        return stack_environment(self.settings, self.ports)

    def __enter__(self) -> Stack:
        self.up()
        return self

    def __exit__(self, *_error: object) -> None:
        self.down()

    def up(self, progress: Progress = print) -> None:
        """Start what does not run and return once every component is healthy.

        Raises:
            PortError: a port that the user set is taken.
            MigrationError: Airflow's database cannot be prepared.
            StackError: a component did not come up. Everything is stopped again then, as it is
                when starting is interrupted.
        """
        with self._lock(progress), Claims() as claims:
            if self._supervisor():
                progress(
                    "already up" if self.is_up() else "already started, waiting until it is healthy"
                )
                self._wait_until_healthy(lambda _: None)
                return
            self._stop()  # what a killed supervisor may have left behind
            ports, begun = self._choose_ports(progress, claims), time.monotonic()
            try:
                self._start(ports, progress)
                self._wait_until_healthy(progress)
            except BaseException:
                progress("stopping what was started")
                self._stop()
                raise
            progress(f"up after {time.monotonic() - begun:.0f} s")

    def down(self) -> None:
        """Stop every process of the stack, running tasks included. Harmless when it is down."""
        if not self.home.exists():
            self._stop()  # its folder was removed while it ran
            return
        with self._lock(lambda _: None):
            self._stop()

    def is_up(self) -> bool:
        """Whether the supervisor runs and every component is healthy now."""
        return self._supervisor() is not None and not self._unhealthy()

    def pids(self) -> dict[str, int]:
        """The components that run now: name and process id."""
        spawned = dict(re.findall(r"spawned: '([\w-]+)' with pid (\d+)", self._log("supervisord")))
        home = str(self.home)
        return {name: int(pid) for name, pid in spawned.items() if _mark(int(pid)) == home}

    def _choose_ports(self, progress: Progress, claims: Claims) -> Ports:
        host = stack_environment(self.settings, self._wanted)["AIRFLOW__API__HOST"]
        return available(self._wanted, self._explicit, host, progress, claims)

    def _start(self, ports: Ports, progress: Progress) -> None:
        environment = {**stack_environment(self.settings, ports), MARK: str(self.home)}
        write_airflow_files(self.home)
        progress("preparing Airflow's database")
        migrate(self.home, environment)
        if not own_mlflow(self.settings):
            progress(f"MLflow: {self.settings.mlflow_uri} is used, none is started")
        mlflow = ", MLflow" if own_mlflow(self.settings) else ""
        progress(f"starting Airflow{mlflow} and the model service")
        (self.home / "log" / "supervisord.log").write_text("")
        with open(self.home / "log" / "supervisord.out", "w") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(CONFIGURATION)],
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # The kernel shows the environment, by which a process is known, a moment after its start.
        while supervisor.poll() is None and _mark(supervisor.pid) is None:
            time.sleep(0.02)
        draft = self._state_file.with_suffix(".draft")
        draft.write_text(json.dumps({"pid": supervisor.pid, "ports": asdict(ports)}))
        draft.replace(self._state_file)

    def _wait_until_healthy(self, progress: Progress) -> None:
        begun, waiting = time.monotonic(), set(COMPONENTS)
        while waiting:
            missing = self._unhealthy() | unsettled(self._log("supervisord"))
            seconds = time.monotonic() - begun
            for name in [c for c in COMPONENTS if c in waiting - missing]:
                progress(f"  {name} is up after {seconds:.0f} s")
            waiting = missing
            if waiting:
                self._give_up_if_hopeless(waiting, seconds)
                time.sleep(0.2)

    def _give_up_if_hopeless(self, waiting: set[str], seconds: float) -> None:
        said = self._log("supervisord")
        if not self._supervisor():
            said = (self.home / "log" / "supervisord.out").read_text() + said
            raise StackError(f"supervisord ended while the stack was starting:\n{_tail(said)}")
        hopeless = broken(said) & waiting
        if hopeless or seconds > START_TIMEOUT:
            what = "keeps dying" if hopeless else f"is not healthy after {seconds:.0f} s"
            names = sorted(hopeless or waiting)
            tails = [
                f"\n--- the end of {self.home}/log/{n}.log\n{_tail(self._log(n))}" for n in names
            ]
            raise StackError(f"{', '.join(names)} {what}{''.join(tails)}")

    def _unhealthy(self) -> set[str]:
        url = self.mlflow_url if own_mlflow(self.settings) else None
        return unhealthy(self.api, url, self.service_url, self.pids())

    def _stop(self) -> None:
        if supervisor := self._supervisor():
            supervisor.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                supervisor.wait(STOP_TIMEOUT)
        for send in (psutil.Process.terminate, psutil.Process.kill):
            left = list(processes(str(self.home)))
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    send(process)
            psutil.wait_procs(left, timeout=GRACE)

    def _supervisor(self) -> psutil.Process | None:
        state = self._state()
        ours = state and _mark(state["pid"]) == str(self.home)
        return psutil.Process(state["pid"]) if state and ours else None

    def _state(self) -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return None
        return state

    def _log(self, name: str) -> str:
        path = self.home / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @contextlib.contextmanager
    def _lock(self, progress: Progress) -> Iterator[None]:
        """One `up` or `down` of a home at a time."""
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "stack.lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("waiting for another command that starts or stops this stack")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def terminate_as_exit() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that `finally` and `with` still clean up."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _mark(pid: int) -> str | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return mark(psutil.Process(pid))
    return None


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.splitlines()[-lines:])
