"""A model service of another team's, as far as deployment sees it: a real process that speaks its
contract over HTTP, with a file for a registry and versions for models.

    python -c "from remote_service import main; main()" 8000

REGISTRY names a JSON file: by data set `champion` and `versions`, each with `content` (hash of
the model's files) and, if it is bad, `broken` (why it cannot be loaded), `mute` (it predicts
nothing) or `deadly` (nothing survives its loading).
MILLRACE_MODELS pins versions (`club=2`) or names data sets that follow the champion (`club`).
HEALTH_PATH is where `GET /` answers; MILLRACE_RELEASE is told there. SILENT=yes: the code of this
release predicts nothing. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

EXAMPLE = {"visits": 3.0}


class Models:
    """What is loaded. Each request looks into the registry, as if a poll had just been."""

    def __init__(self, named: str, registry: Path):
        parts = (part.partition("=") for part in named.split(","))
        self._named = {dataset: version for dataset, _, version in parts}
        self._registry = registry
        self._loaded: dict[str, dict[str, Any]] = {}

    def look(self) -> dict[str, dict[str, Any]]:
        """By data set its model, or why there is none, or why an older one still serves."""
        known = json.loads(self._registry.read_text())
        return {dataset: self._one(dataset, pin, known) for dataset, pin in self._named.items()}

    def _one(self, dataset: str, pin: str, known: Any) -> dict[str, Any]:
        held = known.get(dataset, {"champion": None, "versions": {}})
        version = pin or held["champion"]
        found = held["versions"].get(version)
        if found is None:
            error = f"{dataset} has no version {version} in the registry; run its pipeline first"
        elif "broken" in found:
            error = found["broken"]
        else:
            self._loaded[dataset] = {"version": version, "source": "registry", **found}
            return self._loaded[dataset]
        if dataset in self._loaded:
            stays = f"version {self._loaded[dataset]['version']} stays"
            said = f"version {version} is not in service: {error}; {stays}"
            return {**self._loaded[dataset], "fallback": said}
        return {"version": None, "fallback": f"{error}; there is no model"}


class Handler(BaseHTTPRequestHandler):
    models: Models

    def do_GET(self) -> None:
        found, path = self.models.look(), self.path.split("?")[0]
        dataset = path.strip("/").partition("/")[0]
        if path == os.environ.get("HEALTH_PATH", "/"):
            missing = [name for name, model in found.items() if not model["version"]]
            status = "not ready" if missing else "ok"
            told = {"status": status, "release": os.environ.get("MILLRACE_RELEASE")}
            self.answer(503 if missing else 200, {**told, "models": found})
        elif path.endswith("/model") and found.get(dataset, {}).get("version"):
            facts = {key: found[dataset][key] for key in ("version", "content")}
            self.answer(200, {"dataset": dataset, **facts, "example": EXAMPLE})
        else:
            self.answer(404, {"detail": f"there is no {path}"})

    def do_POST(self) -> None:
        record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.models.look()[self.path.strip("/").partition("/")[0]]
        if model.get("mute") or os.environ.get("SILENT"):
            self.answer(500, {"detail": "the model fell silent"})
        elif set(record) != set(EXAMPLE):
            self.answer(422, {"detail": "no such fields"})
        else:
            self.answer(200, {"probability": 0.5, "version": model["version"]})

    def answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Access logs are nobody's concern."""


def main() -> None:
    Handler.models = Models(os.environ["MILLRACE_MODELS"], Path(os.environ["REGISTRY"]))
    for dataset, model in Handler.models.look().items():
        said = model.get("fallback") or f"version {model['version']} is in service"
        print(f"{dataset}: {said}", file=sys.stderr, flush=True)
        if model.get("deadly"):
            raise MemoryError(f"version {model['version']} is too large")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
