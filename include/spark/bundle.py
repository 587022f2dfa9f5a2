"""A model's bundle: a tar.gz as bytes, which are sent to the workers and built once in each."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inference
from storage import Folder, JobError

LARGEST = 2**31  # bytes of a bundle, unpacked


@dataclass(frozen=True)
class Champion:
    """What the driver knows of a model.

    Attributes:
        sha256: of the bundle.
        content: the bundle.
        state: transformation.json.
    """

    sha256: str
    content: bytes
    facts: dict[str, Any]
    state: dict[str, Any]

    @property
    def inputs(self) -> dict[str, str]:
        """The columns it reads: `number` or `text` by name."""
        return {item["name"]: item["type"] for item in self.state["inputs"]}

    @property
    def threshold(self) -> float:
        return float(self.facts["threshold"])


def read(uri: str) -> Champion:
    """A bundle, built once to prove that it can be.

    Raises:
        JobError: it is not there, is no bundle, or cannot score.
    """
    place, _, name = Folder.of(uri).uri.rpartition("/")
    try:
        content = Folder.of(place or "/").read(name)
    except OSError as error:
        raise JobError(f"--model {uri} cannot be read: {_short(error)}") from error
    try:
        model = build(content)
    except ModuleNotFoundError as error:
        raise JobError(f"--model {uri} needs {error.name}, which is not installed here") from error
    except Exception as error:  # whatever a library says of a file that is no model of its own
        raise JobError(f"--model {uri} is no bundle of a model: {_short(error)}") from error
    if "threshold" not in model.facts or model.facts.get("threshold") is None:
        raise JobError(
            f"--model {uri} has no decision threshold ({model.facts.get('algorithm')}): only a"
            " model of two classes can score"
        )
    check_library(uri, model.facts)
    return Champion(hashlib.sha256(content).hexdigest(), content, model.facts, model.state)


def check_library(uri: str, facts: dict[str, Any]) -> None:
    """Whether the library here reads what another version wrote as that version meant it.

    From 3.1 on, XGBoost keeps the intercept as a list. An older one takes that for no intercept,
    says nothing, and gives wrong probabilities.

    Raises:
        JobError: it does not.
    """
    if facts["algorithm"] != "xgboost":
        return
    import xgboost

    known = facts.get("versions", {})
    made = known.get("xgboost-cpu") or known.get("xgboost") or ""
    if made and _number(made) >= (3, 1) > _number(xgboost.__version__):
        raise JobError(
            f"--model {uri} was made with XGBoost {made}, and {xgboost.__version__} is installed"
            " here, which reads it wrongly: score where XGBoost is 3.1 or later, or train with an"
            " older one"
        )


def _number(version: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", version)[:2]
    return int(major), int(minor)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def build(content: bytes) -> inference.Model:
    """Unpack a bundle and load the model; nothing in it is executed."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as name:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                _unpack(archive, member, Path(name))
        return inference.model_fn(name)


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Files that lie in the bundle itself; a name with a way out of it makes no sense."""
    name = member.name[2:] if member.name.startswith("./") else member.name
    if member.isdir():
        return
    if not member.isfile() or "/" in name or member.size > LARGEST:
        raise ValueError(f"it holds {member.name!r}, and only plain files belong there")
    source = archive.extractfile(member)
    if source is not None:
        (folder / name).write_bytes(source.read())


_built: dict[str, inference.Model] = {}


def built_once(sha256: str, content: Callable[[], bytes]) -> inference.Model:
    """The model of a bundle, built once in a process however many partitions it scores."""
    if sha256 not in _built:
        _built.clear()
        _built[sha256] = build(content())
    return _built[sha256]
