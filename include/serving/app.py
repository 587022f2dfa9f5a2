"""The application: predictions, what is known of the models, health, figures.

A request to predict is checked by pydantic's compiled code straight from its bytes, and answered
without a data frame. OpenAPI is made from the cards of the models that are in service.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import contributions
from serving.forms import Refused, RequestForm
from serving.guard import Figures, Guard
from serving.model import OutOfRange, ServedModel
from serving.openapi import document
from serving.recording import Recorder
from serving.settings import ServiceSettings
from serving.shelf import Shelf, served, watch

AT_ONCE = 16  # records predicted without leaving the event loop: below a millisecond


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
        self.app = FastAPI(title="Millrace", lifespan=self._lifespan, redoc_url=None)
        self._add_routes()
        self.app.openapi = self._openapi  # type: ignore[method-assign]
        self.app.add_middleware(
            Guard, figures=self.figures, largest_body=settings.largest_body,
            most_waiting=settings.most_waiting,
        )  # fmt: skip
        self.app.add_exception_handler(HTTPException, _refused)
        self.app.add_exception_handler(Refused, _unprocessable)
        self.app.add_exception_handler(OutOfRange, _out_of_range)
        self.app.add_exception_handler(RequestValidationError, _wrong_parameter)

    def _add_routes(self) -> None:
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
        said = {"status": "ok" if ready else "not ready", "models": self.shelf.state()}
        return _json(said, 200 if ready else 503)

    async def metrics(self) -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(self.figures.registry), media_type=CONTENT_TYPE_LATEST)

    async def model(self, dataset: str) -> Response:
        """Which model answers, how good it is, and what it was trained on."""
        model, form = self._found(dataset)
        kept = (
            "dataset", "description", "candidate", "algorithm", "partition", "metric", "metrics",
            "rows", "data_fingerprint", "git_commit", "trained", "target",
        )  # fmt: skip
        return _json({
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
        model, form = self._found(dataset)
        records, several = form.parse(await request.body())
        answers = await self._answers(model, records, explain)
        for answer in answers:
            self.figures.predictions.labels(dataset, model.source.version, answer["class"]).inc()
        if self.recorder:
            self.recorder.add(model, records, answers)
        request.scope["state"]["facts"] = {
            "dataset": dataset, "version": model.source.version, "records": len(records),
        }  # fmt: skip
        return _json(answers if several else answers[0])

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

    def _found(self, dataset: str) -> tuple[ServedModel, RequestForm]:
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


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    said = {"detail": error.detail, "request_id": request.scope["state"]["request_id"]}
    answer = _json(said, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def _wrong_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = [{"loc": list(each["loc"]), "message": each["msg"]} for each in error.errors()]
    return await _unprocessable(request, Refused(problems))


async def _out_of_range(request: Request, error: Exception) -> Response:
    return await _unprocessable(request, Refused([{"loc": ["body"], "message": str(error)}]))


async def _unprocessable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    said = {"detail": error.problems, "request_id": request.scope["state"]["request_id"]}
    return _json(said, 422)
