"""The model registry: versions of a data set's model, and the alias `champion`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace import card
from millrace.errors import MillraceError
from millrace.lake.manifest import sha256_of
from millrace.settings import Settings
from millrace.tracking.server import connect, is_no_answer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CONTENT, REPLACES, ROLLED_BACK, VERDICT = (
    "millrace.content", "millrace.replaces", "millrace.rolled_back", "millrace.verdict",
)  # fmt: skip


class RegistryError(MillraceError):
    """A registered model is not what it should be; the message says what to do."""


def content_hash(bundle: Path) -> str:
    """SHA-256 over names and hashes of a model's files."""
    digest = hashlib.sha256()
    for path in sorted(item for item in bundle.rglob("*") if item.is_file()):
        digest.update(f"{path.relative_to(bundle).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def register(
    client: MlflowClient,
    name: str,
    model_uri: str,
    run_id: str,
    content: str,
    tags: Mapping[str, str],
) -> ModelVersion:
    """The version of this model; made only where it is not registered yet."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in _versions(client, name):
        if version.source == model_uri:
            return version
    return client.create_model_version(
        name, model_uri, run_id=run_id, tags={**tags, CONTENT: content},
        model_id=model_uri.removeprefix("models:/"), await_creation_for=20,
    )  # fmt: skip


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that carries the alias, None where none does."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def numbered(client: MlflowClient, name: str, number: int) -> ModelVersion | None:
    """The version of that number, None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def with_champion(client: MlflowClient) -> list[str]:
    """The data sets that have a champion, by name."""
    models = client.search_registered_models(max_results=1000)
    return sorted(model.name for model in models if CHAMPION in model.aliases)


def champion_partitions(settings: Settings) -> dict[str, str | None]:
    """The partition that each data set's champion was trained on.

    Raises:
        TrackingUnavailable: MLflow does not answer.
    """
    client = connect(settings)
    models = client.search_registered_models(max_results=1000)
    found = {model.name: champion(client, model.name) for model in models}
    return {
        name: version.tags.get("millrace.partition") if version else None
        for name, version in found.items()
    }


@contextmanager
def verified_bundle(version: ModelVersion) -> Iterator[Path]:
    """The files of a version, downloaded and checked against the hash it was registered with.

    Raises:
        RegistryError: files are missing or differ.
    """
    import mlflow

    label = f"version {version.version} of {version.name}"
    with tempfile.TemporaryDirectory(prefix="millrace-registry-") as scratch:
        try:
            mlflow.artifacts.download_artifacts(version.source, dst_path=scratch)
        except (mlflow.MlflowException, OSError) as error:
            if is_no_answer(error):
                raise
            raise RegistryError(
                f"the artifact of {label} cannot be read from {version.source}: {error}"
            ) from error
        bundles = [path for path in Path(scratch).rglob("bundle") if path.is_dir()]
        found = content_hash(bundles[0]) if bundles else "no files"
        if found != version.tags.get(CONTENT):
            raise RegistryError(
                f"the artifact of {label} is not the one that was registered: "
                f"found {found}, registered {version.tags.get(CONTENT)}; run its partition again"
            )
        yield bundles[0]


def read_card(version: ModelVersion) -> dict[str, Any]:
    """The card that was logged with a version (see `millrace.card`).

    Raises:
        RegistryError: it has none that can be read.
    """
    import mlflow

    uri = f"runs:/{version.run_id}/{card.FOLDER}/{card.FILE}"
    try:
        found: dict[str, Any] = mlflow.artifacts.load_dict(uri)
    except (mlflow.MlflowException, OSError, ValueError) as error:
        if is_no_answer(error):
            raise
        raise RegistryError(
            f"version {version.version} of {version.name} has no card that can be read: {error};"
            " run its partition again"
        ) from error
    return found


def move_champion(
    client: MlflowClient, version: ModelVersion, present: ModelVersion | None
) -> None:
    """Point the alias at `version`, and remember which version it replaces.

    A champion of old that comes back leaves its place in the chain of predecessors, so that the
    chain never runs in a circle.
    """
    name, number = version.name, version.version
    for other in _versions(client, name):
        if other.tags.get(REPLACES) == number:
            _replaces(client, other, version.tags.get(REPLACES))
        if other.tags.get(ROLLED_BACK) and other.tags.get(CONTENT) == version.tags.get(CONTENT):
            client.delete_model_version_tag(name, other.version, ROLLED_BACK)
    _replaces(client, version, present.version if present else None)
    client.set_registered_model_alias(name, CHAMPION, number)


def _replaces(client: MlflowClient, version: ModelVersion, previous: str | None) -> None:
    if previous is not None:
        client.set_model_version_tag(version.name, version.version, REPLACES, previous)
    elif REPLACES in version.tags:
        client.delete_model_version_tag(version.name, version.version, REPLACES)


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return list(client.search_model_versions(f"name = '{name}'"))


def was_rolled_back(client: MlflowClient, version: ModelVersion) -> bool:
    """Whether this model was taken out of service, under this version or an equal one."""
    return any(
        other.tags.get(ROLLED_BACK) and other.tags.get(CONTENT) == version.tags.get(CONTENT)
        for other in _versions(client, version.name)
    )


def roll_back(client: MlflowClient, name: str) -> tuple[ModelVersion, ModelVersion]:
    """Put the champion's predecessor back; returns (the version left, the version restored).

    Raises:
        RegistryError: there is no champion, it replaced none, or the predecessor's artifact is bad.
    """
    present = champion(client, name)
    if present is None:
        raise RegistryError(f"{name} has no champion; run its pipeline first")
    restored = _predecessor(client, present)
    with verified_bundle(restored):
        # In this order: whatever ends this process in between, the model is not promoted again.
        client.set_model_version_tag(name, present.version, ROLLED_BACK, "true")
        client.set_registered_model_alias(name, CHAMPION, restored.version)
    return present, restored


def _predecessor(client: MlflowClient, version: ModelVersion) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    label, number = f"version {version.version} of {version.name}", version.tags.get(REPLACES)
    if number is None:
        raise RegistryError(
            f"{label} replaced no other; run another partition with promote=yes instead"
        )
    try:
        return client.get_model_version(version.name, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"version {number}, which {label} replaced, was deleted;"
            " run another partition with promote=yes instead"
        ) from error
