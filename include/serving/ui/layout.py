"""A page as an application: its frame, its style, and which kind of page a data set gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Gradio reads it as it is imported: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI

from serving.guard import PHOTO
from serving.model import ServedModel
from serving.ui import dashboard, photo, single
from serving.ui.words import shown_as

if TYPE_CHECKING:
    from serving.ui.pages import Answering

STYLE = Path(__file__).parent / "page.css"
KINDS: dict[str, Callable[[Answering, ServedModel, str | None], None]] = {
    "verdict": single.fill, "gauge": single.fill, "dashboard": dashboard.fill, "photo": photo.fill,
}  # fmt: skip
FONTS: Any = ("system-ui", "DejaVu Sans", "sans-serif")  # of the reader's own machine
KEPT = (60, 600)  # seconds: pictures are looked for each minute and kept for ten


def prepare() -> None:
    """Load all that pages need; importing this module has done it."""


def page_of(service: Answering, model: ServedModel, lake: str | None) -> FastAPI:
    """The page of a model, to be mounted at its own path."""
    page = shown_as(model.card)
    with gr.Blocks(title=page["title"], analytics_enabled=False, delete_cache=KEPT) as blocks:
        gr.HTML(_heading(model, page), elem_id="heading")
        KINDS[page["kind"]](service, model, lake)
    app = FastAPI(openapi_url=None)
    gr.mount_gradio_app(
        app, blocks, path="", theme=_theme(), css=STYLE.read_text(encoding="utf-8"),
        footer_links=[], run_history=False, show_error=False, max_file_size=PHOTO,
        mcp_server=False, ssr_mode=False, enable_monitoring=False, pwa=False,
    )  # fmt: skip
    return app


def _heading(model: ServedModel, page: dict[str, Any]) -> str:
    return (
        f'<p><a href="../">All models in service</a></p><h1>{escape(page["title"])}</h1>'
        f'<p class="note">{escape(model.card["description"])}</p>'
    )


def _theme() -> Any:
    """Gradio's plain theme in light colours only, dark enough to read for everybody."""
    theme: Any = gr.themes.Base(font=FONTS, font_mono=("monospace",))
    theme = theme.set(
        body_background_fill="#f4f6f8", body_text_color="#17212b", block_label_text_color="#17212b",
        block_title_text_color="#17212b", block_info_text_color="#4c5965",
        input_border_color="#6f7d8a", input_border_width="1px", input_background_fill="#ffffff",
        button_primary_background_fill="#0b5e86", button_primary_text_color="#ffffff",
        button_primary_background_fill_hover="#084a69", button_primary_border_color="#0b5e86",
        button_secondary_background_fill="#ffffff", button_secondary_text_color="#0b5e86",
        button_secondary_background_fill_hover="#eef3f7", button_secondary_border_color="#0b5e86",
        button_border_width="1px",
    )  # fmt: skip
    for name in [name for name in vars(theme) if name.endswith("_dark")]:
        setattr(theme, name, getattr(theme, name.removesuffix("_dark")))
    return theme
