"""How a page asks its model: the checks, messages and counts are the API's."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.exceptions import HTTPException

import contributions
from millrace.errors import MillraceError
from serving.forms import Refused
from serving.model import OutOfRange, ServedModel
from serving.ui import answers
from serving.ui.changes import Change, smallest_changes
from serving.ui.fields import labels_of, signature
from serving.ui.words import complaint, shown_as

if TYPE_CHECKING:
    from serving.app import Answered
    from serving.ui.pages import Answering

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
CHANGED = "The model takes other inputs since this page was opened. Load the page again."


class Asking:
    """The way from a page to the model that is in service when a button is pressed.

    Args:
        model: for which the page is built; the one that answers may be newer.
    """

    def __init__(self, service: Answering, model: ServedModel) -> None:
        self.service, self.dataset = service, str(model.card["dataset"])
        self.signature = signature(model.card["fields"])

    async def answer(self, record: Record) -> Answered:
        """Ask as the API is asked: checked, counted, recorded."""
        return await self.service.ask(self.dataset, json.dumps(record).encode())

    async def explained(self, record: Record) -> tuple[ServedModel, Record, dict[str, Any]]:
        """The same answer with its reasons, which is not a second prediction."""
        model, checked = self._checked(record)
        work = partial(model.answer, [checked], explained=True)
        [answer] = await anyio.to_thread.run_sync(work)
        return model, checked, answer

    async def changes(self, record: Record) -> tuple[ServedModel, list[Change]]:
        """The smallest changes of one input that would turn the verdict."""
        model, checked = self._checked(record)

        def score(records: Any) -> Any:
            return model.probability(model.matrix(records))

        work = partial(smallest_changes, checked, ranges_of(model), score, model.facts["threshold"])
        return model, await anyio.to_thread.run_sync(work)

    def _checked(self, record: Record) -> tuple[ServedModel, Record]:
        model, form = self.service.found(self.dataset)
        [checked], _ = form.parse(json.dumps(record).encode())
        return model, checked

    def handler(
        self, work: Callable[..., Awaitable[Any]], blank: tuple[Any, ...] = ()
    ) -> Callable[..., Awaitable[Any]]:
        """A function for a button: what goes wrong is told in the first output.

        Args:
            work: takes the inputs of the page.
            blank: for the other outputs, when there is nothing to show.
        """

        async def handle(sent: str, *values: Any) -> Any:
            try:
                said = await self._told(sent, work, values)
            except Exception as error:
                # As in the log of requests: the error's own text may quote what was typed.
                frames = [f"{frame.filename}:{frame.lineno} {frame.name}"
                          for frame in traceback.extract_tb(error.__traceback__)]  # fmt: skip
                facts = {"dataset": self.dataset, "error": type(error).__name__,
                         "frames": frames[-8:]}  # fmt: skip
                log.error("a page failed", extra={"facts": facts})
                said = answers.refusal(["This could not be answered; the reason is in the log."])
            if not isinstance(said, str):
                return said
            return (said, *blank) if blank else said

        return handle

    async def _told(self, sent: str, work: Callable[..., Awaitable[Any]], values: Any) -> Any:
        try:
            if sent != signature(self.service.found(self.dataset)[0].card["fields"]):
                return answers.refusal([CHANGED])
            return await work(*values)
        except Refused as refused:
            _, form = self.service.found(self.dataset)
            return answers.refusal([complaint(each, form.fields) for each in refused.problems])
        except HTTPException as error:
            return answers.refusal([str(error.detail)])
        except (MillraceError, OutOfRange, contributions.Unexplained) as error:
            return answers.refusal([str(error)])


def ranges_of(model: ServedModel) -> dict[str, Any]:
    """Where the inputs that a person can change are searched: seen ranges, and labels."""
    fields = {field["name"]: field for field in model.card["fields"]}
    found: dict[str, Any] = {}
    for name in shown_as(model.card)["changeable"]:
        field = fields.get(name, {})
        if field.get("type") == "number" and "observed" in field:
            found[name] = field["observed"]
        elif field.get("type") == "text":
            found[name] = labels_of(field, model.state)
    return found
