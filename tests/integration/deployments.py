"""The DAG that deploys a data set under a scheduler: its runs, the question in them, their ends."""

from __future__ import annotations

from millrace.stack import Stack
from tests.integration.waiting import eventually, finished


class Deployments:
    """The runs of `deploy_<data set>` where a person has to agree."""

    def __init__(self, stack: Stack, dataset: str):
        self.stack, self.dag = stack, f"deploy_{dataset}"

    def waiting(self, known: set[str]) -> str:
        """The next run, once it waits for a person."""
        return eventually(lambda: self._waits(known), "a run that waits for a person", self.stack)

    def _waits(self, known: set[str]) -> str:
        for run in self.stack.api.runs(self.dag):
            if (
                run["dag_run_id"] not in known
                and self.states(run["dag_run_id"]).get("approve") == "awaiting_input"
            ):
                return str(run["dag_run_id"])
        return ""

    def states(self, run_id: str) -> dict[str, str]:
        tasks = self.stack.api.task_instances(self.dag, run_id)
        return {task["task_id"]: task["state"] for task in tasks}

    def respond(self, run_id: str, option: str) -> None:
        """Answer for a person."""
        self.stack.api.respond(self.dag, run_id, "approve", option)

    def end(self, run_id: str) -> tuple[str, dict[str, str]]:
        """The state of a run at its end, and that of each task."""
        return finished(self.stack, self.dag, run_id)["state"], self.states(run_id)

    def answer(self, run_id: str, option: str) -> tuple[str, dict[str, str]]:
        """Answer for a person, and follow the run to its end."""
        self.respond(run_id, option)
        return self.end(run_id)

    def log(self, run_id: str, task: str) -> str:
        return self.stack.api.log(self.dag, run_id, task, 1)
