"""The scoring that a new champion starts, followed until its scores are there."""

from __future__ import annotations

import time
from collections.abc import Mapping

from millrace.datasets import AnySpec
from millrace.datasets.scoring import scoring_of
from millrace.demo.outcomes import failed_log
from millrace.demo.runs import RUN_TIMEOUT, showing
from millrace.errors import MillraceError
from millrace.lake import Place, Published, Store, read_published
from millrace.stack import Stack

STARTER = "start_scoring"  # the DAG that hears of new features and champions


def listen(stack: Stack, specs: Mapping[str, AnySpec]) -> list[str]:
    """Switch on what scores by itself; returns the data sets that are scored."""
    names = [name for name, spec in specs.items() if scoring_of(spec)]
    dags = [STARTER, *map(_dag, names)] if names else []
    stack.api.wait_for_dags(dags)
    for dag in dags:
        stack.api.unpause(dag)
    return names


def follow(stack: Stack, store: Store, name: str, partition: str) -> Published:
    """Follow the runs that events start until the partition's scores are published.

    Raises:
        MillraceError: such a run failed, with the end of its log; or none came in time.
    """
    place, dag = Place("predictions", name, partition, "scores"), _dag(name)
    begun, seen = time.monotonic(), set[str]()
    while (published := read_published(store, place)) is None:
        for run in stack.api.runs(dag):
            run_id = run["dag_run_id"]
            if run_id in seen or (run["conf"] or {}).get("partition") != partition:
                continue
            seen.add(run_id)
            ended = stack.api.wait(dag, run_id, RUN_TIMEOUT, showing(dag, begun))
            if ended["state"] != "success":
                raise MillraceError(failed_log(stack.api, dag, run_id))
        if time.monotonic() - begun > RUN_TIMEOUT:
            raise MillraceError(f"{dag}: no run published scores within {RUN_TIMEOUT} s")
        time.sleep(0.5)
    return published


def told(name: str, scores: Published) -> str:
    """One line about published scores."""
    facts = scores.facts
    return (
        f"scores of {name}: {facts['rows']:,} rows by version {facts['model_version']},"
        f" with reasons, in {scores.uri}"
    )


def _dag(name: str) -> str:
    return f"score_{name}"
