"""Every test of erasure runs on a folder and on a versioned bucket."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.lake import Store, open_store
from millrace.steps.run import Run
from tests.lake.s3 import s3_client, s3_server
from tests.privacy.loans import DAYS, deliver, process, run_of


@pytest.fixture(scope="package")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["local", "versioned bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "lake"))
    client = s3_client(request.getfixturevalue("endpoint"))
    bucket = f"lake-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return open_store(f"s3://{bucket}/deep", client)


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two partitions of loans, processed up to the predictions of one model."""
    folder = tmp_path_factory.mktemp("loans")
    for seed, day in enumerate(DAYS):
        store = open_store(str(folder / "lake"))
        deliver(store, day, seed=seed)
        process(run_of(store, day, folder))
    return folder / "lake"


@pytest.fixture
def runs(store: Store, loans: Path, tmp_path: Path) -> list[Run]:
    """A copy of the lake of loans in the store of this test."""
    client = getattr(store, "client", None)
    for path in (path for path in loans.rglob("*") if path.is_file()):
        name = path.relative_to(loans).as_posix()
        if client is not None:
            client.upload_file(str(path), store.root.split("/")[2], f"deep/{name}")
    if client is None:
        shutil.copytree(loans, store.root)
    return [run_of(store, day, tmp_path) for day in DAYS]
