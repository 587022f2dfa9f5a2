"""Erases people from everything that a data set has in the lake, with a proof for each.

Whom to erase does not stand in the form: Airflow keeps what a run is started with in clear. A
request is a file of the lake, `requests/<data set>/<name>`, that holds the person's identifier;
`make erase DATASET=<name>` writes one and prints its name. The form takes that
name, or nothing for all requests that wait. A fulfilled request is removed.

It is safe to clear or repeat at any time. A task that works on the person's data meanwhile fails
and tries again with what is left. See docs/privacy.md.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, get_current_context, task

from millrace.datasets import DatasetSpec, RelationalSpec, load_relational_specs, load_specs
from millrace.privacy.names import REQUEST
from millrace.runs import DEFAULTS, open_lake
from millrace.settings import Settings

folder = Settings.from_environment().datasets
specs: dict[str, DatasetSpec | RelationalSpec] = {
    **load_specs(folder)[0],
    **load_relational_specs(folder)[0],
}
named = [name for name, spec in specs.items() if spec.id_column]


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["privacy"],
    doc_md=__doc__,
    params={
        "dataset": Param(
            None, enum=[None, *named], type=["null", "string"],
            description="The data set of the requests; empty for all",
        ),
        "request": Param(
            None, type=["null", "string"], pattern=REQUEST,
            description="Name of a request, never an identifier; empty for all that wait",
        ),
    },
    default_args={**DEFAULTS, "owner": "millrace"},
)  # fmt: skip
def erase_subject() -> None:
    @task
    def erase_requested() -> list[str]:
        """Erases whom the requests name, proves it, and removes the requests."""
        from airflow.sdk.log import mask_secret

        from millrace.privacy.key import installation_key
        from millrace.privacy.requests import erase_requested

        settings, params = Settings.from_environment(), get_current_context()["params"]
        chosen = [params["dataset"]] if params["dataset"] else named
        return erase_requested(
            open_lake(settings), {name: specs[name] for name in chosen},
            installation_key(settings), request=params["request"], mask=mask_secret,
        )  # fmt: skip

    erase_requested()


erase_subject()
