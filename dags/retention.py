"""Removes from the lake what is older than `MILLRACE_RETENTION` allows for its class of data.

Every day it lists what has expired. It removes only where `MILLRACE_RETENTION_APPLY` is `yes`, or
where a run is started with `remove: yes`. What belongs to a champion stays. See docs/privacy.md.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings


@dag(
    schedule="30 2 * * *",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # it only lists, unless the setting says otherwise
    tags=["privacy", "maintenance"],
    doc_md=__doc__,
    params={
        "remove": Param(
            "auto", enum=["auto", "yes", "no"],
            description="Remove what has expired? auto: where MILLRACE_RETENTION_APPLY is yes",
        )
    },
    default_args={**DEFAULTS, "owner": "millrace"},
)  # fmt: skip
def retention() -> None:
    @task
    def list_expired() -> list[dict[str, Any]]:
        """Lists what has expired and what stays all the same; removes nothing."""
        from dataclasses import asdict
        from datetime import UTC, datetime

        from millrace.privacy.retention import find_expired, log_expired
        from millrace.tracking.registry import champion_partitions

        settings = Settings.from_environment()
        store, days = open_lake(settings), dict(settings.retention)
        champions = champion_partitions(settings) if days else {}
        expired = find_expired(store, days, datetime.now(UTC).date(), champions)
        log_expired(store, expired, days)
        return [asdict(each) for each in expired]

    @task.short_circuit
    def may_remove() -> bool:
        """Ends the run here unless what has expired is to be removed."""
        choice = get_current_context()["params"]["remove"]
        return choice == "yes" or (choice == "auto" and Settings.from_environment().retention_apply)

    @task
    def remove_expired(expired: list[dict[str, Any]]) -> str:
        """Removes what was listed, and leaves a record of it in `privacy/retention/`."""
        from datetime import UTC, datetime

        from millrace.privacy.retention import Expired, remove_expired

        store = open_lake(Settings.from_environment())
        found = [Expired(**each) for each in expired]
        return store.uri(remove_expired(store, found, datetime.now(UTC)))

    listed = list_expired()
    removed = remove_expired(listed)  # type: ignore[arg-type]
    listed >> may_remove() >> removed


retention()
