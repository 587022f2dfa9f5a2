"""A step's work that may run here or as a job, and is published either way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from millrace.aws.prices import cost, scan_cost
from millrace.jobs.job import Backend, Job, NameTaken, Request, State, Status
from millrace.lake import Attempt, Place, Store, answers, publish, read_published
from millrace.lake.lease import lease

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Obtained:
    """The job that does a piece of work; `found`: it had been started before."""

    job: Job
    status: Status
    found: bool


@dataclass(frozen=True)
class Remote:
    """How a service does the work.

    Attributes:
        request: what is to be run.
        send: uploads what the job needs; called before it is started.
        collect: writes the output of the finished job. Raises FileNotFoundError where it is gone.
        connection: id of the Airflow connection to AWS.
        interval: seconds between two questions to the service.
        locate: gives the `home` of the request, and makes it where there is none, as a cluster;
            called when a job is looked for or started. Its argument: whether the work is to be
            done anew. None where the request names its home.
        around: the request for that home, where a task of its own makes it before.
    """

    request: Request
    send: Callable[[], None]
    collect: Callable[[Job, Status, Attempt], None]
    connection: str
    region: str
    interval: float
    locate: Callable[[bool], str] | None = None
    around: Request | None = None

    def placed(self, *, anew: bool = False) -> Request:
        """The request with its home."""
        if self.locate is None:
            return self.request
        return replace(self.request, home=self.locate(anew))

    def announce(self, obtained: Obtained, page: str) -> None:
        """Say which job does the work, where to see it, and what it may cost."""
        request, job = self.request, obtained.job
        if obtained.status.state.ended:
            log.info("%s has done this work already: %s", job, page)
        elif obtained.found:
            log.info("%s is at this work already (%s): %s", job, obtained.status.state, page)
        else:
            log.info("Started %s: %s", job, page)
            price = (
                self._price(request.limit, "at most") if request.terabyte is None
                else f"for ${request.terabyte:.2f} a TB that it reads (estimate)"
            )  # fmt: skip
            log.info("It may run for %.0f s, %s.", request.limit, price)

    def bring(self, job: Job, status: Status, attempt: Attempt) -> None:
        """Write the output of the finished job, and what it took."""
        self.collect(job, status, attempt)
        attempt.facts["job"] = str(job)
        if status.seconds is not None:
            # What a job wrote itself says where its seconds went.
            attempt.facts["job_seconds" if attempt.written else "seconds"] = round(
                status.seconds, 3
            )
            price = self._price(status.seconds, "about")
            if status.scanned is not None:
                price = self._price_of_scan(status.scanned)
            log.info("%s ran for %.0f s, %s.", job, status.seconds, price)
        if status.scanned is not None:
            attempt.facts["scanned_bytes"] = status.scanned
            if self.request.terabyte is not None:
                dollars = scan_cost(self.request.terabyte, status.scanned)
                attempt.facts["cost_usd"] = round(dollars, 6)
        if status.seconds is not None and self.request.hourly:
            attempt.facts["cost_usd"] = round(
                cost(self.request.hourly, status.seconds, self.request.kind), 6
            )

    def _price(self, seconds: float, how: str) -> str:
        if self.request.hourly is None:
            return "at a price that is not in the price file"
        if not self.request.hourly:
            return "at no cost of its own"
        return f"for {how} ${cost(self.request.hourly, seconds, self.request.kind):.4f} (estimate)"

    def _price_of_scan(self, scanned: int) -> str:
        if self.request.terabyte is None:
            return f"and read {scanned:,} bytes, at a price that is not in the price file"
        dollars = scan_cost(self.request.terabyte, scanned)
        return f"and read {scanned:,} bytes, for about ${dollars:.4f} (estimate)"


@dataclass(frozen=True)
class Work:
    """What one task has to do.

    Attributes:
        result: what the task hands on.
        place: where its output is published.
        depends_on: what the output depends on besides the code, see `millrace.lake.publish`.
        inputs: address and content of what is read, for the record.
        here: does the work on this machine and writes its output.
        remote: how a service does it; None where the work is done here.
        again: do the work even where its output is published.
        page: gives the address of a page about the published work from its facts, "" for none.
    """

    store: Store
    result: Any
    place: Place
    depends_on: Mapping[str, Any]
    inputs: Mapping[str, str]
    here: Callable[[Attempt], None]
    remote: Remote | None = None
    again: bool = False
    page: Callable[[Mapping[str, Any]], str] | None = None

    @property
    def is_done(self) -> bool:
        """Whether what is published already answers."""
        return not self.again and answers(self.store, self.place, self.depends_on)

    def do_here(self) -> Any:
        """Do the work on this machine; does nothing, and says so, where it is done."""
        return self.publish(self.here)

    def published_page(self) -> str:
        """Address of a page about the published work, empty where there is none."""
        published = read_published(self.store, self.place) if self.page else None
        return self.page(published.facts) if self.page and published else ""

    def publish(self, build: Callable[[Attempt], None]) -> Any:
        """Publish the output that `build` writes; gives what the task hands on."""
        publish(
            self.store, self.place, depends_on=self.depends_on, inputs=self.inputs,
            build=build, again=self.again,
        )  # fmt: skip
        return self.result


def obtain(backend: Backend, store: Store, request: Request, *, anew: bool = False) -> Obtained:
    """The running or finished job of this name; started where there is none.

    Two callers at once get the same job.

    Args:
        anew: start another try though the last one finished, as when its output is gone.
    """
    exclusive = (
        nullcontext()
        if backend.unique_names
        else lease(store, f"jobs/{request.alone or request.name}")
    )
    with exclusive:
        found = backend.find(request.name, request.home)
        if found and _will_do(found[1].state, anew):
            return Obtained(*found, found=True)
        if found:
            backend.tidy(found[0])
        number = found[0].number + 1 if found else 1
        try:
            job = backend.start(request, number)
        except NameTaken:
            log.info("Another copy of this task has just started %s-%d.", request.name, number)
            found = backend.find(request.name, request.home)
            if found is None:
                raise
            return Obtained(*found, found=True)
    return Obtained(job, Status(State.WAITING), found=False)


def _will_do(state: State, anew: bool) -> bool:
    if state is State.SUCCEEDED:
        return not anew
    return not state.ended
