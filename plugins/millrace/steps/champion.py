"""The champion of a data set, as a file that jobs can read: out of the registry, into the lake.

Jobs never talk to MLflow. The worker fetches the champion's files, checks them against the hash
they were registered with, and puts them into the lake once, under that hash.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from millrace.lake.sent import send_once, sent_key
from millrace.steps.run import Run
from millrace.tracking import registry
from millrace.tracking.server import connect, within_budget
from millrace.training import MODEL, pack

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A champion in the lake.

    Attributes:
        version: its number in the registry.
        content: hash of its files.
        key: of its bundle in the lake.
    """

    version: str
    content: str
    key: str


def fetch_champion(run: Run) -> Champion | None:
    """Put the champion's bundle into the lake, unless it is there; None where there is no champion.

    Raises:
        TrackingUnavailable: MLflow does not answer in time.
        RegistryError: the champion's files are not what was registered.
    """
    return within_budget(run.settings, lambda: _fetch(run))


def _fetch(run: Run) -> Champion | None:
    version = registry.champion(connect(run.settings), run.spec.name)
    if version is None:
        return None
    content = version.tags[registry.CONTENT]
    key = sent_key(content, MODEL)
    found = Champion(str(version.version), content, key)
    if any(entry.key == key for entry in run.store.list(key.rpartition("/")[0])):
        return found
    with registry.verified_bundle(version) as bundle, tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / MODEL
        pack(bundle, archive)
        send_once(run.store, archive, key)
    log.info("Put version %s of %s into the lake: %s.", version.version, run.spec.name, key)
    return found
