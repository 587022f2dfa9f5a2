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
    asking, fields = Asking(service, model), model.card["fields"]
    page, ranges = shown_as(model.card), ranges_of(model)
    draw = answers.gauge if page["kind"] == "gauge" else answers.verdict
    sent = gr.Textbox(asking.signature, visible=False)
    with gr.Row(equal_height=False):
        many = len(fields) > MANY
        with gr.Column(scale=4 if many else 3, elem_classes=["many"] if many else []):
            inputs = widgets(fields, model.state)
            ask = gr.Button("Ask the model", variant="primary")
        with gr.Column(scale=3):
            answer = live("answer")
            with gr.Row():
                why = gr.Button("Why?")
                turn = gr.Button("What would change it?", visible=bool(ranges))
            reasons, turned = live("reasons"), live("turned")

    async def answered(*values: Any) -> tuple[str, str, str]:
        found = await asking.answer(record_of(fields, values))
        return draw(page, found.answers[0]), "", ""

    async def explained(*values: Any) -> str:
        return await reasons_of(asking, record_of(fields, values))

    async def changed(*values: Any) -> str:
        return await turned_of(asking, record_of(fields, values))

    entered = [each.submit for each in inputs if isinstance(each, gr.Number | gr.Textbox)]
    gr.on([ask.click, *entered], asking.handler(answered, ("", "")), [sent, *inputs],
          [answer, reasons, turned], **QUIET)  # fmt: skip
    why.click(asking.handler(explained), [sent, *inputs], reasons, **QUIET)
    turn.click(asking.handler(changed), [sent, *inputs], turned, **QUIET)


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
