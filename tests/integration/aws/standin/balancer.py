"""A load balancer's data plane: one port that forwards to the healthy targets of a target group.

The group, its health check and the security groups on both sides are moto's; they are looked up
each time, so a change made through the API counts at once.
"""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from tests.integration.aws.standin.account import ACCOUNT

TIMEOUT = 5.0  # seconds for one answer of a target
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass
class Target:
    """One registered container.

    Attributes:
        port: where it listens on this machine.
        container_port: where it listens as far as AWS is concerned.
        groups: its security groups.
        let_in: whether the load balancer reached it once: security groups track connections, and
            what stands is not cut off by a rule that goes.
    """

    port: int
    container_port: int
    groups: tuple[str, ...]
    state: str = "initial"
    reason: str = ""
    good: int = 0
    bad: int = 0
    let_in: bool = False


class Balancer:
    """The proxy and the health checks of one target group.

    Args:
        arn: of the target group.
        pause: gives the seconds between two health checks.
    """

    def __init__(self, region: str, arn: str, pause: Callable[[], float]):
        self._region, self._arn, self._pause = region, arn, pause
        self.targets: list[Target] = []
        self._turn = itertools.count()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        for work in (self._server.serve_forever, self._keep_checking):
            threading.Thread(target=work, name="balancer", daemon=True).start()

    @property
    def group(self) -> Any:
        """The target group, as moto knows it."""
        return elbv2_backends[ACCOUNT][self._region].target_groups[self._arn]

    def remove(self, target: Target) -> None:
        """Send it nothing any more."""
        if target in self.targets:
            self.targets.remove(target)

    def pick(self) -> Target | None:
        """The healthy target whose turn it is."""
        healthy = [target for target in self.targets if target.state == "healthy"]
        return healthy[next(self._turn) % len(healthy)] if healthy else None

    def _keep_checking(self) -> None:
        waiting = threading.Event()
        while not waiting.wait(self._pause()):
            for target in list(self.targets):
                self._check(target)

    def _check(self, target: Target) -> None:
        reason = self._failure(target)
        group = self.group
        target.good, target.bad = (0, target.bad + 1) if reason else (target.good + 1, 0)
        if target.good >= int(group.healthy_threshold_count):
            target.state, target.reason = "healthy", ""
        elif target.bad >= int(group.unhealthy_threshold_count):
            target.state, target.reason = "unhealthy", reason

    def _failure(self, target: Target) -> str:
        """Why a health check fails, in the load balancer's words; empty where it does not."""
        if not (target.let_in or self._lets_in(target)):
            return "Request timed out"
        target.let_in = True
        try:
            status, _, _ = exchange(target.port, "GET", self.group.health_check_path, None, {})
        except OSError:
            return "Health checks failed"
        wanted = self.group.matcher["HttpCode"]
        if _matches(wanted, status):
            return ""
        return f"Health checks failed with these codes: [{status}]"

    def _lets_in(self, target: Target) -> bool:
        """Whether a rule of the target's security groups admits the load balancer."""
        load_balancers = elbv2_backends[ACCOUNT][self._region].load_balancers
        own = {
            group
            for arn in self.group.load_balancer_arns
            for group in load_balancers[arn].security_groups
        }
        ec2 = ec2_backends[ACCOUNT][self._region]
        rules = [
            rule
            for identifier in target.groups
            for rule in ec2.get_security_group_from_id(identifier).ingress_rules
        ]
        return any(
            rule.ip_protocol == "-1" or rule.from_port <= target.container_port <= rule.to_port
            for rule in rules
            if rule.source_group.get("GroupId") in own or rule.ip_range.get("CidrIp") == "0.0.0.0/0"
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            def forward(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                target = balancer.pick()
                if target is None:
                    return self.answer(503, {}, b"503 Service Temporarily Unavailable")
                given = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                try:
                    found = exchange(target.port, self.command, self.path, body, given)
                except OSError:
                    return self.answer(502, {}, b"502 Bad Gateway")
                return self.answer(*found)

            do_GET = do_POST = forward  # noqa: N815 - the names that http.server calls

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Access logs are nobody's concern."""

        return Handler


def exchange(
    port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """One request to a target, and its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def _matches(wanted: str, status: int) -> bool:
    """Whether a status is among `200`, `200,302` or `200-299`."""
    for part in wanted.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
