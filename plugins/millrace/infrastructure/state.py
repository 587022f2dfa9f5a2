"""What CloudFormation says of a stack, and whether it can be deployed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.errors import MillraceError
from millrace.infrastructure import cfn_yaml
from millrace.infrastructure.template import Template

NEW = "REVIEW_IN_PROGRESS"  # a change set was made, and never carried out
CLEAR = "`make destroy{stack}` clears it away, then deploy again"
STUCK = {
    "ROLLBACK_COMPLETE": f"it was never made: {CLEAR}",
    "ROLLBACK_FAILED": f"it was never made: {CLEAR}",
    "CREATE_FAILED": f"it was never made: {CLEAR}",
    "DELETE_FAILED": "it is half gone: `make destroy{stack}` again says what could not be deleted",
    "UPDATE_ROLLBACK_FAILED": (
        "the way back failed: mend what its events name, then"
        " `aws cloudformation continue-update-rollback --stack-name {name}`"
    ),
}


class StackError(MillraceError):
    """The stack cannot be changed now; the message says what to do."""


@dataclass(frozen=True)
class State:
    """A stack as it stands.

    Attributes:
        id: its ARN, by which it is found after it was deleted too.
        status: CloudFormation's, such as `CREATE_COMPLETE`.
        parameters: their values by name.
        outputs: their values by name.
    """

    id: str
    name: str
    status: str
    parameters: Mapping[str, str] = field(hash=False)
    outputs: Mapping[str, str] = field(hash=False)

    @property
    def is_made(self) -> bool:
        """Whether there is more of it than a change set."""
        return self.status != NEW

    def check(self) -> None:
        """Whether it can be deployed to.

        Raises:
            StackError: it is being changed, or stuck.
        """
        if self.status in STUCK:
            option = "" if self.name == "millrace" else f" STACK={self.name}"
            remedy = STUCK[self.status].format(name=self.name, stack=option)
            raise StackError(f"the stack {self.name} is in {self.status}; {remedy}")
        if self.status.endswith("_IN_PROGRESS") and self.is_made:
            raise StackError(
                f"the stack {self.name} is in {self.status}; wait until that has ended"
            )


def state_of(cloudformation: Any, name: str) -> State | None:
    """The stack of a name or an ARN; None where there is none, or none any more."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] == "DELETE_COMPLETE" and name != found["StackId"]:
        return None
    parameters = {
        each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
    }
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return State(found["StackId"], found["StackName"], found["StackStatus"], parameters, outputs)


def template_of(cloudformation: Any, name: str) -> Template:
    """The template that a stack was last deployed with."""
    body = cloudformation.get_template(StackName=name)["TemplateBody"]
    return Template(body) if isinstance(body, dict) else Template(cfn_yaml.load(body))


def resources_of(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    """What a stack holds now: logical and physical id, type."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    return [
        each
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    ]  # fmt: skip
