"""The Airflow edge of the pipelines: what a DAG run says about the partition, and DAG options.

Light at parse time: no step and no heavy library is imported here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronPartitionTimetable, Param, get_current_context
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from millrace.datasets import AnySpec, ImageSpec, RelationalSpec
from millrace.datasets.docs import describe_spec
from millrace.errors import MillraceError
from millrace.lake import Store, open_store
from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator

    from millrace.jobs.ledger import Waiting
    from millrace.steps.run import Run

PARTITION = r"^\d{4}-\d{2}-\d{2}$"
WAIT = dt.timedelta(hours=48)  # from the start of the day whose files are awaited

# States of a task that waits for its job, or will; a cleared one has none for a moment.
WAITING = frozenset(
    "scheduled queued running restarting deferred up_for_retry up_for_reschedule".split()
)

DEFAULTS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": dt.timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": dt.timedelta(minutes=10),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(MillraceError, RetryAction.FAIL, reason="a retry cannot cure this")]
    ),
    "execution_timeout": dt.timedelta(hours=2),
}


def dag_options(spec: AnySpec) -> dict[str, Any]:
    """The arguments of `@dag` for one data set."""
    return {
        "dag_id": spec.name,
        "catchup": False,
        "max_active_runs": 16,  # runs that wait for their files count too
        "params": form(spec),
        "tags": list(dict.fromkeys((kind_of(spec), *spec.tags))),
        "doc_md": describe_spec(spec),
        "default_args": {**DEFAULTS, "owner": spec.owner},
        "user_defined_macros": {"partition_of": partition_of},
    }


def scoring_options(spec: AnySpec, about: str | None) -> dict[str, Any]:
    """The arguments of `@dag` for the scoring of one data set."""
    return _beside(spec, f"score_{spec.name}", "scoring", about)


def watching_options(spec: AnySpec, about: str | None) -> dict[str, Any]:
    """The arguments of `@dag` for the watch over one data set."""
    return _beside(spec, f"watch_{spec.name}", "drift", about)


def _beside(spec: AnySpec, dag_id: str, tag: str, about: str | None) -> dict[str, Any]:
    """The arguments of `@dag` for what is done beside the pipeline of a data set."""
    whole = form(spec)
    return {
        **dag_options(spec),
        "dag_id": dag_id,
        "params": {name: whole[name] for name in ("partition", "engine", "again")},
        "tags": list(dict.fromkeys((tag, *spec.tags))),
        "doc_md": about,
    }


def deploy_options(spec: AnySpec, about: str | None) -> dict[str, Any]:
    """The arguments of `@dag` for the deployment of one data set's champion."""
    return {
        **dag_options(spec),
        "dag_id": f"deploy_{spec.name}",
        "max_active_runs": 1,  # a service changes in one way at a time
        "params": {},
        "tags": list(dict.fromkeys(("deployment", *spec.tags))),
        "doc_md": about,
    }


def kind_of(spec: AnySpec) -> str:
    """What a data set is made of, as a tag of its DAG."""
    if isinstance(spec, RelationalSpec):
        return "relational"
    return "images" if isinstance(spec, ImageSpec) else "tabular"


def schedule_of(spec: AnySpec) -> CronPartitionTimetable | None:
    """Run at each tick of the spec's cron for the partition of that day, from the next tick on."""
    return None if spec.schedule is None else daily_partitions(spec.schedule)


def daily_partitions(cron: str, run_offset: int = 0) -> CronPartitionTimetable:
    """Run at each tick for the partition of that day; it can be backfilled.

    Args:
        run_offset: -1 for the partition of the tick before.
    """
    return CronPartitionTimetable(
        cron,
        timezone="UTC",
        run_offset=run_offset,
        key_format="%Y-%m-%d",
        # `False` would still start the last tick when it is less than a tenth of a day ago.
        run_immediately=dt.timedelta(0),
    )


def form(spec: AnySpec) -> dict[str, Param]:
    """What a person can choose when starting a run."""
    names = list(spec.candidates)
    return {
        "partition": Param(
            None, type=["null", "string"], format="date", pattern=PARTITION,
            description="Day of the data (YYYY-MM-DD); empty for the day of the run",
        ),
        "engine": Param(
            "auto", enum=["auto", "local", "aws"],
            description=f"Where {_where(spec)} run;"
            f" auto is {engine_of('auto', Settings.from_environment())} here",
        ),
        "candidates": Param(
            names, type="array", items={"type": "string", "enum": names}, minItems=1,
            uniqueItems=True, examples=names, description="Which candidates to train",
        ),
        "promote": Param(
            "auto", enum=["auto", "yes", "no"],
            description="May the champion move, if the gates hold? auto: unless in a backfill",
        ),
        "again": Param(
            False, type="boolean", description="Make outputs anew even where published ones answer",
        ),
    }  # fmt: skip


def _where(spec: AnySpec) -> str:
    more = "Spark, " if isinstance(spec, ImageSpec) else ""
    return f"{more}training and predictions"


def partition_of(dag_run: Any, params: Mapping[str, Any]) -> str:
    """The partition of a run: the form's, the schedule's, or the day it belongs to (UTC).

    Raises:
        MillraceError: it is no day.
    """
    moment = dag_run.logical_date or dag_run.run_after
    found = (
        params.get("partition")
        or dag_run.partition_key
        or moment.astimezone(dt.UTC).strftime("%Y-%m-%d")
    )
    try:
        dt.date.fromisoformat(found)
    except ValueError:
        raise MillraceError(f"the partition is {found!r}; write a day as YYYY-MM-DD") from None
    if not re.match(PARTITION, found):
        raise MillraceError(f"the partition is {found!r}; write a day as YYYY-MM-DD")
    return str(found)


def this_run(spec: AnySpec) -> Run:
    """The run that the current task belongs to."""
    from millrace.steps.run import Run

    context = get_current_context()
    params, dag_run = context["params"], context["dag_run"]
    settings = Settings.from_environment()
    return Run(
        spec,
        partition_of(dag_run, params),
        open_lake(settings),
        settings,
        tuple(params.get("candidates", spec.candidates)),
        engine=engine_of(params.get("engine", "auto"), settings),
        run_id=dag_run.run_id,
        started=dag_run.start_date,
        client=partial(aws_client, settings),
        keys=partial(aws_variables, settings),
        promote=params.get("promote", "auto"),
        backfill=dag_run.run_type == "backfill",
        again=params.get("again", False),
    )


def engine_of(choice: str, settings: Settings) -> str:
    """The engine that a choice stands for: the one place where this is decided.

    `auto` is `aws` where an AWS target is configured, else `local`.

    Raises:
        SettingsError: `aws` was chosen, and what it needs is not configured.
    """
    if choice == "auto":
        return "aws" if settings.has_aws_target else "local"
    if choice == "aws":
        settings.aws_target()
    return choice


def open_lake(settings: Settings) -> Store:
    """The configured data lake; an S3 lake is reached through the Airflow connection."""
    if not settings.lake.startswith("s3://"):
        return open_store(settings.lake)
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(settings.aws_connection, region_name=settings.aws_region)
    return open_store(settings.lake, hook.get_conn())


def aws_client(settings: Settings, service: str) -> Any:
    """boto3's client of an AWS service, through the Airflow connection."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    return AwsBaseHook(
        settings.aws_connection, client_type=service, region_name=settings.aws_region
    ).get_conn()


def aws_variables(settings: Settings) -> dict[str, str]:
    """Variables with which a process reaches S3 as the Airflow connection does.

    Temporary keys are not renewed: they last for the hour or more that they are given for.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    hook = AwsBaseHook(settings.aws_connection, client_type="s3", region_name=settings.aws_region)
    client, keys = hook.get_conn(), hook.get_credentials()
    region, endpoint = client.meta.region_name, hook.conn_config.get_service_endpoint_url("s3")
    found = {
        "AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token, "AWS_REGION": region, "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def still_waits(task: Waiting) -> bool:
    """Whether a task waits for its job, or will in another try."""
    states = get_current_context()["ti"].get_task_states(
        dag_id=task.dag_id, task_ids=[task.task_id], map_index=task.map_index, run_ids=[task.run_id]
    )
    found = states.get(task.run_id, {})
    return any(state is None or state in WAITING for state in found.values())


def raw_sensor(spec: AnySpec, task_id: str) -> BaseSensorOperator:
    """A deferrable sensor on the partition's raw files, by the provider of the lake."""
    settings = Settings.from_environment()
    awaited = spec.raw.ready or spec.raw.files
    path = f"{settings.lake}/raw/{spec.name}/{{{{ partition_of(dag_run, params) }}}}/{awaited}"
    options: dict[str, Any] = {
        "task_id": task_id,
        "deferrable": True,
        "poke_interval": 10,
        "timeout": WAIT.total_seconds(),
        "execution_timeout": WAIT + dt.timedelta(minutes=5),
        "doc_md": f"Waits for `{path}`, for at most {WAIT.total_seconds() / 3600:.0f} hours.",
    }
    if settings.lake.startswith("s3://"):
        from millrace.sensors.s3 import RawKeySensor

        return RawKeySensor(
            bucket_key=path, wildcard_match=True, aws_conn_id=settings.aws_connection,
            region_name=settings.aws_region, **options,
        )  # fmt: skip
    from millrace.sensors.local import RawFileSensor

    return RawFileSensor(filepath=path, **options)
