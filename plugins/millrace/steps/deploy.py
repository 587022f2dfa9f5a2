"""Step: a new champion comes into service, or the service goes back to what it was.

On ECS by a new revision of the task definition, in which the version is pinned; elsewhere the
service takes the champion from the registry by itself, and is only watched.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from millrace.aws.remedies import remedy_of
from millrace.aws.requests import tag_value
from millrace.datasets.deployment import deploy_of
from millrace.errors import MillraceError
from millrace.jobs.ecs_service import EcsDeployment
from millrace.jobs.job import Job, Request, Status
from millrace.jobs.names import job_name
from millrace.jobs.work import Remote, Work
from millrace.lake import Attempt
from millrace.model_service import ModelService
from millrace.steps.run import Run
from millrace.tracking import registry
from millrace.tracking.server import connect, within_budget

log = logging.getLogger(__name__)

RECORD = "deployment.json"


class NothingToDeploy(MillraceError):
    """There is no new champion, or it is in service already."""


def plan(run: Run, events: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Say which version is to come into service, and where.

    Args:
        events: what the events said that started this run; none where a person did.

    Returns:
        version and content (hash of its files); `where`: `local` or `ecs`; `before`: version and
        content of what the service serves now, None where it serves none.

    Raises:
        NothingToDeploy: no event asks for it, there is no champion, or it is in service.
        RegistryError: the champion's files are not what was registered, or it has no card.
        NoAnswer: the service does not answer.
        SettingsError: the spec says `ecs`, and what it needs is not set.
    """
    name = run.spec.name
    if events and not any(asks_for_deployment(each) for each in events):
        raise NothingToDeploy(
            f"the champion of {name} stayed, or a backfill promoted it; start this DAG by hand to"
            " deploy it all the same"
        )
    where = target_of(run)
    version, content = within_budget(run.settings, lambda: _champion(run))
    now = ModelService(run.settings.service_url).model(name)
    before = {key: now[key] for key in ("version", "content")} if now else None
    if before == {"version": version, "content": content} and _is_pinned(run, where, version):
        raise NothingToDeploy(
            f"version {version} of {name} is in service: {run.settings.service_url}"
        )
    present = f"version {before['version']}" if before else "none"
    log.info("Version %s of %s is to come into service (%s) in place of %s.",
             version, name, where, present)  # fmt: skip
    return {"version": version, "content": content, "where": where, "before": before}


def asks_for_deployment(event: Mapping[str, Any]) -> bool:
    """Whether what an event of the champion says is a reason to deploy it.

    A backfill fills partitions of the past: even one that may promote moves no service.
    """
    return bool(event.get("changed")) and not event.get("backfill")


def target_of(run: Run) -> str:
    """`ecs` or `local`: the one place where this is decided.

    Raises:
        SettingsError: it is `ecs`, and what it needs is not set.
    """
    said = deploy_of(run.spec)
    if said is None:
        raise MillraceError(f"the spec of {run.spec.name} has no section `deploy`")
    where = said.target
    if where == "auto":
        where = "ecs" if run.settings.has_ecs_target else "local"
    if where == "ecs":
        run.settings.ecs_target()
    return where


def update(run: Run, plan: Mapping[str, Any]) -> Work:
    """The deployment of the planned version."""
    return _work(run, plan, "ecs_deployment", "updated")


def roll_back(run: Run, plan: Mapping[str, Any]) -> Work:
    """The way back to what the service ran before the deployment of the planned version."""
    return _work(run, plan, "ecs_rollback", "rolled back")


def why(run: Run, plan: Mapping[str, Any]) -> str:
    """Why this run's deployment of the planned version did not succeed, as ECS tells it."""
    reason = _reason(run, plan) if plan["where"] == "ecs" else ""
    if remedy := remedy_of(reason):
        return f"{reason}\nWhat to do: {remedy}"
    return reason or "the logs of `update` and `verify` tell why"


def _reason(run: Run, plan: Mapping[str, Any]) -> str:
    """Empty where the newest deployment of the version is another run's."""
    backend = _backend(run)
    found = backend.find(_name(run, plan), _home(run))
    if found is None or backend.described(found[0].id)[1].get("run") != tag_value(run.run_id):
        return ""
    return found[1].reason


def _work(run: Run, plan: Mapping[str, Any], kind: str, outcome: str) -> Work:
    record = {**plan, "dataset": run.spec.name, "outcome": outcome, "run": run.run_id}

    def here(attempt: Attempt) -> None:
        if plan["where"] == "local":
            log.info("%s looks for the champion by itself.", run.settings.service_url)
        attempt.write_json(RECORD, record)

    def collect(job: Job, _status: Status, attempt: Attempt) -> None:
        attempt.write_json(RECORD, {**record, "revision": job.id})

    remote = None
    if plan["where"] == "ecs":
        remote = Remote(
            _request(run, plan, kind), lambda: None, collect, run.settings.aws_connection,
            run.settings.ecs_target().region, run.settings.poll_interval,
        )  # fmt: skip
    # What is in service is asked of the service, so a record of old never answers.
    return Work(
        run.store, plan["version"], run.place("reports", "deployment"), depends_on=record,
        inputs={f"models:/{run.spec.name}/{plan['version']}": plan["content"]},
        here=here, remote=remote, again=True,
    )  # fmt: skip


def _request(run: Run, plan: Mapping[str, Any], kind: str) -> Request:
    tags = {
        "project": "millrace", "dataset": run.spec.name, "version": plan["version"],
        "content": plan["content"], "run": tag_value(run.run_id),
    }  # fmt: skip
    body = {"pin": (run.spec.name, plan["version"]), "tags": tags}
    home = _home(run)
    return Request(
        kind, _name(run, plan), body, run.settings.job_timeout, home, hourly=0.0, alone=home
    )


def _name(run: Run, plan: Mapping[str, Any]) -> str:
    what = {"content": plan["content"], "service": _home(run)}
    return job_name(run.spec.name, "", "deploy", plan["version"], what)


def _home(run: Run) -> str:
    aws = run.settings.ecs_target()
    return f"{aws.ecs_cluster}/{aws.ecs_service}"


def _champion(run: Run) -> tuple[str, str]:
    """Version and content of the champion, whose files are there and are what was registered, and
    whose card can be read: without one the service cannot serve it.
    """
    version = registry.champion(connect(run.settings), run.spec.name)
    if version is None:
        raise NothingToDeploy(
            f"{run.spec.name} has no champion in the registry; its pipeline promotes one, or set"
            " the alias `champion` in MLflow"
        )
    registry.read_card(version)
    with registry.verified_bundle(version):
        return str(version.version), version.tags[registry.CONTENT]


def _is_pinned(run: Run, where: str, version: str) -> bool:
    """Whether the service stays at the version whatever becomes of the champion."""
    return where == "local" or _backend(run).pinned(_home(run), run.spec.name) == version


def _backend(run: Run) -> EcsDeployment:
    if run.client is None:
        raise TypeError("a run that deploys to ECS needs a client")
    return EcsDeployment(run.client("ecs"), run.client("logs"))
