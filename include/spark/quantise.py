"""An int8 network from a single-precision one, calibrated on a sample of the images.

Static quantisation as ONNX Runtime documents it (onnxruntime.quantization): weights int8 a
channel, activations uint8, with the ranges seen on the sample.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from network import Network, scaled
from storage import JobError


def quantised(content: bytes, network: Network, pixels: Sequence[np.ndarray]) -> bytes:
    """The network's bytes in int8, with metadata that says so.

    Raises:
        JobError: there is no image to calibrate on, or the `onnx` package is missing.
    """
    if not len(pixels):
        raise JobError("--precision int8 calibrates on some images, and none can be decoded")
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise JobError(f"--precision int8 needs the package onnx ({error})") from error

    class Sample(quantization.CalibrationDataReader):
        """One image at a time."""

        def __init__(self) -> None:
            self.batches = _batches(network, pixels)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        given, ready, made = (os.path.join(folder, name) for name in ("in", "ready", "int8"))
        with open(given, "wb") as file:
            file.write(content)
        quant_pre_process(given, ready, skip_symbolic_shape=True)
        quantization.quantize_static(
            ready, made, Sample(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        model = onnx.load(made)
    _describe(model, network)
    return bytes(model.SerializeToString(deterministic=True))


def _batches(network: Network, pixels: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for each in pixels:
        batch = np.repeat(each[None], max(network.batch, 1), axis=0)
        yield {network.input: scaled(batch, network)}


def _describe(model: Any, network: Network) -> None:
    del model.metadata_props[:]
    known = {
        "name": network.name, "weights": network.weights, "scaling": network.scaling,
        "precision": "int8",
    }  # fmt: skip
    for name, value in known.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"millrace.{name}", value
