"""`make rollback DATASET=<name>`: put the previous champion back into service, in one step.

A service that looks for its champion by itself takes it within seconds. What waits to be told of a
champion, a deployment on ECS or the scoring, is told through Airflow's API.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.airflow_api import AirflowApi, AirflowApiError
from millrace.datasets.folder import usable_specs
from millrace.datasets.listening import listeners_of
from millrace.errors import MillraceError
from millrace.lake.lease import lease
from millrace.runs import open_lake
from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking.registry import roll_back
from millrace.tracking.server import TrackingUnavailable, connect, within_budget

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def main(arguments: list[str] | None = None) -> int:
    """Move the alias back and tell who listens; 0 if it moved."""
    parser = argparse.ArgumentParser(prog="make rollback", description=__doc__)
    parser.add_argument("dataset", help="name of the data set whose champion is to go")
    dataset = parser.parse_args(arguments).dataset
    try:
        settings = Settings.from_environment()
        stack = Stack(settings)
        settings = replace(settings, mlflow_uri=stack.mlflow_url)
        with lease(open_lake(settings), f"champion/{dataset}"):
            left, restored = within_budget(settings, lambda: roll_back(connect(settings), dataset))
    except (MillraceError, TrackingUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"{dataset}: version {restored.version} is the champion again, in place of {left.version}."
    )
    spec = usable_specs(settings.datasets).get(dataset)
    if listeners := listeners_of(spec) if spec else []:
        print(*tell(stack.api, listeners, left), sep="\n")
    return 0


def tell(api: AirflowApi, listeners: list[str], left: ModelVersion) -> list[str]:
    """Tell the DAGs that listen that the champion has changed; a line on each for a person.

    The event is of the partition that had brought the version that left: there its work is undone.
    """
    from millrace.assets import champion_of

    day, hearing = left.tags["millrace.partition"], set[str]()
    try:
        hearing = {dag_id for dag_id in listeners if not api.is_paused(dag_id)}
        if hearing:
            api.announce(champion_of(left.name).uri, day, {"changed": True, "backfill": False})
    except AirflowApiError as error:
        print(f"Airflow was not told: {error}", file=sys.stderr)
        hearing = set()
    return [
        f"{dag_id} starts now." if dag_id in hearing else _by_hand(dag_id, left, day)
        for dag_id in listeners
    ]


def _by_hand(dag_id: str, left: ModelVersion, day: str) -> str:
    if dag_id == "start_scoring":
        return (
            f"Trigger score_{left.name} for the partition {day}: until then its scores are those of"
            f" version {left.version}."
        )
    return (
        f"Switch {dag_id} on and trigger it: until then a service on ECS stays with version"
        f" {left.version}."
    )


if __name__ == "__main__":
    sys.exit(main())
