"""What surrounds every request: its id, its limits, its line in the log, its figures.

Plain ASGI: it adds some ten microseconds to a request. The log and the figures hold routes, sizes
and times, never what was sent.
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("serving.requests")

KNOWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PHOTO = 16 * 2**20  # bytes of a picture sent to a page
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)  # seconds


class TooLarge(Exception):
    """A request's body is longer than allowed."""


class Figures:
    """What Prometheus reads from `/metrics`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("millrace_requests", "Requests answered.",
                                ["route", "method", "status"], registry=registry)  # fmt: skip
        self.seconds = Histogram("millrace_request_seconds", "Seconds to an answer.", ["route"],
                                 buckets=BUCKETS, registry=registry)  # fmt: skip
        self.predictions = Counter("millrace_predictions", "Records predicted.",
                                   ["dataset", "version", "label"], registry=registry)  # fmt: skip
        self.loaded = Gauge("millrace_model_loaded", "1 for the model in service.",
                            ["dataset", "version"], registry=registry)  # fmt: skip
        self.waiting = Gauge("millrace_requests_waiting", "Requests being answered.",
                             registry=registry)  # fmt: skip


class Guard:
    """Limits, names, counts and logs the requests of an application.

    Args:
        largest_body: bytes; more is answered with 413.
        most_waiting: requests to a model at the same time; more are answered with 503.
    """

    def __init__(
        self, app: ASGIApp, figures: Figures, largest_body: int, most_waiting: int
    ) -> None:
        self.app, self.figures = app, figures
        self.largest_body, self.most_waiting = largest_body, most_waiting
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_photo = scope["path"].startswith("/ui/") and scope["path"].endswith("/upload")
        exchange = _Exchange(scope, receive, send, PHOTO if is_photo else self.largest_body)
        is_prediction = scope["method"] == "POST" and scope["path"].endswith("/predict")
        self._waiting += is_prediction
        self.figures.waiting.set(self._waiting)
        try:
            if exchange.announced > exchange.largest:
                await exchange.refuse(413, _too_large(exchange.largest))
            elif is_prediction and self._waiting > self.most_waiting:
                await exchange.refuse(
                    503, "too many requests at once; try again", {"retry-after": "1"}
                )
            else:
                await self._answer(exchange)
        finally:
            self._waiting -= is_prediction
            self._note(exchange)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            await self.app(exchange.scope, exchange.receive, exchange.send)
        except TooLarge:
            await exchange.refuse(413, _too_large(exchange.largest))
        except Exception as error:
            # Neither the answer nor the log holds the error's own text: it may quote the request.
            frames = [f"{frame.filename}:{frame.lineno} {frame.name}"
                      for frame in traceback.extract_tb(error.__traceback__)]  # fmt: skip
            log.error("failed", extra={"facts": {
                "request_id": exchange.id, "error": type(error).__name__, "frames": frames[-8:],
            }})  # fmt: skip
            await exchange.refuse(500, "the request could not be answered; its id is in the log")

    def _note(self, exchange: _Exchange) -> None:
        scope, seconds = exchange.scope, time.perf_counter() - exchange.began
        route = getattr(scope.get("route"), "path", "other")
        self.figures.requests.labels(route, scope["method"], exchange.status).inc()
        self.figures.seconds.labels(route).observe(seconds)
        if log.isEnabledFor(logging.INFO):
            log.info("answered", extra={"facts": {
                "request_id": exchange.id, "method": scope["method"], "route": route,
                "status": exchange.status, "milliseconds": round(seconds * 1000, 2),
                **scope.get("state", {}).get("facts", {}),
            }})  # fmt: skip


def _too_large(largest: int) -> str:
    return f"the request is larger than {largest:,} bytes; send fewer records at once"


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        headers = Headers(scope=scope)
        given, length = headers.get("x-request-id", ""), headers.get("content-length", "")
        self.id = given if KNOWN_ID.fullmatch(given) else uuid.uuid4().hex
        self.announced = int(length) if length.isascii() and length.isdigit() else 0
        self.scope, self.status, self.began = scope, 0, time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.id
        self._receive, self._send, self.largest, self._read = receive, send, largest, 0

    async def receive(self) -> Message:
        """The next piece of the body.

        Raises:
            TooLarge: it is longer than allowed.
        """
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self.largest:
            raise TooLarge
        return message

    async def send(self, message: Message) -> None:
        """A piece of the answer; its head gets the id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["x-request-id"] = self.id
        await self._send(message)

    async def refuse(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with an error, unless an answer has begun."""
        if self.status:
            return
        body = json.dumps({"detail": reason, "request_id": self.id}).encode()
        told = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **(headers or {}),
        }
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})


class JsonLines(logging.Formatter):
    """A JSON object a line: time, level, logger, message, and the facts of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        said: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), **facts,
        }  # fmt: skip
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)
