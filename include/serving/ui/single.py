"""The page of one record: its inputs, and the verdict or the gauge beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from serving.model import ServedModel
from serving.ui import answers, charts
from serving.ui.asking import Asking, Record, ranges_of
from serving.ui.fields import record_of, widgets
from serving.ui.words import name_of, shown_as

if TYPE_CHECKING:
    from serving.ui.pages import Answering

MANY = 8  # inputs; more stand in two columns
QUIET: Any = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}


def fill(service: Answering, model: ServedModel, _lake: str | None) -> None:
    """Fill the open Blocks."""
    form = Form(Asking(service, model), model)
    sent = gr.Textbox(form.asking.signature, visible=False)
    with gr.Row(equal_height=False):
        many = len(form.fields) > MANY
        with gr.Column(scale=4 if many else 3, elem_classes=["many"] if many else []):
            inputs = widgets(form.fields, model.state)
            ask = gr.Button("Ask the model", variant="primary")
        with gr.Column(scale=3):
            answer = live("answer")
            with gr.Row():
                why = gr.Button("Why?")
                turn = gr.Button("What would change it?", visible=bool(ranges_of(model)))
            reasons, turned = live("reasons"), live("turned")
    given, handler = [sent, *inputs], form.asking.handler
    entered = [each.submit for each in inputs if isinstance(each, gr.Number | gr.Textbox)]
    gr.on([ask.click, *entered], handler(form.answer, ("", "")), given,
          [answer, reasons, turned], **QUIET)  # fmt: skip
    why.click(handler(form.explain), given, reasons, **QUIET)
    turn.click(handler(form.turn), given, turned, **QUIET)


class Form:
    """What the page does with what stands in its inputs."""

    def __init__(self, asking: Asking, model: ServedModel) -> None:
        self.asking, self.fields, self.page = asking, model.card["fields"], shown_as(model.card)
        self.draw = answers.gauge if self.page["kind"] == "gauge" else answers.verdict

    async def answer(self, *values: Any) -> tuple[str, str, str]:
        """The verdict or the gauge."""
        found = await self.asking.answer(record_of(self.fields, values))
        return self.draw(self.page, found.answers[0]), "", ""

    async def explain(self, *values: Any) -> str:
        """Its reasons."""
        return await reasons_of(self.asking, record_of(self.fields, values))

    async def turn(self, *values: Any) -> str:
        """What would turn it."""
        return await turned_of(self.asking, record_of(self.fields, values))


def live(name: str) -> Any:
    """A place whose changes are read out (see page.js)."""
    return gr.HTML("", elem_id=name, elem_classes=["live"])


async def reasons_of(asking: Asking, record: Record) -> str:
    """The waterfall of a record."""
    model, checked, answer = await asking.explained(record)
    return charts.why(model, checked, answer)


async def turned_of(asking: Asking, record: Record) -> str:
    """What would turn the verdict on a record."""
    model, changes = await asking.changes(record)
    [answer] = model.answer([record])
    fields = {field["name"]: field for field in model.card["fields"]}
    names = {name: name_of(fields[name]) for name in ranges_of(model)}
    return answers.turned(shown_as(model.card), answer, changes, names)
