"""Log lines of jobs: CloudWatch streams, and files that arrive on S3 late."""

from __future__ import annotations

import gzip
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError
from moto.logs.exceptions import ResourceAlreadyExistsException
from moto.logs.models import logs_backends

from tests.integration.aws.standin.account import ACCOUNT
from tests.integration.aws.standin.storage import Store

log = logging.getLogger(__name__)


class Later:
    """Calls functions after a delay, in the order in which they fall due."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="later", daemon=True).start()

    def call(self, seconds: float, function: Callable[[], None]) -> None:
        entry = (time.monotonic() + seconds, next(self._numbers), function)
        with self._changed:
            heapq.heappush(self._due, entry)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._changed.wait(wait)
                _, _, function = heapq.heappop(self._due)
            try:
                function()
            except Exception:
                log.exception("the stand-in's own error in what was due")


class LogStream:
    """One CloudWatch stream; lines appear in it `delay` seconds after they were written.

    Args:
        allowed: whether the job's role may write it; nothing appears where it may not.
    """

    def __init__(
        self, later: Later, region: str, group: str, stream: str, delay: Callable[[], float],
        allowed: bool,
    ):  # fmt: skip
        self._later, self._delay, self._allowed = later, delay, allowed
        self._backend = logs_backends[ACCOUNT][region]
        self.group, self.stream = group, stream
        self._made = False

    def write(self, line: str) -> None:
        if self._allowed:
            written = int(time.time() * 1000)
            self._later.call(self._delay(), lambda: self._put(written, line))

    def _put(self, written: int, line: str) -> None:
        if not self._made:
            for make, arguments in (
                (self._backend.create_log_group, {"log_group_name": self.group, "tags": {}}),
                (self._backend.create_log_stream, {"log_group_name": self.group,
                                                   "log_stream_name": self.stream}),
            ):  # fmt: skip
                with suppress(ResourceAlreadyExistsException):
                    make(**arguments)
            self._made = True
        events = [{"timestamp": written, "message": line or " "}]
        self._backend.put_log_events(self.group, self.stream, events)


class LogFiles:
    """Files that are copied to S3 gzipped, again and again while they grow.

    `copy` is called often and copies at most every `pace` seconds, as the log pusher of EMR does
    every few minutes.
    """

    def __init__(self, store: Callable[[], Store], prefix: str | None, pace: Callable[[], float]):
        self._store, self._prefix, self._pace = store, prefix, pace
        self._lines: dict[str, list[str]] = {}
        self._copied: dict[str, int] = {}
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def write(self, file: str, line: str) -> None:
        with self._lock:
            self._lines.setdefault(file, []).append(line)

    def lines(self, file: str) -> list[str]:
        with self._lock:
            return list(self._lines.get(file, []))

    def copy(self, *, now: bool = False) -> None:
        if not self._prefix or (not now and time.monotonic() - self._last < self._pace()):
            return
        self._last = time.monotonic()
        with self._lock:
            texts = {file: list(lines) for file, lines in self._lines.items()}
        for file, lines in texts.items():
            if len(lines) > self._copied.get(file, -1):
                self._send(file, lines)

    def _send(self, file: str, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        with suppress(ClientError):  # a role that may not write its logs has none
            self._store().write(gzip.compress(text.encode()), f"{self._prefix}/{file}.gz")
            self._copied[file] = len(lines)


def role_may_log(allowed: Callable[..., bool], role: str, region: str, group: str) -> bool:
    """Whether a role may create a group's streams and write them."""
    resource = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:job"
    actions: Mapping[str, Any] = {"logs:CreateLogStream": {}, "logs:PutLogEvents": {}}
    return all(allowed(role, action, resource, context) for action, context in actions.items())
