"""Whether the model service answers with the new champions: each is asked its own example."""

from __future__ import annotations

import time
from typing import Any

import requests

PATIENCE = 60.0  # seconds for the service to find, check and load a champion


def ask(url: str, dataset: str, version: str) -> tuple[bool, str]:
    """Wait until a version is in service, and ask it its example; whether it answers, and a line.

    Args:
        url: of the service.
        version: that was promoted.
    """
    deadline = time.monotonic() + PATIENCE
    told: dict[str, Any] = {}
    while told.get("version") != version:
        if time.monotonic() > deadline:
            return False, f"{dataset}: version {version} is not in service: {_state(url, dataset)}"
        time.sleep(0.2)
        found = requests.get(f"{url}/{dataset}/model", timeout=10)
        told = found.json() if found.ok else {}
    answer = requests.post(f"{url}/{dataset}/predict", json=told["example"], timeout=30)
    if not answer.ok:
        return False, f"{dataset}: version {version} does not answer its example: {answer.text}"
    said, milliseconds = answer.json(), answer.elapsed.total_seconds() * 1000
    return True, (
        f"{dataset}: version {version} answers POST /{dataset}/predict in {milliseconds:.0f} ms:"
        f" {said['class']} ({said['probability']:.3f})"
    )


def _state(url: str, dataset: str) -> str:
    return str(requests.get(url, timeout=10).json()["models"].get(dataset, "it is not known there"))
