"""The TCP ports of the local stack: which are wanted, which are free, and who holds a taken one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import psutil

from millrace.errors import MillraceError

VARIABLES = {
    "airflow": "MILLRACE_AIRFLOW_PORT",
    "mlflow": "MILLRACE_MLFLOW_PORT",
    "logs": "MILLRACE_LOG_PORT",
}
TRIES = 200


class PortError(MillraceError):
    """A port cannot be used; the message names the port, who holds it and what to set."""


@dataclass(frozen=True)
class Ports:
    """The ports of one stack: Airflow's API and UI, MLflow's, and the task log server's."""

    airflow: int = 8080
    mlflow: int = 5000
    logs: int = 8793

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


def loopback() -> str:
    """This machine's name for itself in Airflow, so that task logs are asked for at 127.0.0.1."""
    return "127.0.0.1"


def available(
    wanted: Ports, explicit: set[str], host: str, progress: Callable[[str], object]
) -> Ports:
    """The ports to use: the wanted ones, or the next free one in place of a taken default.

    Raises:
        PortError: a port the user asked for is taken, or no free port was found.
    """
    chosen: dict[str, int] = {}
    for name, port in asdict(wanted).items():
        if is_free(port, host) and port not in chosen.values():
            chosen[name] = port
            continue
        holder = owner(port) if port not in chosen.values() else "another part of this stack"
        if name in explicit:
            raise PortError(
                f"Port {port} ({VARIABLES[name]}) is taken by {holder}. "
                f"Stop that process, or set {VARIABLES[name]} to a free port, "
                f"such as {_next_free(port, host, chosen)}."
            )
        chosen[name] = _next_free(port, host, chosen)
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


def _next_free(port: int, host: str, chosen: Mapping[str, int]) -> int:
    for candidate in range(port + 1, min(port + TRIES, 65536)):
        if candidate not in chosen.values() and is_free(candidate, host):
            return candidate
    raise PortError(
        f"No free port between {port} and {port + TRIES}; stop a process that holds one."
    )


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise PortError(f"{variable} is {text!r}; write a port number between 1 and 65535")
