"""How much a triggerer needs to hold 1,000 deferred training jobs, against the provider's trigger.

Airflow's own trigger runner and its supervisor hold them, without a metadata database; SageMaker
and CloudWatch are simulated by a server of its own process, over boto3 and HTTP.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import SCRIPTS, BenchmarkError, Comparison, load, median, run_script

LATENCY = 0.03  # seconds that each call takes the simulated services; AWS takes 20 to 100 ms
STARTING = 10.0  # seconds
ASKS = ("DescribeTrainingJob", "ListTrainingJobs")
AIRFLOW = {"AIRFLOW__CORE__LOAD_EXAMPLES": "false", "PYTHONUNBUFFERED": "1"}


def run(
    count: int = 1000, interval: float = 15, steady: float = 30, within: float = 10
) -> list[Comparison]:
    """Hold the jobs in one way and then in the other.

    Args:
        interval: seconds between two questions, in both ways; the default of ours.
        steady: seconds that all jobs are waited for and the use of CPU and the calls are measured.
        within: seconds in which all jobs then end, one after the other.
    """
    busy = load()
    ours, other = (_hold(way, count, interval, steady, within) for way in ("ours", "provider"))
    how = (
        f"{count} jobs at once that end within {within:g} s of one another, asked about every"
        f" {interval:g} s by both, {LATENCY * 1000:g} ms a call, in Airflow's trigger runner and"
        " its supervisor without a database; other is the"
        " provider's SageMakerTrigger (by default every 30 s), which reads no logs, while ours"
        f" passes the jobs' log lines on; one run each; {busy} before"
    )
    return [
        Comparison(f"deferred_jobs_{name}", mine, theirs, unit, f"{what}; {how}")
        for name, mine, theirs, unit, what in _figures(ours, other)
    ]


def _figures(
    ours: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[tuple[str, float, float, str, str]]:
    """Name, both values, unit and what was measured."""
    each = (ours, other)
    took = " against ".join(f"{found['start_cpu']:.1f}" for found in each)
    yield (
        "start", ours["start_seconds"], other["start_seconds"], "s",
        f"until every job has been asked about; {took} s of CPU",
    )  # fmt: skip
    yield (
        "cpu", ours["cpu"], other["cpu"], "s/min",
        "CPU of runner and supervisor while all jobs are waited for",
    )  # fmt: skip
    fresh = " and ".join(f"{found['fresh_mb']:.0f}" for found in each)
    yield (
        "memory", ours["peak_mb"], other["peak_mb"], "MB",
        f"largest resident set of the runner; {fresh} MB before the jobs",
    )  # fmt: skip
    calls = " against ".join(_named(found["calls"]) for found in each)
    mine, theirs = (sum(found["calls"].values()) for found in each)
    yield "calls", mine, theirs, "calls/min", f"all calls while all jobs are waited for: {calls}"
    mine, theirs = (sum(found["calls"].get(name, 0) for name in ASKS) for found in each)
    yield "asks", mine, theirs, "calls/min", "of these, calls to SageMaker"
    late = " against ".join(_late(found["delays"]) for found in each)
    mine, theirs = (median(found["delays"]) for found in each)
    yield "delay", mine, theirs, "s", f"median from a job's end to its event; {late}"


def _named(calls: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {a_minute:.0f}" for name, a_minute in sorted(calls.items()))


def _late(delays: list[float]) -> str:
    nearly_all = delays[int(len(delays) * 0.95)]
    return f"95 % within {nearly_all:.1f} s, all within {delays[-1]:.1f} s"


def _hold(way: str, count: int, interval: float, steady: float, within: float) -> dict[str, Any]:
    """What holding the jobs in one way took."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder, _aws(Path(folder)) as url:
        extra = {"endpoint_url": url, "region_name": "eu-west-3"}
        connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
        environment = {
            **AIRFLOW,
            "AIRFLOW_HOME": f"{folder}/airflow",
            "MILLRACE_HOME": folder,
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        }
        done = run_script(
            "hold_triggers.py", way, url, count, interval, steady, within, environment=environment
        )
    found: dict[str, Any] = json.loads(done.output.splitlines()[-1])
    return found


@contextmanager
def _aws(folder: Path) -> Iterator[str]:
    """The address of the simulated services."""
    address, deadline = folder / "address", time.monotonic() + STARTING
    command = [sys.executable, str(SCRIPTS / "simulated_sagemaker.py"), str(address), str(LATENCY)]
    server = subprocess.Popen(command)
    try:
        while not address.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError("the simulated services did not start")
            time.sleep(0.05)
        yield address.read_text()
    finally:
        server.kill()
        server.wait()
