"""The commands as somebody runs them, against moto's CloudFormation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millrace.infrastructure.state import state_of
from millrace.infrastructure.template import TEMPLATE, Template
from tests.infrastructure.conftest import LEAST, Said
from tests.infrastructure.evaluate import ACCOUNT, REGION

GIVEN = [f"{name}={value}" for name, value in LEAST.items()]


Run = Callable[..., Said]


def status_of(cloud: Any, name: str = "millrace") -> str | None:
    found = state_of(cloud, name)
    return found.status if found else None


def stack_in_moto() -> Any:
    """The stack `millrace` as moto holds it, in this process."""
    from moto.cloudformation.models import cloudformation_backends

    stacks = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    return next(stack for stack in stacks if stack.name == "millrace")


def play(happening: list[tuple[str, str, str]], end: str) -> Callable[..., None]:
    """A backend's call that ends badly: events of resources as name, status and reason."""
    from moto.cloudformation.models import Event

    def fail(*_: Any, **__: Any) -> None:
        stack = stack_in_moto()
        for name, status, reason in happening:
            if name == "millrace":
                stack._add_stack_event(status, reason)
                continue
            kind = Template.read(TEMPLATE.read_text()).resources[name]["Type"]
            stack.events.append(
                Event(stack.stack_id, "millrace", name, f"{name}-1", kind, status, reason, None)
            )
        stack._add_stack_event(end)
        stack.status = end

    return fail
