"""What the service can be told from outside, read from the environment once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from millrace.variables import SettingsError, folder, listed, seconds, whole, yes_or_no

OTHERS = "*"
MODEL = r"\*|[a-z][a-z0-9_]{0,39}(=[1-9]\d{0,8})?"


@dataclass(frozen=True)
class ServiceSettings:
    """How the service runs.

    Attributes:
        models: data sets to serve, each with a version or None for the champion; empty: all that
            have a champion.
        others: whether all others that have a champion are served besides those.
        folder: models baked into the image, one folder a data set; None where there are none.
        mlflow_uri: the registry; None where there is none.
        refresh: seconds between two looks into the registry.
        largest_body: bytes of a request.
        most_rows: records in one request.
        most_waiting: requests answered at the same time; more are turned away.
        lake: where predictions are recorded, a folder or `s3://bucket/prefix`; None: nowhere.
        pages: whether there are pages for people under `/ui`.
        pages_lake: the lake in which pages find scored clients and image networks; None: in none.
        release: what the running image is called; None where nobody says.
    """

    models: Mapping[str, int | None]
    folder: Path | None
    mlflow_uri: str | None
    others: bool = False
    refresh: float = 5.0
    largest_body: int = 2**20
    most_rows: int = 1000
    most_waiting: int = 64
    lake: str | None = None
    pages: bool = False
    pages_lake: str | None = None
    release: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Read the settings.

        Raises:
            SettingsError: a variable holds something that cannot be used, or there is no model.
        """
        named = listed(
            environment, "MILLRACE_MODELS", MODEL,
            "data sets such as titanic or titanic=3, or * for all others",
        )  # fmt: skip
        baked, lake = environment.get("MILLRACE_MODEL_FOLDER"), environment.get("MILLRACE_LAKE")
        pages = yes_or_no(environment, "MILLRACE_SERVICE_PAGES")
        if pages and find_spec("gradio") is None:
            raise SettingsError(
                "MILLRACE_SERVICE_PAGES is yes, and pages need the package gradio, which is not"
                " installed; install it, or write no"
            )
        found = cls(
            models=dict(_wanted(name) for name in named if name != OTHERS),
            others=OTHERS in named,
            folder=folder(baked) if baked else None,
            mlflow_uri=_server(environment.get("MLFLOW_TRACKING_URI", "")),
            refresh=seconds(environment, "MILLRACE_SERVICE_REFRESH", 5),
            largest_body=whole(environment, "MILLRACE_SERVICE_BODY", 2**20, "bytes"),
            most_rows=whole(environment, "MILLRACE_SERVICE_ROWS", 1000, "records"),
            most_waiting=whole(environment, "MILLRACE_SERVICE_WAITING", 64, "requests"),
            lake=lake if yes_or_no(environment, "MILLRACE_SERVICE_RECORD") else None,
            pages=pages,
            pages_lake=(lake or None) if pages else None,
            release=environment.get("MILLRACE_RELEASE") or None,
        )
        if found.folder is None and found.mlflow_uri is None:
            raise SettingsError(
                "the service has no models: set MLFLOW_TRACKING_URI to the registry's address, or"
                " MILLRACE_MODEL_FOLDER to a folder of models"
            )
        return found


def _wanted(text: str) -> tuple[str, int | None]:
    name, _, version = text.partition("=")
    return name, int(version) if version else None


def _server(uri: str) -> str | None:
    if uri and not re.match(r"https?://[^\s/]+", uri):
        raise SettingsError(f"MLFLOW_TRACKING_URI is {uri!r}; write http://host:port")
    return uri.rstrip("/") or None
