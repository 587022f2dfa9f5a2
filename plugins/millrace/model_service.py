"""The model service as a client sees it, through its load balancer where it has one."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT = 10.0  # seconds for one answer


class NoAnswer(RuntimeError):
    """The service does not answer, or not as a model service does; it may a moment later."""


class ModelService:
    """One address. Every call raises NoAnswer where nothing useful comes back.

    Args:
        url: such as `https://models.example.com`.
    """

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def health(self) -> dict[str, Any]:
        """Its release and its models, as it tells them, also where one of them is missing."""
        return self._document(self._ask("GET", ""), 200, 503)

    def model(self, dataset: str) -> dict[str, Any] | None:
        """What the service says of a data set's model, None where it has none."""
        answer = self._ask("GET", f"{dataset}/model")
        return None if answer.status_code == 404 else self._document(answer)

    def complaint(self, dataset: str) -> str:
        """Why the service does not serve the model it should, in its words; empty: it does."""
        models = self.health().get("models", {})
        return str(models.get(dataset, {}).get("fallback", ""))

    def predict(self, dataset: str, record: dict[str, Any]) -> dict[str, Any]:
        """The answer to one record."""
        return self._document(self._ask("POST", f"{dataset}/predict", record))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        address = f"{self.url}/{path}"
        try:
            # A new connection each time: a load balancer may keep one for one and the same target.
            headers = {"Connection": "close"}
            return requests.request(method, address, json=body, timeout=TIMEOUT, headers=headers)
        except requests.RequestException as error:
            raise NoAnswer(f"{address} does not answer: {type(error).__name__}") from error

    def _document(self, answer: requests.Response, *accepted: int) -> dict[str, Any]:
        said = answer.text[:300].strip()
        if answer.status_code not in (accepted or (200,)):
            raise NoAnswer(f"{answer.url} answers {answer.status_code}: {said}")
        try:
            found: dict[str, Any] = answer.json()
            return found
        except ValueError:
            raise NoAnswer(f"{answer.url} answers no JSON: {said}") from None
