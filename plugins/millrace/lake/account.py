"""What a job says of the files that it wrote into the lake by itself.

Its last file is `job.json`: `{"files": {name: {"size": bytes, "sha256": ...}}, "facts": {...}}`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from millrace.lake.store import LakeError, Store

ACCOUNT = "job.json"
NAME = re.compile(r"attempt=[\w.-]+")

Files = dict[str, dict[str, Any]]


def account_of(store: Store, folder: str) -> tuple[Files, dict[str, Any]]:
    """The files a job has written below `folder`, with sizes and hashes, and its figures.

    No file is read: their sizes are held against a listing, their hashes against the files when
    somebody reads them.

    Raises:
        FileNotFoundError: the account or a file is missing: the work is to be done anew.
        LakeError: the account cannot be used, or a file has another size.
    """
    if not NAME.fullmatch(folder.rpartition("/")[2]):
        raise LakeError(f"the folder {folder!r} is no attempt; a job writes into attempt=<name>")
    found = store.read(f"{folder}/{ACCOUNT}")
    if found is None:
        raise FileNotFoundError(f"there is no {store.uri(folder)}/{ACCOUNT}")
    files, facts = _parsed(found[0], f"{store.uri(folder)}/{ACCOUNT}")
    sizes = {entry.key.removeprefix(f"{folder}/"): entry.size for entry in store.walk(folder)}
    for name, said in files.items():
        if name not in sizes:
            raise FileNotFoundError(f"there is no {store.uri(folder)}/{name}")
        if sizes[name] != said["size"]:
            raise LakeError(
                f"{store.uri(folder)}/{name} has {sizes[name]:,} bytes, and the job that made it"
                f" wrote {said['size']:,}; delete {store.uri(folder)} and run the step again"
            )
    return files, facts


def _parsed(data: bytes, uri: str) -> tuple[Files, dict[str, Any]]:
    try:
        account = json.loads(data)
        files = {
            str(name): {"size": int(said["size"]), "sha256": str(said["sha256"])}
            for name, said in account["files"].items()
        }
        return files, dict(account["facts"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LakeError(
            f"{uri} is no account of a job ({error!r}); delete it and run the step again"
        ) from error
