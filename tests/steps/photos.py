"""A small data set of drawn photos, and a small network for them: a run takes seconds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from millrace.datasets import ImageSpec, load_image_spec
from millrace.lake import Store

SIZE, WIDTH, VIEWS = 32, 16, 12
COLOURS = {"Apple Red": (190, 30, 40), "Banana": (220, 200, 60), "Pär=n": (120, 160, 60)}
SPEC = """\
kind: images
description: Which drawn fruit a photo shows.
owner: growers
tags: [images]
schedule: null
raw: {{files: "images/*/*.jpg", ready: _SUCCESS, tolerance: 0.1}}
network: {network}
precision: fp32
components: 4
split: {{test: 0.25, seed: 0, order: '_(\\d+)_', gap: 0.0}}
candidates:
  multinomial: {{algorithm: multinomial_logistic_regression, hyperparameters: {{C: 1.0}}}}
metric: accuracy
gates: {{accuracy: {{minimum: 0.5}}}}
"""


def write_spec(folder: Path, network: str, name: str = "basket") -> ImageSpec:
    """A spec of the drawn photos; `network` is a path or a key of the lake."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(SPEC.format(network=network))
    return load_image_spec(path)


def draw(folder: Path, views: int = VIEWS, broken: int = 1) -> int:
    """Draw `<label>/r0_<view>_100.jpg` below `images/`; returns how many files there are.

    Args:
        broken: files that are no image, in the first folder.
    """
    count = 0
    for label, colour in COLOURS.items():
        (folder / "images" / label).mkdir(parents=True, exist_ok=True)
        for view in range(views):
            picture = Image.new("RGB", (48, 48), (255, 255, 255))
            angle = 2 * math.pi * view / views
            shift = (6 * math.cos(angle), 6 * math.sin(angle))
            box = (10 + shift[0], 10 + shift[1], 38 + shift[0], 34 + shift[1])
            ImageDraw.Draw(picture).ellipse(box, fill=colour)
            picture.save(folder / "images" / label / f"r0_{view}_100.jpg", quality=90)
            count += 1
    for number in range(broken):
        first = next(iter(COLOURS))
        (folder / "images" / first / f"r1_{number}_100.jpg").write_bytes(b"no image")
    return count + broken


def deliver(store: Store, dataset: str, partition: str, **drawing: Any) -> int:
    """Put drawn photos and the marker of their completeness into a lake."""
    place = f"raw/{dataset}/{partition}"
    workspace = store.workspace(place)
    count = draw(workspace, **drawing)
    (workspace / "_SUCCESS").touch()
    store.store(workspace, place)
    return count


def write_network(path: Path) -> Path:
    """One convolution with seeded weights, averaged: 16 features of an image of 32 x 32."""
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.3, (WIDTH, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["seen"], strides=[2, 2]),
        helper.make_node("Relu", ["seen"], ["kept"]),
        helper.make_node("GlobalAveragePool", ["kept"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", WIDTH, 1, 1])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in {"name": "Small", "weights": "drawn (seed 0)", "scaling": "-1..1"}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"millrace.{key}", value
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
