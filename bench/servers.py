"""Servers that benchmarks start, and end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from bench.measure import BenchmarkError

START = 90.0  # seconds
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def server(
    command: Sequence[object],
    health: str,
    log: Path,
    environment: Mapping[str, str],
    core: int | None = None,
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server that answers, and the seconds that took; it and its children end with the block.

    Args:
        health: URL that it answers with 2xx once it is ready.
        log: file for what it writes.
        core: the only one it may use; by default all.

    Raises:
        BenchmarkError: it does not answer in time.
    """
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command], env={**os.environ, **QUIET, **environment},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        while not _answers(health):
            if process.poll() is not None or time.monotonic() - began > START:
                raise BenchmarkError(f"no answer at {health}:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process, time.monotonic() - began
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def tracking_server(folder: Path) -> Iterator[str]:
    """An MLflow server of its own, by its address."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", port,
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", folder / "artifacts",
    ]  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    with server(command, f"{uri}/health", folder / "server.log", {}):
        yield uri


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
