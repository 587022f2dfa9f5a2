"""Every test of the lake's contract runs on a folder and on S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.lake import Store, open_store
from tests.lake.s3 import new_root, s3_client, s3_server


@pytest.fixture(scope="package")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "lake"))
    return open_store(new_root(), s3_client(request.getfixturevalue("endpoint")))
