"""The question whether a version may come into service."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

ANSWER_WITHIN = dt.timedelta(days=2)
PLANNED = "ti.xcom_pull(task_ids='plan')"  # what the task `plan` found out


class ApproveDeployment(ApprovalOperator):
    """Asks a person; a rejection, or no answer in time, leaves the service as it is.

    What the provider's operator lacks: it names both versions, and says what a rejection means.
    """

    def __init__(self, *, dataset: str, **options: Any):
        now = f"{PLANNED}['before']"
        super().__init__(
            subject=f"Deploy version {{{{ {PLANNED}['version'] }}}} of {dataset}?",
            body=f"In service now: {{{{ 'version ' ~ {now}['version'] if {now} else 'none' }}}}."
            f" Reject, or no answer for {ANSWER_WITHIN.days} days, leaves it so.",
            defaults=self.REJECT, response_timeout=ANSWER_WITHIN, execution_timeout=None,
            **options,
        )  # fmt: skip

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on, or skip what follows."""
        if self.REJECT in event.get("chosen_options", ()):
            self.log.warning("Rejected, or not answered in time: the service stays as it is.")
        return super().execute_complete(context, event)
