"""The TCP ports of the local stack: which are wanted, which are free, and who holds a taken one."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

import psutil

from millrace.errors import MillraceError

VARIABLES = {
    "airflow": "MILLRACE_AIRFLOW_PORT",
    "mlflow": "MILLRACE_MLFLOW_PORT",
    "logs": "MILLRACE_LOG_PORT",
    "service": "MILLRACE_SERVICE_PORT",
}
TRIES = 200


class PortError(MillraceError):
    """A port cannot be used; the message names the port, who holds it and what to set."""


@dataclass(frozen=True)
class Ports:
    """The ports of one stack: of Airflow's API and UI, of MLflow, of task logs, of the service."""

    airflow: int = 8080
    mlflow: int = 5000
    logs: int = 8793
    service: int = 8000

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> tuple[Ports, set[str]]:
        """The wanted ports, and the names of those the user set.

        Raises:
            PortError: a variable does not hold a port number.
        """
        chosen = {n: _number(v, environment[v]) for n, v in VARIABLES.items() if environment.get(v)}
        return cls(**chosen), set(chosen)


class Claims:
    """Ports that a stack has chosen and does not listen on yet: another that starts goes past them.

    A claim is a lock on a file, so it ends with its process.
    """

    def __init__(self) -> None:
        self._held: dict[int, IO[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for file in self._held.values():
            file.close()

    def take(self, port: int) -> bool:
        """Claim a port; False where another stack of this user has."""
        if port not in self._held:
            path = Path(tempfile.gettempdir()) / f"millrace-{os.getuid()}-port-{port}"
            file = path.open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            self._held[port] = file
        return True


def loopback() -> str:
    """This machine's name for itself in Airflow, so that task logs are asked for at 127.0.0.1."""
    return "127.0.0.1"


def available(
    wanted: Ports, explicit: set[str], host: str, progress: Callable[[str], object], claims: Claims
) -> Ports:
    """The ports to use: the wanted ones, or the next free one in place of a taken default.

    Args:
        claims: keep these until the stack listens.

    Raises:
        PortError: a port the user asked for is taken, or no free port was found.
    """
    chosen: dict[str, int] = {}
    for name, port in asdict(wanted).items():
        free = is_free(port, host)
        if port not in chosen.values() and free and claims.take(port):
            chosen[name] = port
            continue
        holder = "another stack that is starting" if free else owner(port)
        if port in chosen.values():
            holder = "another part of this stack"
        if name in explicit:
            raise PortError(
                f"Port {port} ({VARIABLES[name]}) is taken by {holder}. "
                f"Stop that process, or set {VARIABLES[name]} to a free port, "
                f"such as {_next_free(port, host, chosen, claims)}."
            )
        chosen[name] = _next_free(port, host, chosen, claims)
        progress(f"port {port} is taken by {holder}: {name} uses {chosen[name]} instead")
    return Ports(**chosen)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        pid = next(c.pid for c in listening if c.laddr.port == port and c.pid)
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())[:80].strip() or process.name()
    except (psutil.Error, StopIteration):
        return "another process (whose name this user may not read)"
    return f"process {pid} ({command})"


def _next_free(port: int, host: str, chosen: Mapping[str, int], claims: Claims) -> int:
    for candidate in range(port + 1, min(port + TRIES, 65536)):
        if candidate in chosen.values() or not is_free(candidate, host):
            continue
        if claims.take(candidate):
            return candidate
    raise PortError(
        f"No free port between {port} and {port + TRIES}; stop a process that holds one."
    )


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise PortError(f"{variable} is {text!r}; write a port number between 1 and 65535")
