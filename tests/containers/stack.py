"""docker-compose.yaml, run by Debian's docker-compose over podman's socket."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3

from millrace.airflow_api import AirflowApi
from millrace.settings import PROJECT
from tests.containers.podman import Podman
from tests.tracking.mlflow_server import free_port

STANDINS = Path(__file__).parent / "standins"
FILE = PROJECT / "docker-compose.yaml"
PORTS = ("AIRFLOW", "MLFLOW", "SERVICE", "STORE")
NEEDED = re.findall(r"\$\{(\w+):\?", FILE.read_text())


class Compose:
    """One project of docker-compose.

    Args:
        podman: whose socket is asked.
        folder: for the socket and the secrets.
    """

    def __init__(self, podman: Podman, folder: Path) -> None:
        self.podman = podman
        self.socket = folder / "podman.sock"
        self.variables = {
            **{f"MILLRACE_{name}_PORT": str(free_port()) for name in PORTS},
            **_secrets(folder),
            "DOCKER_HOST": f"unix://{self.socket}",
        }

    def __call__(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command of docker-compose."""
        files = ("--file", FILE, "--file", STANDINS / "podman.yaml")
        variables = {**self.variables, **changes}
        return self.podman.run(
            "docker-compose", *files, "--project-name", "millrace-test", *arguments, **variables
        )

    def url(self, name: str) -> str:
        """Address of a port on this machine, such as AIRFLOW's."""
        return f"http://127.0.0.1:{self.variables[f'MILLRACE_{name}_PORT']}"

    def airflow(self) -> AirflowApi:
        """Airflow's API as its administrator has it."""
        return AirflowApi(self.url("AIRFLOW"), "admin", self.variables["MILLRACE_ADMIN_PASSWORD"])

    def lake(self) -> Any:
        """A client of the lake's S3, as anybody has one."""
        return boto3.client(
            "s3", endpoint_url=self.url("STORE"), region_name="us-east-1",
            aws_access_key_id=self.variables["MILLRACE_STORE_KEY"],
            aws_secret_access_key=self.variables["MILLRACE_STORE_SECRET"],
        )  # fmt: skip

    def container(self, service: str) -> str:
        """Name of the container of a service."""
        return f"millrace-test_{service}_1"

    def health(self) -> dict[str, str]:
        """The health of every container that has a check, by service."""
        listed = self.podman("ps", "--all", "--format", "{{.Names}}={{.Status}}").splitlines()
        found = {line.split("_")[1]: line for line in listed if "millrace-test_" in line}
        return {name: line.split("(")[1].rstrip(")") for name, line in found.items() if "(" in line
                and "Exited" not in line}  # fmt: skip

    @contextmanager
    def up(self) -> Iterator[None]:
        """Everything runs; afterwards nothing is left."""
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", f"unix://{self.socket}"],
            env=self.podman.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stop = threading.Event()
        checks = threading.Thread(target=self._check, args=(stop,))
        checks.start()
        try:
            while not self.socket.exists():
                time.sleep(0.1)
            done = self("up", "--detach")
            assert done.returncode == 0, done.stderr[-2000:] + self.logs()
            yield
        finally:
            stop.set()
            checks.join()
            self("down", "--volumes", "--timeout", "10")
            service.terminate()
            service.wait()

    def logs(self) -> str:
        """The last lines of every container, for the message of a failure."""
        return self("logs", "--tail", "15", "--no-color").stdout[-8000:]

    def _check(self, stop: threading.Event) -> None:
        """What a timer of systemd does elsewhere: podman starts no health check by itself.

        Until a container is well it is asked twice an interval; those of Airflow are dear.
        """
        due: dict[str, float] = {}
        while not stop.wait(0.5):
            for each in self._not_well():
                with suppress(AssertionError):  # it has ended meanwhile
                    pause = self._interval(each) / 2
                    if time.monotonic() >= due.setdefault(each, time.monotonic() + pause):
                        self.podman("healthcheck", "run", each, check=False)
                        due[each] = time.monotonic() + pause

    def _not_well(self) -> list[str]:
        """Containers that run and have not been well yet, or are no longer."""
        states = [f"--filter=health={state}" for state in ("starting", "unhealthy")]
        return self.podman("ps", "--quiet", "--filter=status=running", *states, check=False).split()

    def _interval(self, container: str) -> float:
        """Seconds between two health checks of a container."""
        told = self.podman(
            "inspect", "--format", "{{json .Config.Healthcheck.Interval}}", container
        )
        return float(told) / 1e9


def _secrets(folder: Path) -> dict[str, str]:
    """What `make secrets` writes."""
    script = folder / "scripts" / "secrets.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes((PROJECT / "scripts" / "secrets.sh").read_bytes())
    subprocess.run(["bash", script], check=True, capture_output=True)
    lines = (folder / ".env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def stand_in_images() -> list[str]:
    """The images of docker-compose.yaml that are others' work."""
    named = re.findall(r"^    image: (\S+)$", FILE.read_text(), re.M)
    return [name for name in named if not name.startswith("millrace-")]
