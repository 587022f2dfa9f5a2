"""How a job ended, as its task must take it: success, another try, or an error that says why."""

from __future__ import annotations

from collections.abc import Sequence

from millrace.aws.errors import may_pass
from millrace.jobs.causes import account
from millrace.jobs.job import Job, JobFailed, JobStopped, State, Status

EXPIRED = "MaxRuntimeExceeded"  # SageMaker's word for its time limit
NO_SPOT = "MaxWaitTimeExceeded"  # and for a spot job that had no capacity, or lost it, for too long


def require_success(
    job: Job, status: Status | None, limit: float, lines: Sequence[str], *, expired: bool
) -> Status:
    """The status of a job that succeeded.

    Args:
        status: what the service says; None where it does not know the job.
        limit: seconds it was allowed to run.
        lines: its last log lines, oldest first.
        expired: whether it was stopped because it had run for longer.

    Raises:
        JobFailed: another try would end the same way.
        JobStopped: another try may succeed.
    """
    if status is None:
        raise JobStopped(f"the service does not know {job} any more; another try starts it anew")
    if status.state is State.SUCCEEDED:
        return status
    reason = status.reason
    too_long = status.state is State.STOPPED and (status.seconds or 0) > limit
    if expired or too_long or reason == EXPIRED:
        what = (
            f"{job} was stopped at its time limit of {limit:.0f} s;"
            " make it faster or set MILLRACE_JOB_TIMEOUT higher"
        )
        raise JobFailed(account(what, reason, lines))
    if reason == NO_SPOT:
        what = f"{job} had no spot capacity for too long; another try may, or set MILLRACE_SPOT=no"
        raise JobStopped(account(what, reason, lines))
    if status.state is State.STOPPED:
        raise JobStopped(account(f"{job} was stopped from outside", reason, lines))
    if not status.state.ended:
        raise JobStopped(f"{job} is still {status.state}, and was not heard of for too long")
    said = account(f"{job} failed", reason, lines)
    raise JobStopped(said) if may_pass(reason) else JobFailed(said)
