"""Change sets: what a deployment would do, before it does it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.infrastructure.state import StackError, State
from millrace.infrastructure.template import Template

PAUSE = 2.0  # seconds between two questions
LONGEST = 300.0  # seconds until a change set is there
NOTHING = re.compile("didn't contain changes|No updates are to be performed")
TAGS = [
    {"Key": "project", "Value": "millrace"}
]  # as every job has it: together they split the bill


@dataclass(frozen=True)
class Change:
    """What would become of one resource."""

    action: str
    name: str
    type: str
    replacement: str

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of the preview."""
        return self.action, self.name, self.type, self.replacement


@dataclass(frozen=True)
class ChangeSet:
    """A change set that can be carried out."""

    id: str
    stack_id: str
    changes: tuple[Change, ...]


def propose(
    cloudformation: Any,
    name: str,
    template: Template,
    given: Mapping[str, str],
    state: State | None,
) -> ChangeSet | None:
    """Have CloudFormation work out what would change; None if nothing would.

    Parameters that are not given keep their value.

    Raises:
        StackError: CloudFormation refuses the template with these values.
    """
    previous = set(state.parameters) if state and state.is_made else set()
    kept = sorted((previous & set(template.parameters)) - set(given))
    try:
        answer = cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=f"deploy-{int(time.time())}",
            ChangeSetType="UPDATE" if state and state.is_made else "CREATE",
            TemplateBody=template.body,
            Capabilities=["CAPABILITY_IAM"],
            Tags=TAGS,
            Parameters=[
                *({"ParameterKey": key, "ParameterValue": value} for key, value in given.items()),
                *({"ParameterKey": key, "UsePreviousValue": True} for key in kept),
            ],
        )
    except cloudformation.exceptions.ClientError as error:
        if NOTHING.search(str(error)):
            return None
        raise
    found = _wait(cloudformation, answer["Id"], answer["StackId"])
    if found is None:
        cloudformation.delete_change_set(ChangeSetName=answer["Id"], StackName=answer["StackId"])
        return None
    return ChangeSet(answer["Id"], answer["StackId"], tuple(_change(each) for each in found))


def withdraw(cloudformation: Any, proposed: ChangeSet, state: State | None) -> None:
    """Leave everything as it was: a first change set makes an empty stack, which goes too."""
    cloudformation.delete_change_set(ChangeSetName=proposed.id, StackName=proposed.stack_id)
    if state is None or not state.is_made:
        cloudformation.delete_stack(StackName=proposed.stack_id)


def _wait(cloudformation: Any, change_set: str, stack: str) -> list[dict[str, Any]] | None:
    """The changes, once they are worked out; None if there are none."""
    deadline = time.monotonic() + LONGEST
    while True:
        found = cloudformation.describe_change_set(ChangeSetName=change_set, StackName=stack)
        reason = found.get("StatusReason", "")
        if found["Status"] == "CREATE_COMPLETE":
            return _all(cloudformation, found, change_set, stack)
        if found["Status"] == "FAILED" and NOTHING.search(reason):
            return None
        if found["Status"] == "FAILED":
            raise StackError(f"CloudFormation refuses the change: {reason}; mend what it names")
        if time.monotonic() > deadline:
            raise StackError(f"the change set {change_set} is in {found['Status']} after 5 minutes")
        time.sleep(PAUSE)


def _all(
    cloudformation: Any, page: dict[str, Any], change_set: str, stack: str
) -> list[dict[str, Any]]:
    changes = list(page["Changes"])
    while token := page.get("NextToken"):
        page = cloudformation.describe_change_set(
            ChangeSetName=change_set, StackName=stack, NextToken=token
        )
        changes += page["Changes"]
    return [each["ResourceChange"] for each in changes]


def _change(said: Mapping[str, Any]) -> Change:
    replacement = {"True": "yes", "Conditional": "maybe"}.get(said.get("Replacement", ""), "")
    return Change(said["Action"], said["LogicalResourceId"], said["ResourceType"], replacement)
