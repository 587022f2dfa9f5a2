"""An ONNX network that turns images into features: what it is, and running it on one thread.

Single precision and int8 run in ONNX Runtime, bf16 in OpenVINO: the fastest of the runtimes
measured for MobileNetV2 on one core; bench/image_features.py measures them again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from images import DECODE_VERSION
from storage import JobError

SCALINGS = ("-1..1", "0..1", "0..255", "imagenet")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # means and deviations of the channels
ANY_SIZE = 224  # pixels a side where a network takes any
OPENVINO = {
    "INFERENCE_PRECISION_HINT": "bf16",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": False,  # each worker would take the same first core, and the rest idle
}
Run = Callable[[np.ndarray], np.ndarray]
"""Pixels uint8 [n, size, size, 3] in, features float32 [n, width] out."""


@dataclass(frozen=True)
class Network:
    """What is known about a network without running it.

    Attributes:
        layout: NHWC or NCHW.
        size: pixels a side.
        type: of the input, float32 or uint8.
        batch: the only batch it takes, 0 for any.
        precision: fp32, bf16 or int8; "" before it is chosen.
    """

    name: str
    weights: str
    scaling: str
    sha256: str
    input: str
    layout: str
    size: int
    type: str
    batch: int
    made_int8: bool = False
    precision: str = ""

    @property
    def id(self) -> str:
        """Identity of the features: the same file, precision, scaling and decoding."""
        parts = (self.sha256, self.precision, self.scaling, DECODE_VERSION)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def facts(self, runtime: str) -> dict[str, str]:
        return {
            "id": self.id, "name": self.name, "weights": self.weights, "sha256": self.sha256,
            "precision": self.precision, "scaling": self.scaling, "runtime": runtime,
        }  # fmt: skip


def describe(content: bytes, name: str, scaling: str = "network") -> Network:
    """What an ONNX file says about itself; `scaling` other than "network" overrides it.

    Raises:
        JobError: it cannot be loaded, or takes no square RGB images.
    """
    session = _session(content, name)
    known = session.get_modelmeta().custom_metadata_map
    taken, *others = session.get_inputs()
    shape = taken.shape
    if others or len(shape) != 4 or 3 not in (shape[1], shape[3]):
        found = ", ".join(f"{each.name} {each.shape}" for each in session.get_inputs())
        raise JobError(
            f"{name} takes no images: its input must be [N, size, size, 3] or"
            f" [N, 3, size, size], and is {found}"
        )
    layout = "NHWC" if shape[3] == 3 else "NCHW"
    sides = shape[1:3] if layout == "NHWC" else shape[2:4]
    sizes = {side for side in sides if isinstance(side, int)} or {ANY_SIZE}
    kinds = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
    if len(sizes) > 1 or taken.type not in kinds:
        raise JobError(f"{name} takes {taken.type} {shape}; only square float or uint8 images fit")
    if scaling == "network":
        scaling = known.get("millrace.scaling", "0..255" if taken.type == "tensor(uint8)" else "")
    if scaling and scaling not in SCALINGS:
        raise JobError(f"{name} asks for scaling {scaling!r}; known are {', '.join(SCALINGS)}")
    return Network(
        name=known.get("millrace.name", os.path.splitext(name)[0]),
        weights=known.get("millrace.weights", "of the file"), scaling=scaling,
        sha256=hashlib.sha256(content).hexdigest(), input=taken.name, layout=layout,
        size=sizes.pop(), type=kinds[taken.type],
        batch=shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 0,
        made_int8=known.get("millrace.precision") == "int8",
    )  # fmt: skip


def scaled(pixels: np.ndarray, network: Network) -> np.ndarray:
    """Pixels uint8 [n, size, size, 3] as the network takes them."""
    values = pixels
    if network.type == "float32":
        values = pixels.astype(np.float32)
        if network.scaling == "-1..1":
            values /= 127.5
            values -= 1
        elif network.scaling in ("0..1", "imagenet"):
            values /= 255
        if network.scaling == "imagenet":
            values -= np.array(IMAGENET[0], np.float32)
            values /= np.array(IMAGENET[1], np.float32)
    if network.layout == "NCHW":
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    return values


def runner(content: bytes, network: Network, batch: int) -> Run:
    """The network on one thread, in its precision."""
    once = _openvino if network.precision == "bf16" else _onnxruntime
    infer = once(content, network, batch)

    def run(pixels: np.ndarray) -> np.ndarray:
        rows = len(pixels)
        if rows < batch:  # the shape stays the same: nothing is planned anew for a last batch
            more = np.zeros((batch - rows, *pixels.shape[1:]), np.uint8)
            pixels = np.concatenate([pixels, more])
        found = infer(scaled(pixels, network))
        return np.asarray(found, np.float32).reshape(batch, -1)[:rows]

    return run


def _session(content: bytes, name: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions share no base class
        reason = " ".join(str(error).split())[:200]
        raise JobError(f"{name} is no network ONNX Runtime can load: {reason}") from error


def _onnxruntime(content: bytes, network: Network, batch: int) -> Run:
    session = _session(content, network.name)
    return lambda values: session.run(None, {network.input: values})[0]


def _openvino(content: bytes, network: Network, batch: int) -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(content)
    sides = (network.size, network.size)
    model.reshape([batch, *sides, 3] if network.layout == "NHWC" else [batch, 3, *sides])
    request = core.compile_model(model, "CPU", OPENVINO).create_infer_request()

    def infer(values: np.ndarray) -> np.ndarray:
        return request.infer([values], share_inputs=True)[0]

    return infer


def runtime_of(network: Network) -> str:
    """The name and version of what runs the network."""
    if network.precision == "bf16":
        import openvino

        return f"OpenVINO {openvino.__version__.split('-')[0]}"
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def features_of(run: Run, pixels: np.ndarray, batch: int) -> np.ndarray:
    """Features of a few images, in batches."""
    return np.concatenate([run(pixels[at : at + batch]) for at in range(0, len(pixels), batch)])


_built: dict[tuple[str, int], Run] = {}


def built_once(content: Callable[[], bytes], network: Network, batch: int) -> Run:
    """The runner of a network, built once in a process however many partitions it computes."""
    key = (network.id, batch)
    if key not in _built:
        _built.clear()
        _built[key] = runner(content(), network, batch)
    return _built[key]
