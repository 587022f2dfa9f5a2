"""A lake on S3 for tests: a real boto3 client against moto's server in this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "lake"


@contextmanager
def s3_server() -> Iterator[str]:
    """Address of an S3 stand-in that holds the bucket `lake`."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3_client(endpoint).create_bucket(Bucket=BUCKET)
    yield endpoint
    server.stop()


def s3_client(endpoint: str) -> Any:
    """A client as Airflow's connection gives it: standard retries, path addresses."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(
            retries={"mode": "standard"}, s3={"addressing_style": "path"},
            connect_timeout=5, read_timeout=20,
        ),
    )  # fmt: skip


def new_root() -> str:
    """A prefix of the bucket that nothing else uses."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}/deep"
