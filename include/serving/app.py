"""The application: predictions, what is known of the models, health, figures.

A request to predict is checked by pydantic's compiled code straight from its bytes, and answered
without a data frame. OpenAPI is made from the cards of the models that are in service.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import contributions
from serving.forms import RequestForm
from serving.guard import Figures, Guard
from serving.model import ServedModel
from serving.openapi import document
from serving.recording import Recorder
from serving.responses import as_json, explain_errors
from serving.settings import ServiceSettings
from serving.shelf import Shelf, served, watch

if TYPE_CHECKING:
    from serving.ui.pages import Pages

AT_ONCE = 16  # records predicted without leaving the event loop: below a millisecond


@dataclass(frozen=True)
class Answered:
    """A request and its answers, one a record.

    Attributes:
        several: whether a list of records was sent.
    """

    model: ServedModel
    records: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    several: bool


def create_app(settings: ServiceSettings) -> FastAPI:
    """The application with its models, which it loads as it starts."""
    return Service(settings).app


class Service:
    """The models, the forms of their requests, and the routes that answer them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.figures = Figures()
        self.shelf = Shelf(settings, self._changed)
        self.recorder = Recorder(settings.lake) if settings.lake else None
        self._forms: dict[str, tuple[ServedModel, RequestForm]] = {}
        self.pages: Pages | None = None
        self.app: FastAPI = FastAPIOffline(
            title="Millrace", lifespan=self._lifespan, redoc_url=None
        )
        self._add_routes()
        self.app.openapi = self._openapi  # type: ignore[method-assign]
        self.app.add_middleware(
            Guard, figures=self.figures, largest_body=settings.largest_body,
            most_waiting=settings.most_waiting,
        )  # fmt: skip
        explain_errors(self.app)

    def _add_routes(self) -> None:
        if self.settings.pages:
            from serving.ui.pages import Pages

            self.pages = Pages(self, self.settings.pages_lake)
            self.app.mount("/ui", self.pages.app)
        add = self.app.add_api_route
        hidden: dict[str, Any] = {"include_in_schema": False, "response_model": None}
        add("/", self.health, methods=["GET"], **hidden)
        add("/metrics", self.metrics, methods=["GET"], **hidden)
        add("/predict", self.predict_only, methods=["POST"], **hidden)
        add("/{dataset}/predict", self.predict, methods=["POST"], **hidden)
        add("/{dataset}/model", self.model, methods=["GET"], **hidden)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Load and watch the models while the application runs."""
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(self.shelf, stop), name="models",
                                   daemon=True)  # fmt: skip
        watcher.start()
        if self.recorder:
            self.recorder.start()
        try:
            yield
        finally:
            stop.set()
            if self.pages:
                await self.pages.close()
            if self.recorder:
                await asyncio.to_thread(self.recorder.stop)

    def _changed(self, dataset: str) -> None:
        """A model was put in place: its form and its schema follow, its figures too."""
        model = self.shelf.models[dataset]
        form = RequestForm(dataset, model.card["fields"], self.settings.most_rows)
        before = self._forms.get(dataset)
        self._forms[dataset] = (model, form)
        if before:
            self.figures.loaded.labels(dataset, before[0].source.version).set(0)
        self.figures.loaded.labels(dataset, model.source.version).set(1)
        self.app.openapi_schema = None

    def _openapi(self) -> dict[str, Any]:
        if self.app.openapi_schema is None:
            found = document(self._forms, self.settings.most_rows)
            self.app.openapi_schema = found
        return self.app.openapi_schema

    async def health(self) -> Response:
        """Whether the models that must be there are there."""
        ready = self.shelf.is_ready
        said = {
            "status": "ok" if ready else "not ready", "release": self.settings.release,
            "models": self.shelf.state(),
        }  # fmt: skip
        return as_json(said, 200 if ready else 503)

    async def metrics(self) -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(self.figures.registry), media_type=CONTENT_TYPE_LATEST)

    async def model(self, dataset: str) -> Response:
        """Which model answers, how good it is, and what it was trained on."""
        model, form = self.found(dataset)
        kept = (
            "dataset", "description", "candidate", "algorithm", "partition", "metric", "metrics",
            "rows", "data_fingerprint", "git_commit", "trained", "target",
        )  # fmt: skip
        return as_json({
            **{name: model.card[name] for name in kept},
            "version": model.source.version, "content": model.source.content,
            "source": model.source.origin, "threshold": model.facts.get("threshold"),
            "classes": model.classes, "example": form.example,
        })  # fmt: skip

    async def predict_only(self, request: Request, explain: bool = False) -> Response:
        """Predict with the only model that is in service."""
        names = list(self._forms)
        if len(names) != 1:
            raise HTTPException(
                404, f"models in service: {served(self.shelf.models)}; POST to /<data set>/predict"
            )
        return await self.predict(names[0], request, explain)

    async def predict(self, dataset: str, request: Request, explain: bool = False) -> Response:
        """One answer for one record, a list of answers for a list of records."""
        found = await self.ask(dataset, await request.body(), explain)
        request.scope["state"]["facts"] = {
            "dataset": dataset, "version": found.model.source.version,
            "records": len(found.records),
        }  # fmt: skip
        return as_json(found.answers if found.several else found.answers[0])

    async def ask(self, dataset: str, body: bytes, explain: bool = False) -> Answered:
        """Check, answer, count and record what the API or a page was asked.

        Args:
            body: JSON, a record or a list of them.

        Raises:
            HTTPException: there is no such model, or it cannot be explained.
            Refused: a record is not what the model takes.
        """
        model, form = self.found(dataset)
        records, several = form.parse(body)
        answers = await self._answers(model, records, explain)
        for answer in answers:
            self.figures.predictions.labels(dataset, model.source.version, answer["class"]).inc()
        if self.recorder:
            self.recorder.add(model, records, answers)
        return Answered(model, records, answers, several)

    async def _answers(
        self, model: ServedModel, records: Sequence[dict[str, Any]], explained: bool
    ) -> list[dict[str, Any]]:
        if len(records) <= AT_ONCE and not explained:
            return model.answer(records)
        try:
            return await anyio.to_thread.run_sync(
                lambda: model.answer(records, explained=explained)
            )
        except contributions.Unexplained as error:
            raise HTTPException(501, str(error)) from error

    def in_service(self) -> list[ServedModel]:
        """All models in service, by data set."""
        return [model for _, (model, _) in sorted(self._forms.items())]

    def found(self, dataset: str) -> tuple[ServedModel, RequestForm]:
        """The model in service and the form of its requests.

        Raises:
            HTTPException: there is none.
        """
        found = self._forms.get(dataset)
        if found is None and dataset in self.settings.models:
            raise HTTPException(
                503, f"the model of {dataset} is not loaded yet", {"retry-after": "5"}
            )
        if found is None:
            raise HTTPException(
                404, f"no model {dataset[:100]!r}; in service: {served(self.shelf.models)}"
            )
        return found
