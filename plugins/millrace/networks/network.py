"""Which image network a name stands for, and whether its file can be used."""

from __future__ import annotations

import hashlib
import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.errors import MillraceError
from millrace.lake import LakeError, Store
from millrace.settings import Settings

log = logging.getLogger(__name__)

MOBILENET_V2 = "mobilenet_v2"
KEY = f"networks/{MOBILENET_V2}.onnx"  # in the lake, where `make weights` puts it
SEED = 0  # of the random weights


class NetworkError(MillraceError):
    """A network's file cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Network:
    """An image network that is ready to be sent to where it runs.

    Attributes:
        path: a local ONNX file; input [N, size, size, 3] or [N, 3, size, size], output
            [N, width] or [N, width, 1, 1].
        weights: what they are: `imagenet`, `random (seed 0)`, or `not stated`.
        sha256: of the file.
    """

    path: Path
    name: str
    weights: str
    sha256: str


def network_of(name_or_path: str, store: Store, cache: Path | None = None) -> Network:
    """The network that a spec names.

    Args:
        name_or_path: `mobilenet_v2`, or the path or lake key of an ONNX file.
        cache: folder for the stand-in with random weights (default: below `MILLRACE_HOME`).

    Raises:
        NetworkError: there is no such file, or it is no network for images.
    """
    if name_or_path != MOBILENET_V2:
        return _read(_own_file(name_or_path, store))
    try:
        return _read(store.local(KEY))
    except FileNotFoundError:
        log.warning(
            "There are no ImageNet weights at %s: MobileNetV2 runs with random weights, whose"
            " features are worth less. `make weights` fetches the trained ones.", store.uri(KEY)
        )  # fmt: skip
    return _read(_random_network(cache or Settings.from_environment().home / "cache" / "networks"))


def _own_file(name: str, store: Store) -> Path:
    """The local path of a user's file."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    key = name.removeprefix(f"{store.root.rstrip('/')}/")
    try:
        return store.local(key)
    except (FileNotFoundError, LakeError):
        raise NetworkError(
            f"there is no network {name!r}: no such file, nor {key!r} in the lake {store.root};"
            f" write {MOBILENET_V2}, or the path or lake key of an ONNX file"
        ) from None


def _random_network(folder: Path) -> Path:
    """The file of the stand-in, named by its content, made when it is not there."""
    from millrace.networks.graph import onnx_bytes
    from millrace.networks.random_weights import random_weights

    data = onnx_bytes(random_weights(SEED), f"random (seed {SEED})")
    path = folder / f"{MOBILENET_V2}-random-{hashlib.sha256(data).hexdigest()[:12]}.onnx"
    if not path.is_file() or path.stat().st_size != len(data):
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".tmp-{uuid.uuid4().hex}")
        draft.write_bytes(data)
        draft.replace(path)
    return path


def _read(path: Path) -> Network:
    """Check a file and describe it."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise NetworkError(f"the network {path} cannot be read: {error.strerror}") from error
    try:
        model = onnx.load_from_string(data)
    except DecodeError as error:
        raise NetworkError(
            f"{path} is no ONNX file; export the network as ONNX ({MOBILENET_V2}: `make weights`)"
        ) from error
    if fault := _fault(model):
        raise NetworkError(f"the network {path} cannot be used: {fault}")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return Network(
        path.resolve(),
        metadata.get("millrace.name", path.name),
        metadata.get("millrace.weights", "not stated"),
        hashlib.sha256(data).hexdigest(),
    )


def _fault(model: Any) -> str:
    """What keeps a model from being used for images, empty where nothing does."""
    import onnx

    graph = model.graph
    if not graph.node:
        return "it has no layers; export it again"
    if any(array.external_data for array in graph.initializer):
        return "it keeps its weights in other files; save it as one file"
    constants = {array.name for array in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    outputs = list(onnx.shape_inference.infer_shapes(model).graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        return (
            f"it has {len(inputs)} inputs and {len(outputs)} outputs; it must have one input, the"
            " images, and one output, their features"
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8):
        return (
            f"its input is of the type {onnx.TensorProto.DataType.Name(kind)}; it must be FLOAT or"
            " UINT8"
        )
    taken, given = _shape(inputs[0]), _shape(outputs[0])
    if not _takes_images(taken):
        return (
            f"its input has the shape {_written(taken)}; it must be [N, size, size, 3] or"
            " [N, 3, size, size], one size for both sides"
        )
    if not _gives_features(given):
        return (
            f"its output has the shape {_written(given)}; it must be [N, width] or"
            " [N, width, 1, 1]: export it without the classifier, with global average pooling"
        )
    return ""


def _shape(value: Any) -> list[int]:
    """Sizes, 0 where one is not fixed."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _takes_images(shape: list[int]) -> bool:
    """Square images, channels first or last; the job chooses a size that is not fixed."""
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        return False
    height, width = shape[1:3] if shape[3] == 3 else shape[2:]
    return height == width


def _gives_features(shape: list[int]) -> bool:
    return len(shape) in (2, 4) and shape[1] > 0 and all(axis == 1 for axis in shape[2:])


def _written(shape: list[int]) -> str:
    return f"[{', '.join(str(axis or 'N') for axis in shape)}]"
