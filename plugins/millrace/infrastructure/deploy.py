"""`make deploy` and `make destroy`, step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from millrace.errors import MillraceError
from millrace.infrastructure.changes import Change, propose, withdraw
from millrace.infrastructure.events import Event, causes, events_of, follow
from millrace.infrastructure.state import resources_of, state_of, template_of
from millrace.infrastructure.template import Template

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")
Ask = Callable[[str], str]


class Failed(MillraceError):
    """A stack did not become what it should; the message names the causes."""


def deploy(
    cloudformation: Any, name: str, template: Template, given: Mapping[str, str], ask: Ask | None
) -> None:
    """Make or change a stack, after a look at what that means.

    Args:
        given: values by parameter; the others keep what they have, or take their default.
        ask: gets an answer from a person; None to go on without.

    Raises:
        MillraceError: the values, the stack or AWS stand in the way; or it failed, and why.
    """
    state = state_of(cloudformation, name)
    if state:
        state.check()
    previous = state.parameters if state and state.is_made else {}
    template.check(given, frozenset(previous))
    proposed = propose(cloudformation, name, template, given, state)
    if proposed is None:
        print(f"{name} is as the template says: nothing to do.")
    else:
        print(preview(proposed.changes))
        if ask and ask("Carry this out? Type yes: ") != "yes":
            withdraw(cloudformation, proposed, state)
            raise Failed("nothing was changed, because the answer was not yes")
        seen = events_of(cloudformation, proposed.stack_id)
        cloudformation.execute_change_set(ChangeSetName=proposed.id, StackName=proposed.stack_id)
        _follow(cloudformation, proposed.stack_id, seen, len(proposed.changes))
    print(env_lines(cloudformation, name, template))


def destroy(cloudformation: Any, name: str, ask: Ask) -> None:
    """Delete a stack, once somebody has typed its name.

    Raises:
        MillraceError: there is no such stack, the name was not typed, or something would not go.
    """
    state = state_of(cloudformation, name)
    if state is None:
        raise Failed(f"there is no stack {name} in this account and region; set STACK to its name")
    retained = template_of(cloudformation, name).retained if state.is_made else frozenset()
    held = resources_of(cloudformation, name)
    rows = [
        ("stays" if each["LogicalResourceId"] in retained and _is_made(each) else "is deleted",
         each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", ""))
        for each in held
    ]  # fmt: skip
    print(columns(("what", "name", "type", "id"), sorted(rows)))
    if ask(f"Type the stack's name ({name}) to delete it: ") != name:
        raise Failed("nothing was deleted, because another name was typed")
    seen = events_of(cloudformation, state.id)
    cloudformation.delete_stack(StackName=state.id)
    _follow(cloudformation, state.id, seen, len(rows))
    for _, logical, kind, physical in (row for row in rows if row[0] == "stays"):
        print(f"{logical} stays: {kind} {physical}")


def _is_made(resource: Mapping[str, Any]) -> bool:
    return bool(resource["ResourceStatus"] != "CREATE_FAILED")


def preview(changes: Sequence[Change]) -> str:
    """What would be done, a line a resource; and how much of what it is."""
    if not changes:
        return "No resource changes; outputs or tags do."
    rows = sorted(change.cells for change in changes)
    counts = {action: sum(row[0] == action for row in rows) for action, *_ in rows}
    replaced = sum(change.replacement == "yes" for change in changes)
    total = ", ".join(f"{count} {action}" for action, count in counts.items())
    return (
        columns(("action", "name", "type", "replacement"), rows)
        + f"\n\n{len(rows)} resources: {total}; {replaced} made anew in place of the old."
    )


def env_lines(cloudformation: Any, name: str, template: Template) -> str:
    """The outputs that are lines of `.env`, in the order of the template; not what it exports."""
    state = state_of(cloudformation, name)
    outputs = state.outputs if state else {}
    known = [
        key for key, said in template.sections.get("Outputs", {}).items()
        if key in outputs and "Export" not in said
    ]  # fmt: skip
    return "\n# For .env:\n" + "\n".join(outputs[key] for key in known)


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a terminal."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _follow(cloudformation: Any, stack_id: str, seen: Sequence[Event], total: int) -> None:
    """Show the progress; complain with the causes where it ends badly."""
    done: set[str] = set()

    def told(event: Event) -> None:
        if event.status.endswith("_COMPLETE") and not event.of_stack:
            done.add(event.name)
        reason = f"  {event.reason}" if event.failed else ""
        print(f"[{len(done)}/{total}]  {event.status:<20}  {event.name}{reason}", flush=True)

    events = follow(cloudformation, stack_id, seen, told)
    if events[-1].status not in GOOD:
        raise Failed(f"the stack is in {events[-1].status}. What failed first:\n{causes(events)}")


def ask_person(question: str) -> str:
    """A line from the terminal, or from what is piped in; empty at the end of it."""
    print(question, end="", flush=True)
    return sys.stdin.readline().strip()
