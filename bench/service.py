"""Answers of the model service: against `mlflow models serve`, and a usual FastAPI handler.

All three serve the same registered model, each on one core, and are asked from the other one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from bench.measure import PROJECT, SCRIPTS, BenchmarkError, Comparison, load, run_script
from bench.servers import free_port, server, tracking_server

STEPS = "validate_raw preprocess train transform evaluate log_to_mlflow promote".split()
PARTITION = "2026-01-01"
SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = (1, 4, 16)


@dataclass(frozen=True)
class Answers:
    """How a server answered over some connections.

    Attributes:
        rate: requests/s.
        median, slow: milliseconds, the 50th and the 99th percentile.
        cpu: CPU milliseconds of the server a request.
    """

    rate: float
    median: float
    slow: float
    cpu: float


@dataclass(frozen=True)
class Server:
    """How long a server took to start, its memory after, and its answers by connections."""

    start: float
    memory: float
    answers: dict[int, Answers]


def run(
    dataset: str = "telecom_churn", seconds: float = 8.0, connections: Sequence[int] = CONNECTIONS
) -> Iterator[Comparison]:
    """Compare rates, latencies and CPU of one record a request."""
    busy = load()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name, _on_the_other_core():
        folder = Path(name)
        with tracking_server(folder / "mlflow") as uri:
            _register(folder, uri, dataset)
            ways = _Ways(folder, uri, dataset, seconds, connections)
            ours, mlflow, usual = ways.ours(), ways.mlflow(), ways.usual()
    how = f"one record of {dataset} a request, the same model, one core a server; {busy} before"
    for other, what in ((mlflow, "mlflow"), (usual, "fastapi")):
        yield from _against(ours, other, what, how)


def _against(ours: Server, other: Server, what: str, how: str) -> Iterator[Comparison]:
    others = {"mlflow": "`mlflow models serve`", "fastapi": "FastAPI with a data frame a request"}
    how = f"other: {others[what]}; {how}"
    for connections, theirs in other.answers.items():
        mine, name = ours.answers[connections], f"service_{what}_{connections}"
        over = f"{connections} connections; {how}"
        yield Comparison(f"{name}_rate", mine.rate, theirs.rate, "requests/s", over)
        yield Comparison(f"{name}_median", mine.median, theirs.median, "ms", over)
        yield Comparison(f"{name}_p99", mine.slow, theirs.slow, "ms", over)
        yield Comparison(f"{name}_per_core", 1000 / mine.cpu, 1000 / theirs.cpu, "requests/cpu_s",
                         over)  # fmt: skip
    yield Comparison(f"service_{what}_start", ours.start, other.start, "s",
                     f"from the start to the first answer of health; {how}")  # fmt: skip
    yield Comparison(f"service_{what}_memory", ours.memory, other.memory, "MB",
                     f"proportional set size after the requests; {how}")  # fmt: skip


def _register(folder: Path, uri: str, dataset: str) -> None:
    """A champion, made by the pipeline from a sample."""
    home = folder / "home"
    run_script("write_sample.py", dataset, home / "lake" / "raw" / dataset / PARTITION, 7000)
    environment = {"MILLRACE_HOME": str(home), "MLFLOW_TRACKING_URI": uri}
    run_script("run_steps.py", dataset, PARTITION, *STEPS, environment=environment)


@dataclass(frozen=True)
class _Ways:
    """The ways to serve one model."""

    folder: Path
    uri: str
    dataset: str
    seconds: float
    connections: Sequence[int]

    def ours(self) -> Server:
        """The model service."""
        folders = [PROJECT / "plugins", PROJECT / "include", PROJECT / "include" / "training"]
        port = free_port()
        return self._measure(
            [sys.executable, "-m", "serving", "--port", port], port, "/",
            f"/{self.dataset}/predict", self._example(),
            {"PYTHONPATH": os.pathsep.join(map(str, folders)), "MILLRACE_MODELS": self.dataset},
        )  # fmt: skip

    def mlflow(self) -> Server:
        """MLflow's own scoring server."""
        port = free_port()
        words = ["models", "serve", "--env-manager", "local", "--port", port, "-m", self._model]
        return self._measure(
            [sys.executable, "-m", "mlflow", *words], port, "/ping", "/invocations",
            {"dataframe_records": [self._example()]}, {},
        )  # fmt: skip

    def usual(self) -> Server:
        """A handler as it is usually written."""
        port, example = free_port(), self._example()
        words = [SCRIPTS / "usual_service.py", self._model, json.dumps(example), port]
        return self._measure([sys.executable, *words], port, "/", "/predict", example, {})

    @property
    def _model(self) -> str:
        return f"models:/{self.dataset}@champion"

    def _example(self) -> dict[str, object]:
        spec = f"{self.uri}/api/2.0/mlflow/registered-models/alias"
        asked = {"name": self.dataset, "alias": "champion"}
        run_id = requests.get(spec, params=asked, timeout=30).json()["model_version"]["run_id"]
        [card] = (self.folder / "mlflow").rglob(f"{run_id}/**/service/card.json")
        fields = json.loads(card.read_text(encoding="utf-8"))["fields"]
        return {field["name"]: field["example"] for field in fields}

    def _measure(
        self, command: list[object], port: int, health: str, path: str, record: object,
        environment: dict[str, str],
    ) -> Server:  # fmt: skip
        url, log = f"http://127.0.0.1:{port}", self.folder / "server.log"
        variables = {
            "MLFLOW_TRACKING_URI": self.uri, "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            **environment,
        }  # fmt: skip
        with server(command, url + health, log, variables, SERVER_CORE) as (process, start):
            self._ask(url + path, record, 4, process, 2.0)  # warm
            answers = {
                each: self._ask(url + path, record, each, process, self.seconds)
                for each in self.connections
            }
            return Server(start, _memory(process), answers)

    def _ask(
        self, url: str, record: object, connections: int, process: subprocess.Popen[bytes],
        seconds: float,
    ) -> Answers:  # fmt: skip
        before = _cpu(process)
        asked = subprocess.run(
            [sys.executable, SCRIPTS / "load.py", url, str(connections), str(seconds)],
            input=json.dumps(record).encode(), capture_output=True,
        )  # fmt: skip
        if asked.returncode:
            raise BenchmarkError(f"{url} cannot be asked:\n{asked.stderr.decode()[-2000:]}")
        found = json.loads(asked.stdout)
        cpu = 1000 * (_cpu(process) - before) / (found["rate"] * seconds)
        return Answers(found["rate"], found["median"], found["slow"], cpu)


@contextmanager
def _on_the_other_core() -> Iterator[None]:
    """Keep this process, and those that ask, off the servers' core."""
    before = os.sched_getaffinity(0)
    if not {SERVER_CORE, CLIENT_CORE} <= before:
        raise BenchmarkError("two cores are needed: one for the server, one to ask from")
    os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def _cpu(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a server and its children until now."""
    total = 0.0
    for each in _tree(process):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def _memory(process: subprocess.Popen[bytes]) -> float:
    """MB (2**20) of a server and its children."""
    return float(sum(each.memory_full_info().pss for each in _tree(process)) / 2**20)
