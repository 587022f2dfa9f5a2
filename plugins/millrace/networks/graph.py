"""MobileNetV2 as an ONNX graph.

Input `images`: uint8 [N, 224, 224, 3], RGB, as decoded; the graph itself scales to -1..1, as
Keras' `preprocess_input` does. Output `features`: float32 [N, 1280], the mean over the last
feature map. Handing over bytes, channels last, is as fast as the best other form in ONNX Runtime
and OpenVINO, takes a quarter of the memory, and leaves no scaling to get wrong outside.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from millrace.networks.mobilenet_v2 import NAME, SIZE, WIDTH, Layer, Weights, check, folded, layers

OPSET = 17  # of ONNX 1.12: old enough for every runtime in use
IR_VERSION = 8  # of the same release
CONSTANTS = {"half": 127.5, "one": 1.0, "zero": 0.0, "six": 6.0}


def onnx_bytes(weights: Weights, described: str, **metadata: str) -> bytes:
    """The network as the content of an ONNX file; the same weights give the same bytes.

    Args:
        described: what the weights are, `imagenet` or `random (seed 0)`; stands in the metadata.
        metadata: more to put there, each under `millrace.<key>`.

    Raises:
        MillraceError: the weights are not MobileNetV2's.
    """
    check(weights)
    arrays = {name: np.array(value, np.float32) for name, value in CONSTANTS.items()}
    nodes = list(_scaling())
    value = block = "scaled"
    for layer in layers():
        block = value if layer.opens else block
        arrays.update(zip(_parameters(layer), folded(layer, weights), strict=True))
        nodes += _nodes(layer, value, block)
        value = layer.name
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
    ]
    model = _model(nodes, arrays)
    metadata = {"name": NAME, "weights": described, "scaling": "0..255", **metadata}
    helper.set_model_props(model, {f"millrace.{key}": text for key, text in metadata.items()})
    checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _model(nodes: list[NodeProto], arrays: dict[str, np.ndarray]) -> ModelProto:
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", WIDTH])
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, NAME, [images], [features], initializers)
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="millrace"
    )
    model.ir_version = IR_VERSION
    return model


def _scaling() -> Iterator[NodeProto]:
    """From bytes [N, height, width, 3] to -1..1 [N, 3, height, width]."""
    yield helper.make_node("Transpose", ["images"], ["planes"], "transpose", perm=[0, 3, 1, 2])
    yield helper.make_node("Cast", ["planes"], ["numbers"], "cast", to=TensorProto.FLOAT)
    yield helper.make_node("Div", ["numbers", "half"], ["divided"], "divide")
    yield helper.make_node("Sub", ["divided", "one"], ["scaled"], "centre")


def _nodes(layer: Layer, value: str, block: str) -> Iterator[NodeProto]:
    """The nodes of one layer; the last one's output has the layer's name.

    Args:
        value: the layer's input.
        block: the input of the block that the layer stands in.
    """
    name = layer.name
    convolved = f"{name}/convolved" if layer.relu or layer.closes else name
    yield helper.make_node(
        "Conv", [value, *_parameters(layer)], [convolved], name,
        kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2, pads=_pads(layer),
        group=layer.inputs if layer.depthwise else 1,
    )  # fmt: skip
    if layer.relu:
        yield helper.make_node("Clip", [convolved, "zero", "six"], [name], f"{name}/relu")
    if layer.closes:
        yield helper.make_node("Add", [block, convolved], [name], f"{name}/add")


def _parameters(layer: Layer) -> tuple[str, str]:
    return f"{layer.name}/kernel", f"{layer.name}/bias"


def _pads(layer: Layer) -> list[int]:
    """Top, left, bottom, right; at stride 2 Keras pads an even size at the end only."""
    before = 0 if layer.stride == 2 else layer.kernel // 2
    after = layer.kernel // 2
    return [before, before, after, after]
