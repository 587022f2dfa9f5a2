"""Hold jobs in Airflow's triggerer until they have ended, and tell as JSON what that took.

    hold_triggers.py ours|provider <address of the service> <how many> <interval> <steady> <within>

This process is the triggerer's supervisor, its child the runner, both Airflow's own; only the
metadata database is missing: triggers come from a list, and events go into one. All times are
seconds: `steady` after every job was asked about, the jobs begin to end, all of them `within`.
"""

import json
import math
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import attrs
import psutil
from airflow.executors.workloads import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger
from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger

from millrace.jobs.trigger import JobTrigger

REGION = "eu-west-3"
LOST = 240.0  # seconds after which the benchmark gives up


@attrs.define(kw_only=True)
class Triggerer(TriggerRunnerSupervisor):
    """Airflow's triggerer over a list of triggers instead of a database."""

    folder: Path
    fired: dict[int, float] = attrs.field(factory=dict)
    peak: int = 0

    def hold(self, triggers: list[Any]) -> None:
        """Give triggers to the runner; each has a log file of its own, as a task's has."""
        no_task: Any = None  # would be asked for only where logs are sent to a remote store
        for number, trigger in enumerate(triggers, start=1):
            path, arguments = trigger.serialize()
            given = Trigger.encrypt_kwargs(arguments)
            self.creating_triggers.append(
                RunTrigger(id=number, classpath=path, encrypted_kwargs=given)
            )
            log = str(self.folder / f"{number}.log")
            self.logger_cache[number] = TriggerLoggingFactory(log_path=log, ti=no_task)

    def load_triggers(self) -> None:
        """There is no database: the triggers were given."""

    clean_unused = heartbeat = emit_metrics = load_triggers

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        self.fired[trigger_id] = time.time()

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        raise SystemExit(f"trigger {trigger_id} failed: {''.join(exc or ())}")

    def work(self, seconds: float) -> None:
        """Do what the triggerer does for some seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.is_alive():
                raise SystemExit("the trigger runner has died")
            self.run_once()
            self.peak = max(self.peak, psutil.Process(self.pid).memory_info().rss)

    def cpu(self) -> float:
        """CPU seconds of both processes so far."""
        both = psutil.Process(), psutil.Process(self.pid)
        return sum(sum(process.cpu_times()[:2]) for process in both)


def main(way: str, address: str, count: int, interval: float, steady: float, within: float) -> dict:
    """What holding the jobs took."""
    names = [f"millrace-bench-{number:04}-1" for number in range(count)]
    ask(address, "begin", names=names)
    with tempfile.TemporaryDirectory() as folder:
        triggerer = Triggerer.start(capacity=count, folder=Path(folder))
        try:
            return measure(triggerer, way, names, address, interval, steady, within)
        finally:
            triggerer.kill(force=True)


def measure(
    triggerer: Triggerer, way: str, names: list[str], address: str, interval: float, steady: float,
    within: float,
) -> dict:  # fmt: skip
    """The start, the steady time and the end."""
    while triggerer._last_runner_comms == math.inf:  # until the runner has come up
        triggerer.work(0.1)
    fresh, cpu, begun = triggerer.peak, triggerer.cpu(), time.monotonic()
    triggerer.hold([trigger_of(way, name, interval) for name in names])
    while (facts := ask(address, "facts"))["asked"] < len(names):
        triggerer.work(1)
        if time.monotonic() - begun > LOST:
            raise SystemExit(f"only {facts['asked']} of {len(names)} jobs were asked about")
    start = {"start_seconds": time.monotonic() - begun, "start_cpu": triggerer.cpu() - cpu}
    calls, cpu, begun = facts["calls"], triggerer.cpu(), time.monotonic()
    triggerer.work(steady)
    took, cpu, after = time.monotonic() - begun, triggerer.cpu() - cpu, ask(address, "facts")
    ends = ask(address, "end", within=within)["ends"]
    while len(triggerer.fired) < len(names):
        triggerer.work(1)
        if time.monotonic() - begun > LOST:
            raise SystemExit(f"only {len(triggerer.fired)} of {len(names)} ends were noticed")
    late = [at - ends[names[number - 1]] for number, at in triggerer.fired.items()]
    made = {name: (n - calls.get(name, 0)) * 60 / took for name, n in after["calls"].items()}
    memory = {"fresh_mb": fresh / 2**20, "peak_mb": triggerer.peak / 2**20}
    return {**start, **memory, "cpu": cpu * 60 / took, "calls": made, "delays": sorted(late)}


def trigger_of(way: str, name: str, interval: float) -> Any:
    """The trigger that waits for a job in one of the ways."""
    if way == "provider":
        return SageMakerTrigger(name, "training", waiter_delay=int(interval), region_name=REGION)
    job = {"name": name.removesuffix("-1"), "number": 1, "id": name}
    return JobTrigger("sagemaker_training", job, "aws_default", REGION, 86400, interval)


def ask(address: str, what: str, **given: Any) -> dict:
    """Tell the simulated service something; what it knows."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/{what}", json.dumps(given).encode(), timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    way, address, count, *seconds = sys.argv[1:]
    interval, steady, within = map(float, seconds)
    print(json.dumps(main(way, address, int(count), interval, steady, within)))
