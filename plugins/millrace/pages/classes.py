"""The evaluation of a data set of several classes as one page."""

from __future__ import annotations

import base64
from typing import Any

from millrace.metrics import CLASS_METRICS
from millrace.pages.components import job_facts
from millrace.pages.evaluation import page_values
from millrace.pages.figures import Chart
from millrace.pages.render import render


def class_evaluation_page(
    summary: dict[str, Any],
    charts: dict[str, Chart],
    samples: dict[str, list[dict[str, Any]]],
    pictures: dict[str, bytes],
) -> str:
    """The page of one evaluation on the test images.

    Args:
        summary: as for tables, with `classes`, `by_class` of the winner, and `job`.
        charts: `confusion`.
        samples: predictions by `right` and `wrong`: path, actual, named, picture, answers.
        pictures: `map` and `scree` of the partition as PNG.
    """
    values = page_values(summary, CLASS_METRICS)
    rows = summary["by_class"]
    return render(
        "classes.html.j2",
        **values,
        charts=charts,
        samples=samples,
        by_class=sorted(rows, key=lambda row: (row["recall"] is None, row["recall"] or 0)),
        job=job_facts(summary["job"]),
        pictures={
            name: f"data:image/png;base64,{base64.b64encode(content).decode()}"
            for name, content in pictures.items()
        },
    )
