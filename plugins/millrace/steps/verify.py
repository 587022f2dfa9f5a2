"""Steps: see through its address that the service serves a version; tell what became of it."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.errors import MillraceError
from millrace.model_service import ModelService, NoAnswer
from millrace.steps.run import Run

log = logging.getLogger(__name__)

IN_A_ROW = 5  # answers that must agree: a load balancer asks one target after the other


class NotVerified(MillraceError):
    """The service does not serve what it should; the message says what it does instead."""


class DeploymentFailed(MillraceError):
    """A version did not come into service; the message says why, and what is in service."""


@dataclass(frozen=True)
class Patience:
    """How long the service is asked.

    Attributes:
        seconds: in all; a service that polls the registry needs some, as does its load balancer.
        pause: between two questions.
    """

    seconds: float = 120.0
    pause: float = 1.0


def verify(run: Run, plan: Mapping[str, Any], patience: Patience | None = None) -> str:
    """See that the service serves the new version, and that it predicts.

    Raises:
        NotVerified: it does not in time, or it refuses the version.
    """
    service = ModelService(run.settings.service_url)
    see_served(service, run.spec.name, plan["version"], plan["content"], patience)
    return str(plan["version"])


def report_failure(
    run: Run, plan: Mapping[str, Any], reason: str, patience: Patience | None = None
) -> None:
    """See which version is in service after all.

    Args:
        reason: why the new one is not.

    Raises:
        DeploymentFailed: always.
    """
    name, before = run.spec.name, plan["before"]
    what = f"Version {plan['version']} of {name} did not come into service: {reason}"
    service = ModelService(run.settings.service_url)
    if not before:
        raise DeploymentFailed(f"{what}\nBefore it there was none: {_standing(service, name)}")
    try:
        see_served(service, name, before["version"], before["content"], patience, refusable=False)
    except NotVerified as error:
        raise DeploymentFailed(
            f"{what}\nVersion {before['version']}, which was in service before it, is not either:"
            f" {error}"
        ) from error
    remedy = (
        "" if plan["where"] == "ecs"
        else f"; `make rollback DATASET={name}` puts the champion before it back in the registry"
    )  # fmt: skip
    raise DeploymentFailed(f"{what}\nVersion {before['version']} is in service, verified{remedy}.")


def see_served(
    service: ModelService, dataset: str, version: str, content: str,
    patience: Patience | None = None, *, refusable: bool = True,
) -> None:  # fmt: skip
    """Ask until enough answers in a row name the version, and let it predict its own example.

    Args:
        content: hash of the version's files.
        refusable: whether a complaint of the service's about the data set is an answer.

    Raises:
        NotVerified: it is not served in time, or it is refused.
    """
    limits = patience or Patience()
    heard: Counter[str] = Counter()
    in_a_row, end = 0, time.monotonic() + limits.seconds
    while in_a_row < IN_A_ROW:
        said, card = _heard(service, dataset)
        heard[said] += 1
        fits = card.get("version") == version and card.get("content") == content
        in_a_row = in_a_row + 1 if fits else 0
        complaint = "" if fits else _complaint(service, dataset)
        # One about another version may be of old: the service has not looked yet.
        if refusable and re.search(rf"\bversion {version}\b", complaint):
            raise NotVerified(f"{service.url} does not take version {version}: {complaint}")
        if time.monotonic() > end:
            told = ", ".join(f"{count} times {what}" for what, count in heard.most_common(4))
            raise NotVerified(
                f"{service.url} does not serve version {version} of {dataset} after"
                f" {limits.seconds:g} s; it was asked {heard.total()} times and gave {told}"
                + (f"; it says: {complaint}" if complaint else "")
            )
        time.sleep(0 if fits else limits.pause)
    _let_predict(service, dataset, card)
    log.info("%s serves version %s of %s: %d answers in a row, and a prediction.",
             service.url, version, dataset, in_a_row)  # fmt: skip


def _heard(service: ModelService, dataset: str) -> tuple[str, dict[str, Any]]:
    """What the service serves, in words and in full."""
    try:
        card = service.model(dataset)
    except NoAnswer as error:
        return str(error), {}
    if card is None:
        return "no such model", {}
    return f"version {card.get('version')} (files {str(card.get('content'))[:8]})", card


def _complaint(service: ModelService, dataset: str) -> str:
    try:
        return service.complaint(dataset)
    except NoAnswer:
        return ""


def _let_predict(service: ModelService, dataset: str, card: Mapping[str, Any]) -> None:
    """Send the example that the service gives of the model's records."""
    try:
        service.predict(dataset, card["example"])
    except NoAnswer as error:
        raise NotVerified(
            f"version {card['version']} of {dataset} does not predict its own example: {error}"
        ) from error


def _standing(service: ModelService, dataset: str) -> str:
    said, _ = _heard(service, dataset)
    return f"{service.url} gives {said}"
