"""A spec that cannot be used gets a DAG that says why, and leaves all other DAGs alone.

It fails once a day: a pipeline must not stop unnoticed because of a slip in its spec.
"""

from __future__ import annotations

import re

from airflow.sdk import dag, task

from millrace.datasets import load_image_specs, load_relational_specs, load_specs
from millrace.datasets.file import SpecError
from millrace.settings import Settings


def broken(name: str, error: SpecError, kind: str) -> None:
    """Define the DAG of one spec."""

    @task
    def read_spec() -> None:
        """Fails with everything that is wrong with the spec."""
        raise SpecError(error.problems)

    @dag(
        dag_id=re.sub(r"[^\w.-]", "_", name),
        schedule="@daily",
        catchup=False,
        tags=[kind, "broken spec"],
        doc_md=f"{__doc__}\n```\n{error}\n```",
    )
    def pipeline() -> None:
        read_spec()

    pipeline()


LOADERS = {
    "tabular": load_specs,
    "images": load_image_specs,
    "relational": load_relational_specs,
}
for kind, load in LOADERS.items():
    for name, error in load(Settings.from_environment().datasets)[1].items():
        broken(name, error, kind)
