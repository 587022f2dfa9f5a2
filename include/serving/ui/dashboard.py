"""The page of one client: looked up or typed, with reasons, the place among others, and changes.

What a card marks as personal is neither shown nor asked for: of a client it is taken from the lake,
else it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import gradio as gr

from serving.forms import Refused
from serving.model import ServedModel
from serving.ui import answers, charts
from serving.ui.asking import Asking, ranges_of
from serving.ui.clients import Clients, as_record, clients_of
from serving.ui.fields import record_of, widgets
from serving.ui.single import QUIET, live, reasons_of, turned_of
from serving.ui.words import about, name_of, shown_as

if TYPE_CHECKING:
    from serving.ui.pages import Answering

FIRST = 10  # inputs of their own; all others stand in a table
HEADERS = ["Feature", "Value", "Meaning"]

Field = Mapping[str, Any]
Table = list[list[Any]]


def fill(service: Answering, model: ServedModel, lake: str | None) -> None:
    """Fill the open Blocks."""
    desk = Desk(Asking(service, model), model, clients_of(lake, model.card["dataset"]))
    sent = gr.Textbox(desk.asking.signature, visible=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4):
            client, find, inputs, table, ask = _form(desk, model)
        with gr.Column(scale=5):
            answer, place = live("answer"), live("place")
            with gr.Row():
                why = gr.Button("Why?")
                turn = gr.Button("What would change it?", visible=bool(ranges_of(model)))
            reasons, turned = live("reasons"), live("turned")
    given, told = [sent, client, table, *inputs], [answer, place, reasons, turned]
    kept = ("", "", "", *[gr.skip()] * (1 + len(inputs)))
    gr.on([find.click, client.submit], desk.asking.handler(desk.look_up, kept), [sent, client],
          [*told, table, *inputs], **QUIET)  # fmt: skip
    ask.click(desk.asking.handler(desk.score, ("", "", "")), given, told, **QUIET)
    why.click(desk.asking.handler(desk.explain), given, reasons, **QUIET)
    turn.click(desk.asking.handler(desk.turn), given, turned, **QUIET)


def _form(desk: Desk, model: ServedModel) -> tuple[Any, Any, list[Any], Any, Any]:
    """Client, button to look up, inputs, table of the others, button to score."""
    has_clients = desk.clients is not None
    client = gr.Textbox(
        label="Client", info="The id of a client in the lake; empty for a made-up one",
        max_lines=1, max_length=200, visible=has_clients,
    )  # fmt: skip
    find = gr.Button("Look up", visible=has_clients)
    with gr.Column(elem_classes=["many"]):
        inputs = widgets(desk.first, model.state)
    with gr.Accordion(f"All other {len(desk.others)} features", open=False):
        table = gr.Dataframe(
            desk.rows({field["name"]: field["example"] for field in desk.others}),
            headers=HEADERS, datatype=["str", "str", "str"], static_columns=[0, 2],
            type="array", interactive=True, label="Other features", max_height=420,
            show_search="filter", column_widths=["30%", "20%", "50%"], wrap=True,
        )  # fmt: skip
    return client, find, inputs, table, gr.Button("Score", variant="primary")


class Desk:
    """What the page does with a client.

    Attributes:
        first: fields with an input of their own: those that matter most to the model.
        others: all other fields that may be shown.
    """

    def __init__(self, asking: Asking, model: ServedModel, clients: Clients | None) -> None:
        self.asking, self.clients = asking, clients
        self.fields = list(model.card["fields"])
        seen = [field for field in self.fields if not field.get("personal")]
        first = [name for name, _ in model.facts.get("importance", [])]
        rank = {name: place for place, name in enumerate(dict.fromkeys(first))}
        ordered = sorted(seen, key=lambda field: rank.get(field["name"], len(rank)))
        self.first, self.others = ordered[:FIRST], ordered[FIRST:]

    def rows(self, record: Mapping[str, Any]) -> Table:
        """The table of the other features, as text; what is not known is empty."""
        return [[field["name"], _text(record.get(field["name"])), _meaning(field)]
                for field in self.others]  # fmt: skip

    async def look_up(self, identifier: str) -> tuple[Any, ...]:
        """Put a client's features into the inputs, and score them."""
        record = await self._of_client(identifier)
        if record is None:
            raise Refused([{"message": "Type the id of a client first."}])
        values = [record.get(field["name"], _empty(field)) for field in self.first]
        return (*await self._scored(record), "", "", self.rows(record), *values)

    async def score(self, identifier: str, table: Table, *values: Any) -> tuple[str, ...]:
        """Score what stands in the inputs."""
        return (*await self._scored(await self._record(identifier, table, values)), "", "")

    async def explain(self, identifier: str, table: Table, *values: Any) -> str:
        """The reasons of the score."""
        return await reasons_of(self.asking, await self._record(identifier, table, values))

    async def turn(self, identifier: str, table: Table, *values: Any) -> str:
        """What would turn the verdict."""
        return await turned_of(self.asking, await self._record(identifier, table, values))

    async def _scored(self, record: dict[str, Any]) -> tuple[str, str]:
        found = await self.asking.answer(record)
        [answer] = found.answers
        page = shown_as(found.model.card)
        place = await anyio.to_thread.run_sync(self._among, answer)
        return answers.verdict(page, answer) + answers.ruler(answer), place

    def _among(self, answer: Mapping[str, Any]) -> str:
        scores = self.clients.scores() if self.clients else None
        if scores is None or not len(scores.probability):
            return answers.sentence("No scores of other clients are in the lake.")
        note = f"Clients of {scores.partition}, scored by {scores.model or 'an unnamed model'}."
        drawn = charts.among(scores.probability, answer["probability"], answer["threshold"])
        return drawn + answers.sentence(note)

    async def _record(self, identifier: str, table: Table, values: Sequence[Any]) -> dict[str, Any]:
        """What was typed, and of a client what is not shown too."""
        typed = record_of(self.first, values) | self._typed(table)
        client = await self._of_client(identifier)
        hidden = {field["name"] for field in self.fields if field.get("personal")}
        return typed | {name: value for name, value in (client or {}).items() if name in hidden}

    def _typed(self, table: Table) -> dict[str, Any]:
        """The table as it came back, in any order.

        Raises:
            Refused: text stands where a number is needed.
        """
        texts = {str(row[0]): str(row[1]).strip() for row in table if row[1] is not None}
        found: dict[str, Any] = {}
        for field in self.others:
            text = texts.get(field["name"], "")
            if text and field["type"] == "number":
                try:
                    found[field["name"]] = float(text.replace(",", ""))
                except ValueError:
                    raise Refused(
                        [{"field": field["name"], "message": "it must be a number"}]
                    ) from None
            elif text:
                found[field["name"]] = text
        return found

    async def _of_client(self, identifier: str) -> dict[str, Any] | None:
        """A client's features in the lake; None where no client is named.

        Raises:
            Refused: there is no such client.
        """
        identifier = (identifier or "").strip()
        if not identifier or self.clients is None:
            return None
        row = await anyio.to_thread.run_sync(self._row, self.clients, identifier)
        return as_record(row, self.fields)

    def _row(self, clients: Clients, identifier: str) -> dict[str, Any]:
        features = clients.features()
        if features is None:
            raise Refused([{"message": "There are no features of clients in the lake yet."}])
        row = features.row(identifier, [field["name"] for field in self.fields])
        if row is None:
            raise Refused(
                [{"message": f"There is no such client among those of {features.partition}."}]
            )
        return row


def _text(value: Any) -> str:
    """A value that reads back as the same one."""
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else str(value)


def _empty(field: Field) -> Any:
    return None if field["type"] == "number" else ""


def _meaning(field: Field) -> str:
    return name_of(field) if name_of(field) != field["name"] else about(field)
