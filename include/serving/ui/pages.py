"""What stands under `/ui`: a list of the models, and a page a data set that follows its model.

A page is built when it is asked for, and anew when another model has come into service since.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from millrace.pages.render import decimal, label
from serving.ui.words import shown_as

if TYPE_CHECKING:
    from serving.app import Answered
    from serving.forms import RequestForm
    from serving.model import ServedModel

# All that the browser needs of Gradio; its other routes (files, proxies, uploads) are closed.
OPEN = re.compile(r"/|/(theme\.css|config)|/(assets|static)/.+|/gradio_api/(run/predict|info)")
ELSEWHERE = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')
ICON = '<link rel="icon" href="data:,">'  # none, and none is asked for
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
UPLOAD = "/gradio_api/upload"
HEADERS = {
    # The pages hold what they show; a browser refuses anything from elsewhere.
    "content-security-policy": "default-src 'self' data: blob:; frame-ancestors 'self';"
    " script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Answering(Protocol):
    """What pages need of the service: it answers them as it answers its API."""

    def found(self, dataset: str) -> tuple[ServedModel, RequestForm]:
        """The model in service and the form of its requests; HTTPException where there is none."""

    def in_service(self) -> list[ServedModel]:
        """All models in service."""

    async def ask(self, dataset: str, body: bytes, explain: bool = False) -> Answered:
        """Check, answer, count and record a request; see `serving.app.Service`."""


@dataclass(frozen=True)
class Built:
    """A page of the model that it was built for."""

    model: ServedModel
    app: ASGIApp
    running: AsyncExitStack


class Pages:
    """The pages.

    Args:
        lake: in which scored clients and image networks are found; None: in none.
    """

    def __init__(self, service: Answering, lake: str | None) -> None:
        self.service, self.lake = service, lake
        self.app = Router([Route("/", self._start), Mount("/{dataset}", app=self._page)])
        self._built: dict[str, Built] = {}
        self._building = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End all pages."""
        for built in self._built.values():
            await built.running.aclose()
        self._built.clear()

    async def _start(self, _request: Request) -> HTMLResponse:
        """The models in service. While people read it, Gradio is loaded."""
        self._warming = self._warming or asyncio.create_task(asyncio.to_thread(_load))
        models = [(model.card, model.source.version, shown_as(model.card)["title"])
                  for model in self.service.in_service()]  # fmt: skip
        return _html("start.html.j2", 200, models=models)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the page of its data set."""
        dataset = scope["path_params"]["dataset"]
        inner = scope["path"].removeprefix(scope["root_path"]) or "/"
        try:
            model, _ = self.service.found(dataset)
        except HTTPException as error:
            await _html("missing.html.j2", error.status_code, said=error.detail)(
                scope, receive, send
            )
            return
        if not (OPEN.fullmatch(inner) or (model.eyes and inner == UPLOAD)):
            await HTMLResponse("", 404)(scope, receive, send)
            return
        app = (await self._of(dataset, model)).app
        if inner == "/":
            app = await _document(app, scope, receive, shown_as(model.card)["title"])
        await app(scope, receive, send)

    async def _of(self, dataset: str, model: ServedModel) -> Built:
        async with self._building:
            present = self._built.get(dataset)
            if present and present.model is model:
                return present
            app = await asyncio.to_thread(_build, self.service, model, self.lake)
            running = AsyncExitStack()
            await running.enter_async_context(app.router.lifespan_context(app))
            self._built[dataset] = Built(model, app, running)
            if present:
                await present.running.aclose()
            return self._built[dataset]


def _load() -> None:
    from serving.ui import layout

    layout.prepare()


def _build(service: Answering, model: ServedModel, lake: str | None) -> Any:
    from serving.ui import layout

    return layout.page_of(service, model, lake)


async def _document(app: ASGIApp, scope: Scope, receive: Receive, title: str) -> HTMLResponse:
    """The document of a page with its head, without what Gradio says to and of other sites."""
    parts: list[bytes] = []

    async def keep(message: Message) -> None:
        parts.append(message.get("body", b""))

    plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
    await app({**scope, "headers": plain}, receive, keep)
    head = f"<title>{escape(title)}</title>{ICON}<script>{SCRIPT}</script></head>"
    document = ELSEWHERE.sub("", b"".join(parts).decode()).replace("</head>", head, 1)
    return HTMLResponse(document, headers=HEADERS)


def _html(template: str, status: int, **values: Any) -> HTMLResponse:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"label": label, "decimal": decimal}
    return HTMLResponse(
        environment.get_template(template).render(**values), status, headers=HEADERS
    )
