"""How the pipelines ended, and the table that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from millrace.airflow_api import AirflowApi
from millrace.lake import Place, Store, read_published, require_published

SHOWN_METRICS = ("accuracy", "top_3_accuracy", "f1", "roc_auc")


@dataclass(frozen=True)
class Outcome:
    """How one pipeline ended."""

    dataset: str
    state: str
    seconds: float
    facts: dict[str, Any]
    report: str = ""
    trouble: str = ""


def outcome_of(
    api: AirflowApi,
    store: Store,
    name: str,
    run: dict[str, Any],
    partition: str,
    seconds: float,
) -> Outcome:
    """What a finished run achieved, or the end of the log of the task that failed."""
    if run["state"] != "success":
        trouble = failed_log(api, name, run["dag_run_id"])
        return Outcome(name, run["state"], seconds, {}, trouble=trouble)
    place = Place("reports", name, partition, "evaluation")
    published = require_published(store, place, "evaluate")
    promoted = api.xcom(name, run["dag_run_id"], "promote")
    facts = {**published.facts, "champion": promoted["champion"], "reasons": promoted["reasons"],
             "version": promoted["version"]}  # fmt: skip
    explained = read_published(store, Place("reports", name, partition, "explanation"))
    page = f"{(explained or published).uri}/report.html"
    return Outcome(name, "success", seconds, facts, page)


def failed_log(api: AirflowApi, name: str, run_id: str) -> str:
    """The last lines of the log of the first task that failed."""
    for task in api.task_instances(name, run_id):
        if task["state"] == "failed":
            text = api.log(name, run_id, task["task_id"], task["try_number"], task["map_index"])
            return f"{name}: {task['task_id']} failed:\n" + "\n".join(text.splitlines()[-25:])
    return f"{name}: the run failed, but no task did"


def table(outcomes: list[Outcome]) -> str:
    """The result of the demo: a line a data set, then the reports and what went wrong."""
    titles = (metric.removesuffix("_accuracy") for metric in SHOWN_METRICS)
    header = ("data set", "winner", *titles, "gates", "champion", "seconds")
    rows = [header, *(_cells(outcome) for outcome in outcomes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(header))]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    for outcome in outcomes:
        if outcome.report:
            lines.append(f"report of {outcome.dataset}: {outcome.report}")
        if outcome.trouble:
            lines.append(outcome.trouble)
    return "\n" + "\n".join(line.rstrip() for line in lines)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    if outcome.state != "success":
        return (
            outcome.dataset,
            outcome.state,
            *("-" for _ in SHOWN_METRICS),
            "-",
            "-",
            f"{outcome.seconds:.0f}",
        )
    facts = outcome.facts
    held = sum(gate["holds"] for gate in facts["gates"])
    return (
        outcome.dataset,
        facts["winner"],
        *(_shown(facts["metrics"].get(metric)) for metric in SHOWN_METRICS),
        f"{held} of {len(facts['gates'])} hold",
        "yes" if facts["champion"] else f"no: {facts['reasons']}",
        f"{outcome.seconds:.0f}",
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
