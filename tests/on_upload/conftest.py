"""A lake on S3 with two small data sets, and the function's environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from millrace.datasets import load_specs
from millrace.lake import Store, open_store
from millrace.settings import Settings
from millrace.steps.run import Run
from tests.lake.s3 import new_root, s3_client, s3_server
from tests.orchard import SPEC, orchard_rows

DAY = "2026-01-05"


@pytest.fixture(scope="package")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def lake(
    endpoint: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Lake:
    """Orchard waits for any CSV file, vineyard for the marker `_READY`."""
    datasets = tmp_path_factory.mktemp("datasets")
    for name, raw in (("orchard", {}), ("vineyard", {"ready": "_READY"})):
        spec = {**SPEC, "raw": raw}
        del spec["name"]
        (datasets / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(spec))))
    found = Lake(endpoint, new_root(), datasets)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


class Lake:
    """An S3 lake as a test uses it."""

    def __init__(self, endpoint: str, root: str, datasets: Path):
        self.client, self.root, self.datasets = s3_client(endpoint), root, datasets
        self.bucket, _, self.prefix = root.removeprefix("s3://").partition("/")
        self.environment = {
            "MILLRACE_LAKE": root,
            "MILLRACE_DATASETS": str(datasets),
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def store(self) -> Store:
        return open_store(self.root, self.client)

    def deliver(self, address: str, content: str | None = None) -> str:
        """Upload `<dataset>/<partition>/<file>`; the object's key."""
        key = f"{self.prefix}/raw/{address}"
        text = orchard_rows().to_csv(index=False) if content is None else content
        self.client.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        return key

    def published(self, address: str) -> list[str]:
        """Places below `<dataset>/<partition>` that have a manifest."""
        found = [
            entry.key
            for area in ("processed", "reports")
            for entry in self.store.list(f"{area}/{address}")
        ]
        return sorted(
            key.removesuffix("/_MANIFEST.json") for key in found if key.endswith("MANIFEST.json")
        )

    def attempts(self, address: str) -> set[str]:
        """Attempts at the channels of a partition that left anything behind."""
        keys = [entry.key for entry in self.store.list(f"processed/{address}")]
        parts = [key.removeprefix(f"processed/{address}/").split("/")[0] for key in keys]
        return {part for part in parts if part.startswith("attempt=")}

    def run(self, dataset: str, partition: str = DAY) -> Run:
        """The run as a task of the DAG has it."""
        settings = Settings.from_environment(self.environment)
        spec = load_specs(self.datasets)[0][dataset]
        return Run(spec, partition, self.store, settings, tuple(spec.candidates))


@pytest.fixture
def everything() -> Callable[[str], list[str]]:
    """What a prepared partition has published."""

    def places(address: str) -> list[str]:
        return [
            f"processed/{address}",
            f"processed/{address}/validated",
            f"reports/{address}/validation",
        ]

    return places
