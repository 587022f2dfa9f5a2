"""The ONNX file, and what the random weights in it are worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from millrace.networks.from_keras import drawn_images
from millrace.networks.graph import onnx_bytes
from millrace.networks.mobilenet_v2 import layers
from millrace.networks.random_weights import random_weights

Run = Callable[[bytes, np.ndarray], np.ndarray]


def test_the_same_weights_give_the_same_bytes_and_others_do_not(random_network: bytes) -> None:
    assert onnx_bytes(random_weights(0), "random (seed 0)") == random_network
    assert onnx_bytes(random_weights(1), "random (seed 0)") != random_network


def test_the_file_says_what_it_is(random_network: bytes) -> None:
    model = onnx.load_from_string(random_network)

    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "millrace.name": "MobileNetV2",
        "millrace.weights": "random (seed 0)",
        "millrace.scaling": "0..255",
    }
    (images,), (features,) = model.graph.input, model.graph.output
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [axis.dim_value for axis in images.type.tensor_type.shape.dim] == [0, 224, 224, 3]
    assert [axis.dim_value for axis in features.type.tensor_type.shape.dim] == [0, 1280]


def test_an_image_has_the_same_features_alone_and_among_others(
    random_network: bytes, features_of: Run
) -> None:
    images = drawn_images(5)

    together = features_of(random_network, images)
    alone = np.concatenate([features_of(random_network, image[None]) for image in images])

    assert together.shape == (5, 1280) and together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_random_weights_keep_every_layer_alive(random_network: bytes) -> None:
    model = onnx.load_from_string(random_network)
    rectified = [layer.name for layer in layers() if layer.relu]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in rectified)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    for name, values in zip(
        rectified, session.run(rectified, {"images": drawn_images(8)}), strict=True
    ):
        assert 0.2 < (values == 0).mean() < 0.8, name
        assert (values == 6).mean() < 0.1, name
        assert 0.2 < values.std() < 3, name


@pytest.mark.real_data
def test_random_features_tell_varieties_apart(
    random_network: bytes, features_of: Run, photos: tuple[np.ndarray, list[str]]
) -> None:
    images, varieties = photos
    features = features_of(random_network, images)

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    assert np.median(cosines) < 0.98 and cosines.min() < 0.9
    components = PCA(100, random_state=0).fit_transform(features)
    components /= components[:, 0].std()
    scores = cross_val_score(LogisticRegression(max_iter=2000), components, varieties, cv=3)
    assert scores.mean() > 0.6  # one of 24 by chance: 0.04
