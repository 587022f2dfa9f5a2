"""The page of a picture: what the model calls it, and the most probable names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import gradio as gr

from millrace.errors import MillraceError
from millrace.photo import features_of
from serving.forms import Refused
from serving.model import ServedModel
from serving.ui import answers
from serving.ui.asking import Asking
from serving.ui.clients import store_of
from serving.ui.single import QUIET, live, reasons_of

if TYPE_CHECKING:
    from serving.ui.pages import Answering


def fill(service: Answering, model: ServedModel, lake: str | None) -> None:
    """Fill the open Blocks."""
    asking, eye = Asking(service, model), Eye(service, model.card["dataset"], lake)
    sent = gr.Textbox(asking.signature, visible=False)
    with gr.Row(equal_height=False):
        with gr.Column():
            # Not gr.Image: it would save the picture anew, and the model would see other pixels.
            photo = gr.File(label="Picture, JPEG or PNG", file_types=[".jpg", ".jpeg", ".png"])
            ask = gr.Button("What is it?", variant="primary")
        with gr.Column():
            answer = live("answer")
            why = gr.Button("Why?")
            reasons = live("reasons")

    async def named(path: str | None) -> tuple[str, str]:
        found = await asking.answer(await eye.record(path))
        return answers.bars(found.answers[0]), ""

    async def explained(path: str | None) -> str:
        return await reasons_of(asking, await eye.record(path))

    ask.click(asking.handler(named, ("",)), [sent, photo], [answer, reasons], **QUIET)
    why.click(asking.handler(explained), [sent, photo], reasons, **QUIET)


class Eye:
    """What turns a picture into the record that the model takes."""

    def __init__(self, service: Answering, dataset: str, lake: str | None) -> None:
        self.service, self.dataset = service, dataset
        self.store = store_of(lake) if lake else None

    async def record(self, path: str | None) -> Mapping[str, Any]:
        """The principal components of a picture.

        Raises:
            Refused: there is no picture.
            MillraceError: it cannot be read, or the network is not there.
        """
        if not path:
            raise Refused([{"message": "Choose a picture first."}])
        return await anyio.to_thread.run_sync(self._seen, Path(path))

    def _seen(self, path: Path) -> dict[str, float]:
        model, form = self.service.found(self.dataset)
        if self.store is None or model.eyes is None:
            raise MillraceError(
                "the network that sees pictures is in no lake that this service can read; set"
                " MILLRACE_LAKE"
            )
        network, projection = model.eyes
        try:
            features = features_of(dict(network), self.store, path)
        except MillraceError as error:
            raise MillraceError(str(error).replace(str(path), "the picture")) from None
        [components] = projection.apply(features)
        return dict(zip(form.fields, components.tolist(), strict=True))
