"""The side of AWS Lambda that a function talks to, as a small server: its runtime API.

The runtime of the image asks it for the next event and posts the answer or the error back.
"""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT = "/2018-06-01/runtime"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:on-upload"


@dataclass
class RuntimeApi:
    """Events to hand out, and what the function made of each."""

    address: str = ""
    events: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)
    answers: dict[str, queue.Queue[tuple[str, Any]]] = field(default_factory=dict)
    failed_start: queue.Queue[Any] = field(default_factory=queue.Queue)

    def invoke(
        self, event: Any, alive: Callable[[], bool], timeout: float = 120
    ) -> tuple[str, Any]:
        """`response` and what the handler returned, or `error` and its description."""
        request = str(uuid.uuid4())
        self.answers[request] = queue.Queue()
        self.events.put((request, event))
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not self.failed_start.empty():
                raise AssertionError(f"the function did not start: {self.failed_start.get()}")
            try:
                return self.answers[request].get(timeout=0.2)
            except queue.Empty:
                assert alive(), "the function died"
        raise AssertionError(f"no answer within {timeout:.0f} s")


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """A runtime API at `address`, `host:port`."""
    api = RuntimeApi()

    class Calls(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == f"{ROOT}/invocation/next"
            request, event = api.events.get()
            if request:
                self._answer(200, event, {
                    "Lambda-Runtime-Aws-Request-Id": request,
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 900) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": FUNCTION,
                })  # fmt: skip

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            *_, request, kind = self.path.split("/")
            if self.path == f"{ROOT}/init/error":
                api.failed_start.put(body)
            else:
                api.answers[request].put((kind, body))
            self._answer(202, {"status": "OK"}, {})

        def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            # AWS always sends a content type; without one the runtime's client crashes.
            headers |= {"Content-Length": str(len(data)), "Content-Type": "application/json"}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Calls)
    server.daemon_threads = True
    api.address = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
