"""The images of a partition as models see them: labels, network, map and scree plot on one page."""

from typing import Any

from millrace.pages.class_figures import Chart
from millrace.pages.render import render


def components_page(
    title: str, facts: dict[str, Any], counts: dict[str, list[int]], charts: dict[str, Chart]
) -> str:
    """The page of the step split_components.

    Args:
        facts: what the step leaves beside its files.
        counts: train, test and left-out images by label.
        charts: `map` and `scree`.
    """
    most = max((sum(sides) for sides in counts.values()), default=0) or 1
    labels = [
        {"name": name, "train": train, "test": test, "left": left,
         "width": round(100 * (train + test + left) / most, 1)}
        for name, (train, test, left) in counts.items()
    ]  # fmt: skip
    return render("components.html.j2", title=title, facts=facts, labels=labels, charts=charts,
                  job=job_facts(facts["job"]))  # fmt: skip


def job_facts(job: dict[str, Any]) -> dict[str, Any]:
    """The figures of the job that made the features, with None for those it did not leave."""
    names = ("images", "rows", "quarantined", "reused", "width", "components", "cosine",
             "images_per_second", "seconds", "spark")  # fmt: skip
    network = {"name": "?", "weights": "", "precision": "", "runtime": "", "sha256": "", "id": ""}
    return {
        **dict.fromkeys(names), **job, "network": {**network, **job["network"]},
        "random": is_random(job["network"]),
    }  # fmt: skip


def is_random(network: dict[str, Any]) -> bool:
    """Whether a network stands in whose weights were never trained."""
    return str(network.get("weights", "")).startswith("random")
