"""The data lake: where data lies, and how a step's output gets there in one atomic step."""

from pathlib import Path
from typing import Any

from millrace.lake.attempts import Attempt, answers, publish
from millrace.lake.local import LocalStore
from millrace.lake.manifest import Place, Published, read_published, require_published
from millrace.lake.s3 import S3Store
from millrace.lake.store import Conflict, LakeError, Store, matches

__all__ = [
    "Attempt",
    "Conflict",
    "LakeError",
    "LocalStore",
    "Place",
    "Published",
    "S3Store",
    "Store",
    "answers",
    "matches",
    "open_store",
    "publish",
    "read_published",
    "require_published",
]


def open_store(root: str, s3_client: Any = None) -> Store:
    """The store at `root`: a local folder, or `s3://bucket/prefix` with a boto3 S3 client."""
    return S3Store(root, s3_client) if root.startswith("s3://") else LocalStore(Path(root))
