"""The lake of these tests: on a folder and on S3, as for the lake's own contract."""

from tests.lake.conftest import endpoint, store

__all__ = ["endpoint", "store"]
