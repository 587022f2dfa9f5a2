"""Networks as files, and images to run them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from millrace.networks.graph import onnx_bytes
from millrace.networks.mobilenet_v2 import SIZE
from millrace.networks.random_weights import random_weights

Shape = list[int | str]


@pytest.fixture(scope="session")
def random_network() -> bytes:
    """MobileNetV2 with the random weights that stand in, as the content of an ONNX file."""
    return onnx_bytes(random_weights(0), "random (seed 0)")


@pytest.fixture(scope="session")
def features_of() -> Callable[[bytes, np.ndarray], np.ndarray]:
    """Runs a network on images, uint8 [N, 224, 224, 3]."""

    def run(data: bytes, images: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        batches = [images[start : start + 8] for start in range(0, len(images), 8)]
        return np.concatenate([session.run(None, {"images": batch})[0] for batch in batches])

    return run


@pytest.fixture(scope="session")
def photos(real_data: Path) -> tuple[np.ndarray, list[str]]:
    """Twenty real photos of each variety, all round, and the varieties."""
    paths = [
        path
        for folder in sorted((real_data / "fruits" / "images").iterdir())
        for path in sorted(folder.glob("*.jpg"))[::8]
    ]
    images = [np.asarray(Image.open(path).resize((SIZE, SIZE))) for path in paths]
    return np.stack(images), [path.parent.name for path in paths]


@pytest.fixture
def write_network(tmp_path: Path) -> Callable[..., Path]:
    """Write a network that averages its input's channels, declared with any shapes."""

    def write(taken: Shape, given: Shape, name: str = "own.onnx", outputs: int = 1) -> Path:
        axes = [1, 2] if taken[-1] == 3 else list(range(2, len(taken)))
        nodes = [
            helper.make_node(
                "ReduceMean", ["x"], [f"y{number}"], axes=axes, keepdims=int(len(given) == 4)
            )
            for number in range(outputs)
        ]
        graph = helper.make_graph(
            nodes, "own",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
            [
                helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, given)
                for number in range(outputs)
            ],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return write
