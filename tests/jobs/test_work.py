"""One piece of work is one job, whoever asks for it and however often."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from millrace.jobs.job import Job, Request, State, Status
from millrace.jobs.work import Obtained, obtain
from millrace.lake import LocalStore
from tests.jobs.simulated import Simulated

REQUEST = Request("sagemaker_training", "millrace-a", {"image": "x"}, 60)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


class NamesMayRepeat(Simulated):
    """A service as EMR is: it takes any number of jobs of one name."""

    unique_names = False

    def start(self, request: Request, number: int) -> Job:
        job = Job(request.name, number, f"id-{len(self.started)}")
        self.calls.append("start")
        self.started[job] = 0.0
        return job


def test_the_first_to_ask_starts_it(store: LocalStore) -> None:
    got = obtain(Simulated(), store, REQUEST)
    assert (str(got.job), got.found) == ("millrace-a-1", False)


@pytest.mark.parametrize("state", [State.WAITING, State.RUNNING, State.STOPPING, State.SUCCEEDED])
def test_whoever_comes_later_gets_the_same_job(store: LocalStore, state: State) -> None:
    service = Simulated()
    first = obtain(service, store, REQUEST).job
    service.ended[first] = Status(state)
    got = obtain(service, store, REQUEST)
    assert (got.job, got.found, got.status.state) == (first, True, state)
    assert service.calls.count("start") == 1


@pytest.mark.parametrize("state", [State.FAILED, State.STOPPED])
def test_after_a_failure_comes_another_try(store: LocalStore, state: State) -> None:
    service = Simulated()
    service.ended[obtain(service, store, REQUEST).job] = Status(state)
    assert str(obtain(service, store, REQUEST).job) == "millrace-a-2"


def test_a_finished_job_whose_output_is_gone_is_done_anew(store: LocalStore) -> None:
    service = Simulated(seconds=0)
    obtain(service, store, REQUEST)
    assert str(obtain(service, store, REQUEST, anew=True).job) == "millrace-a-2"


@pytest.mark.parametrize("service", [Simulated(), NamesMayRepeat()])
def test_many_at_once_start_one_job(store: LocalStore, service: Simulated) -> None:
    together, got = threading.Barrier(8), list[Obtained]()

    def ask() -> None:
        together.wait()
        got.append(obtain(service, store, REQUEST))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.job for each in got}) == 1
    assert len(service.started) == 1
    assert sum(not each.found for each in got) == 1
