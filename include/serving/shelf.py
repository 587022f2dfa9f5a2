"""The models in service: loaded, watched, and exchanged without a pause.

Every request takes the model that is there at its beginning. A new champion is loaded and tested
beside the old one; only when it is good does it take its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from millrace.errors import MillraceError
from millrace.tracking.server import TrackingUnavailable
from serving.model import ServedModel
from serving.settings import ServiceSettings
from serving.sources import NoModel, Registry, baked, load_baked

log = logging.getLogger(__name__)

AGAIN = 60.0  # seconds until a version that could not be used is tried once more


@dataclass(frozen=True)
class Refusal:
    """A version that is not in service, and why."""

    version: str
    reason: str
    at: float


class Shelf:
    """The models in service.

    Args:
        changed: called with the name of a data set whose model was put in place.
    """

    def __init__(
        self, settings: ServiceSettings, changed: Callable[[str], object] = lambda _: None
    ) -> None:
        self.settings = settings
        self.models: dict[str, ServedModel] = {}
        self.fallbacks: dict[str, str] = {}
        self._changed = changed
        self._registry = Registry(settings.mlflow_uri) if settings.mlflow_uri else None
        self._refused: dict[str, Refusal] = {}
        self._looking = threading.Lock()

    @property
    def missing(self) -> list[str]:
        """Data sets that must be served and are not."""
        return [name for name in self.settings.models if name not in self.models]

    @property
    def is_ready(self) -> bool:
        """Whether every model that must be there is there, and at least one is."""
        return bool(self.models) and not self.missing

    def state(self) -> dict[str, Any]:
        """What `GET /` says: each model with its version, and what is not as it should be."""
        found: dict[str, Any] = {
            name: {
                "version": model.source.version, "content": model.source.content,
                "source": model.source.origin, "loaded_seconds": model.seconds,
            }
            for name, model in sorted(self.models.items())
        }  # fmt: skip
        for name, reason in self.fallbacks.items():
            found.setdefault(name, {"version": None})["fallback"] = reason
        for name in self.missing:
            found.setdefault(name, {"version": None, "fallback": "not loaded yet"})
        return found

    def refresh(self) -> None:
        """Look once for models that are new, and put those that are good in place."""
        with self._looking:
            for name in self._names():
                self._look(name)

    def _names(self) -> list[str]:
        named = set(self.settings.models)
        if named and not self.settings.others:
            return sorted(named)
        found = named | set(self.models) | set(baked(self.settings.folder))
        if self._registry:
            try:
                found |= set(self._registry.names())
            except TrackingUnavailable as error:
                log.warning("%s; the models stay as they are.", error)
        return sorted(found)

    def _look(self, name: str) -> None:
        """Find out what should be in service for one data set, and see to it."""
        wanted = self.settings.models.get(name)
        try:
            if self._registry:
                self._from_registry(self._registry, name, wanted)
            else:
                self._from_image(name, "")
        except (TrackingUnavailable, NoModel) as error:
            self._from_image(name, str(error))

    def _from_registry(self, registry: Registry, name: str, wanted: int | None) -> None:
        version = registry.version(name, wanted)
        number, present = str(version.version), self.models.get(name)
        if present and present.source.version == number:
            self._settled(name)
            return
        refused = self._refused.get(name)
        if refused and refused.version == number and time.monotonic() - refused.at < AGAIN:
            return
        self._place(name, number, lambda: registry.load(version))

    def _from_image(self, name: str, reason: str) -> None:
        """The model of the image, where there is no other; with a reason it is a fallback."""
        folder = baked(self.settings.folder).get(name)
        if name not in self.models and folder is not None:
            self._place(name, "of the image", lambda: load_baked(folder))
        if reason:
            self._fall_back(name, reason)

    def _place(self, name: str, number: str, load: Callable[[], ServedModel]) -> None:
        try:
            model = load()
        except TrackingUnavailable:
            raise
        except (MillraceError, OSError, ValueError, KeyError, ImportError) as error:
            self._refused[name] = Refusal(number, str(error), time.monotonic())
            self._fall_back(name, f"version {number} is not in service: {error}")
            return
        self.models[name] = model
        self._settled(name)
        log.info("%s: version %s is in service (from the %s, %.1f s).",
                 name, model.source.version, model.source.origin, model.seconds)  # fmt: skip
        self._changed(name)

    def _settled(self, name: str) -> None:
        self._refused.pop(name, None)
        if self.fallbacks.pop(name, None):
            log.info("%s: the fallback is over.", name)

    def _fall_back(self, name: str, reason: str) -> None:
        present = self.models.get(name)
        stays = f"version {present.source.version} stays" if present else "there is no model"
        said = f"{reason}; {stays}"
        if self.fallbacks.get(name) != said:
            self.fallbacks[name] = said
            log.warning("%s: %s.", name, said)


def watch(shelf: Shelf, stop: threading.Event) -> None:
    """Look for models, again and again until told to stop; no error ends it."""
    while not stop.is_set():
        try:
            shelf.refresh()
        except Exception:
            log.exception("Looking for new models failed; the present ones stay.")
        stop.wait(shelf.settings.refresh)


def served(models: Mapping[str, ServedModel]) -> str:
    """The names, for messages."""
    return ", ".join(sorted(models)) or "none"
