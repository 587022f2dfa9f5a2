"""Follow a stack while it changes, and say why it failed: the first cause, not what followed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

PAUSE = 5.0  # seconds between two questions
FOLLOWED = re.compile(r"cancelled|The following resource\(s\) failed", re.IGNORECASE)

REMEDIES = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"/aws/sagemaker/\S+.*already exists",
            "the account has SageMaker's log groups already: deploy with MakeJobLogs=no",
        ),
        (
            r"^[a-z0-9.-]+ already exists|BucketAlreadyExists|BucketAlreadyOwnedByYou",
            "the bucket is there already, kept by an earlier stack or another account's: deploy"
            " with another Bucket",
        ),
        (r"already exists", "delete or rename what is there, or deploy as another STACK"),
        (
            r"not authorized|AccessDenied|UnauthorizedOperation",
            "deploy as somebody who has the right it names",
        ),
        (
            r"circuit breaker|did not stabilize|failed to stabilize",
            "the service's tasks did not become healthy: read their log group and the service's"
            " events in ECS; without a way to port 443 (PublicAddresses, a NAT gateway) they cannot"
            " even load their image",
        ),
        (
            r"source image .* does not exist|image .* not found|CannotPullContainer",
            "push the image with that tag first; the outputs name its repository",
        ),
        (
            r"two different availability zones|at least two subnets",
            "give PublicSubnets in two availability zones",
        ),
        (r"limit|quota", "ask AWS (Service Quotas) to raise the quota it names"),
    )
)


@dataclass(frozen=True)
class Event:
    """Something that happened to a resource of a stack."""

    id: str
    status: str
    name: str
    type: str
    reason: str
    of_stack: bool

    @property
    def failed(self) -> bool:
        """Whether this is a cause, and no consequence of another resource's failure."""
        return self.status.endswith("_FAILED") and not FOLLOWED.search(self.reason)

    @property
    def turns_back(self) -> bool:
        """Whether from here on everything is undone."""
        return self.of_stack and "ROLLBACK" in self.status

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.of_stack and not self.status.endswith("_IN_PROGRESS")


def events_of(cloudformation: Any, stack_id: str, known: Set[str] = frozenset()) -> list[Event]:
    """What happened to a stack, oldest first.

    Args:
        known: ids of events after which alone is asked, for AWS keeps 90 days of them.
    """
    new: list[Event] = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for said in page["StackEvents"]:  # the newest first
            if said["EventId"] in known:
                return new[::-1]
            new.append(_event(said, stack_id))
    return new[::-1]


def _event(said: Mapping[str, Any], stack_id: str) -> Event:
    return Event(
        said["EventId"], said["ResourceStatus"], said["LogicalResourceId"], said["ResourceType"],
        said.get("ResourceStatusReason") or "", said.get("PhysicalResourceId") == stack_id,
    )  # fmt: skip


def follow(
    cloudformation: Any, stack_id: str, seen: Iterable[Event], told: Callable[[Event], None]
) -> list[Event]:
    """Tell of each new event until the stack has come to rest.

    Returns:
        The new events, oldest first; the last one is the stack's own.
    """
    known = {event.id for event in seen}
    new: list[Event] = []
    while True:
        for event in events_of(cloudformation, stack_id, known):
            known.add(event.id)
            new.append(event)
            told(event)
        if new and new[-1].ended:
            return new
        time.sleep(PAUSE)


def causes(events: Iterable[Event]) -> str:
    """The resources that failed first, each with its reason and what to do."""
    happened = list(events)
    back = next((n for n, event in enumerate(happened) if event.turns_back), len(happened))
    first = [event for event in happened[:back] if event.failed and not event.of_stack]
    return "\n".join(
        f"{event.name} ({event.type}): {event.reason}\n  -> {remedy(event.reason)}"
        for event in first or [event for event in happened if event.failed or event.turns_back]
    )


def remedy(reason: str) -> str:
    """What to do about a reason, in CloudFormation's words."""
    found = (text for pattern, text in REMEDIES if pattern.search(reason))
    return next(found, "mend what it names")
