"""`@job`: a task whose work runs as a durable job, on this machine or on AWS."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.exceptions import TaskDeferralTimeout
from airflow.sdk.execution_time.xcom import XCom

from millrace.aws.requests import SPOT_WAIT
from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from millrace.jobs.job import Backend, Job, Request
    from millrace.jobs.ledger import Waiting
    from millrace.jobs.work import Remote, Work

log = logging.getLogger(__name__)

# A job may wait for capacity besides the time it runs; SageMaker's own limit of that comes first.
QUEUE = dt.timedelta(seconds=SPOT_WAIT) + dt.timedelta(minutes=15)
RETRIES = 5  # waits of 30 s to 8 min: quotas and capacity are a matter of minutes
MARGIN = dt.timedelta(minutes=15)  # for what the worker does before and after a job
PAGE = "job_page"  # XCom with the address of the job's page


class JobPage(BaseOperatorLink):
    """A button to the job's page: in the AWS console, or in the history of a local Spark."""

    name = "Page of the job"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return XCom.get_value(key=PAGE, ti_key=ti_key) or ""


class JobOperator(DecoratedOperator):
    """Does the work that the decorated function returns (`millrace.jobs.work.Work`).

    What the provider's operators lack: a retry finds the job its forerunner started, running or
    finished; failing, clearing or timing out the task stops the job, also while the task is
    deferred; the job's log is the task's log; the time limit is the job's own.
    """

    custom_operator_name = "@job"
    operator_extra_links = (JobPage(),)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> Any:
        """Do nothing where the output is published; else do the work, or wait for its job."""
        work = self._work()
        if work.remote is None or work.is_done:
            return self._here(context, work)
        return self._follow(context, work, work.remote)

    def complete(
        self, context: Context, event: Mapping[str, Any], job: Mapping[str, Any], found: bool
    ) -> Any:
        """The job has ended, or its service gives no answer: look, collect and publish."""
        from millrace.jobs.job import Job

        ended, work = Job(**job), self._work()
        if work.remote is None or work.is_done:
            return self._here(context, work)
        if work.remote.request.name != ended.name:
            log.info("What is to be run has changed since %s was started.", ended)
            return self._follow(context, work, work.remote)
        return self._finish(context, work, work.remote, ended, event, found)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Stop the job where the task ran out of its own time while it was deferred."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._abandon(context, self._work())
            raise

    def on_kill(self) -> None:
        """Stop the job: the task was failed or cleared, or ran out of time."""
        if self._stop:
            self._stop()

    def _work(self) -> Work:
        work: Work = self.python_callable(*self.op_args, **self.op_kwargs)
        return work

    def _here(self, context: Context, work: Work) -> Any:
        """Do the work on this machine, unless it is done, and leave the address of its page."""
        result = work.do_here()
        if page := work.published_page():
            context["ti"].xcom_push(key=PAGE, value=page)
        return result

    def _follow(self, context: Context, work: Work, remote: Remote, *, anew: bool = False) -> Any:
        """Find or start the job, and wait for it in the triggerer."""
        from millrace.aws.errors import aws_calls
        from millrace.jobs.ledger import note
        from millrace.jobs.trigger import JobTrigger
        from millrace.jobs.work import obtain

        backend = _open(remote)
        with aws_calls(f"starting {remote.request.name}"):
            remote.send()
            request = remote.placed(anew=anew)
            note(work.store, _waiting(context, remote, request))
            obtained = obtain(backend, work.store, request, anew=anew)
        job = obtained.job
        self._stop = partial(backend.stop, job)
        remote.announce(obtained, backend.link(job))
        context["ti"].xcom_push(key=PAGE, value=backend.link(job))
        if obtained.status.state.ended:
            return self._finish(context, work, remote, job, {}, found=True)
        self.defer(
            trigger=JobTrigger(
                request.kind, asdict(job), remote.connection, remote.region, request.limit,
                remote.interval,
            ),
            method_name="complete",
            # What came with a cluster of this very run is no job that others wait for.
            kwargs={"job": asdict(job), "found": obtained.found and remote.locate is None},
            timeout=dt.timedelta(seconds=request.limit) + QUEUE,
        )  # fmt: skip
        return None

    def _finish(
        self, context: Context, work: Work, remote: Remote, job: Job, event: Mapping[str, Any],
        found: bool,
    ) -> Any:  # fmt: skip
        """Publish the output of an ended job, or raise the error that says why there is none.

        A job that was found and then stopped, or whose output is gone, is started anew.
        """
        from millrace.aws.errors import aws_calls
        from millrace.jobs.causes import Tail
        from millrace.jobs.job import State
        from millrace.jobs.ledger import erase
        from millrace.jobs.outcome import require_success

        backend = _open(remote)
        with aws_calls(f"asking about {job}"):
            status = backend.poll([job]).get(job)
            if status is None or status.state.ended:
                erase(work.store, _waiting(context, remote, remote.request))
                backend.tidy(job)
        tail = Tail([*event.get("tail", ()), *_rest(backend, job, event)])
        if found and status and status.state is State.STOPPED and not event.get("expired"):
            log.info("%s was stopped, as whoever waited for it before was told to.", job)
            return self._follow(context, work, remote)
        status = require_success(
            job, status, remote.request.limit, tail.lines(), expired=bool(event.get("expired"))
        )
        try:
            return work.publish(partial(remote.bring, job, status))
        except FileNotFoundError as error:
            if not found:
                raise
            log.info("%s has ended well, but its output is gone: %s", job, error)
            return self._follow(context, work, remote, anew=True)

    def _abandon(self, context: Context, work: Work) -> None:
        """Stop whatever this task has started and not seen the end of."""
        from millrace.aws.errors import aws_calls
        from millrace.jobs.backends import open_backend
        from millrace.jobs.ledger import stop_jobs_of

        ti = context["ti"]
        with aws_calls("stopping the job of a task that ran out of time"):
            stop_jobs_of(work.store, _owner(ti), open_backend)


def job(function: Callable[..., Work] | None = None, **options: Any) -> TaskDecorator:
    """Make a task of a function that returns the work to be done.

    The worker may take as long as a job may run and a quarter of an hour more.
    """
    limit = dt.timedelta(seconds=Settings.from_environment().job_timeout)
    options.setdefault("execution_timeout", limit + MARGIN)
    options.setdefault("retries", RETRIES)
    return task_decorator_factory(
        python_callable=function, decorated_operator_class=JobOperator, **options
    )


def _open(remote: Remote) -> Backend:
    from millrace.jobs.backends import open_backend

    return open_backend(remote.request.kind, remote.connection, remote.region)


def _owner(ti: Any) -> tuple[str, str, str, int]:
    return ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index


def _waiting(context: Context, remote: Remote, request: Request) -> Waiting:
    from millrace.jobs.ledger import Waiting

    ti = context["ti"]
    return Waiting(
        request.kind, request.name, request.home, remote.connection, remote.region,
        *_owner(ti),
    )  # fmt: skip


def _rest(backend: Backend, job: Job, event: Mapping[str, Any]) -> list[str]:
    """The lines that came after the triggerer read the log; they go into the task's log too."""
    try:
        lines = list(backend.logs(job, event.get("cursor", {})).lines)
    except Exception as error:  # what the job did counts, not what can be read of it
        log.warning("The end of the log of %s cannot be read: %s", job, error)
        return []
    for line in lines:
        log.info("%s", line)
    return lines
