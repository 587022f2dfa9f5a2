"""Where models come from: MLflow's registry, and folders baked into the image."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from millrace import card
from millrace.errors import MillraceError
from millrace.tracking import registry
from millrace.tracking.server import connect
from serving.model import ServedModel, Source

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

BUNDLE, SOURCE = "bundle", "source.json"


class NoModel(MillraceError):
    """There is no such model; the message says where it was looked for."""


class Registry:
    """The models of an MLflow server."""

    def __init__(self, mlflow_uri: str) -> None:
        self.mlflow_uri = mlflow_uri

    def names(self) -> list[str]:
        """All data sets that have a champion.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        return registry.with_champion(connect(self))

    def version(self, dataset: str, wanted: int | None) -> ModelVersion:
        """The champion of a data set, or the version that is asked for.

        Raises:
            TrackingUnavailable: MLflow does not answer.
            NoModel: the registry has none.
        """
        client = connect(self)
        if wanted is None:
            found, what = registry.champion(client, dataset), "champion"
        else:
            found, what = registry.numbered(client, dataset, wanted), f"version {wanted}"
        if found is None:
            raise NoModel(f"{dataset} has no {what} in {self.mlflow_uri}; run its pipeline first")
        return found

    def load(self, version: ModelVersion) -> ServedModel:
        """Fetch a version, check it against its hash, load and test it.

        Raises:
            TrackingUnavailable: MLflow does not answer.
            RegistryError: its files are not what was registered, or it has no card.
            SelfTestFailed, OSError, ValueError, KeyError: it cannot be used.
        """
        with registry.verified_bundle(version) as bundle:
            source = Source(str(version.version), version.tags[registry.CONTENT], "registry")
            return ServedModel.load(bundle, registry.read_card(version), source)

    def bake(self, version: ModelVersion, target: Path) -> Path:
        """Write a version as a folder that an image can hold; returns it.

        Raises:
            as `load`.
        """
        target.mkdir(parents=True, exist_ok=True)
        with (
            registry.verified_bundle(version) as bundle,
            tempfile.TemporaryDirectory(dir=target) as scratch,
        ):
            made = Path(scratch) / version.name
            shutil.copytree(bundle, made / BUNDLE)
            (made / card.FILE).write_text(json.dumps(registry.read_card(version)), encoding="utf-8")
            facts = {"version": str(version.version), "content": version.tags[registry.CONTENT]}
            (made / SOURCE).write_text(json.dumps(facts), encoding="utf-8")
            load_baked(made)
            place = target / version.name
            shutil.rmtree(place, ignore_errors=True)
            return made.rename(place)


def baked(folder: Path | None) -> Mapping[str, Path]:
    """The models of a folder, by data set."""
    if folder is None or not folder.is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{SOURCE}"))}


def load_baked(folder: Path) -> ServedModel:
    """Check a baked model against its hash, load and test it.

    Raises:
        RegistryError: its files are not what was registered.
        SelfTestFailed, OSError, ValueError, KeyError: it cannot be used.
    """
    facts = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    found = registry.content_hash(folder / BUNDLE)
    if found != facts["content"]:
        raise registry.RegistryError(
            f"the model in {folder} is not the one that was registered: found {found}, registered"
            f" {facts['content']}; build the image again"
        )
    told = json.loads((folder / card.FILE).read_text(encoding="utf-8"))
    return ServedModel.load(
        folder / BUNDLE, told, Source(facts["version"], facts["content"], "image")
    )
