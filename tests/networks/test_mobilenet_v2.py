"""The architecture, and folding a normalisation into a convolution."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from millrace.errors import MillraceError
from millrace.networks.mobilenet_v2 import EPSILON, Layer, check, folded, layers
from millrace.networks.random_weights import random_weights

PARAMETERS = 2_257_984  # without the classifier, as Keras' summary of the network has it


def test_the_layers_are_those_of_the_paper() -> None:
    found = layers()

    assert len(found) == 52
    assert Counter(layer.stride for layer in found) == {1: 47, 2: 5}  # 224 -> 7
    assert sum(layer.depthwise for layer in found) == 17
    assert sum(layer.closes for layer in found) == sum(layer.opens for layer in found) == 10
    assert [layer.name for layer in found[:4]] == [
        "Conv1", "expanded_conv_depthwise", "expanded_conv_project", "block_1_expand"
    ]  # fmt: skip
    assert (found[-1].inputs, found[-1].outputs) == (320, 1280)


def test_every_layer_takes_what_the_one_before_gives() -> None:
    found = layers()

    for before, after in pairwise(found):
        assert before.outputs == after.inputs, after.name


def test_the_weights_are_as_many_as_keras_says() -> None:
    assert sum(array.size for array in random_weights().values()) == PARAMETERS


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
def test_a_folded_layer_gives_what_convolution_and_normalisation_give(depthwise: bool) -> None:
    draws = np.random.default_rng(1)
    layer = Layer("c", "n", 3, 1, 4, 4 if depthwise else 6, depthwise=depthwise)
    arrays = {"c/kernel": draws.normal(size=layer.shape)} | {
        f"n/{name}": draws.uniform(0.5, 2, layer.outputs)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    patch = draws.normal(size=(3, 3, 4))  # one position of the filter
    kernel = arrays["c/kernel"]
    convolved = (
        np.einsum("hwc,hwc->c", patch, kernel[..., 0])
        if depthwise
        else np.einsum("hwc,hwco->o", patch, kernel)
    )
    expected = (
        arrays["n/gamma"]
        * (convolved - arrays["n/moving_mean"])
        / np.sqrt(arrays["n/moving_variance"] + EPSILON)
        + arrays["n/beta"]
    )

    weights, bias = folded(layer, arrays)

    planes = patch.transpose(2, 0, 1)
    given = (
        (weights[:, 0] * planes).sum(axis=(1, 2))
        if depthwise
        else np.einsum("chw,ochw->o", planes, weights)
    ) + bias
    assert weights.dtype == bias.dtype == np.float32
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_weights_of_another_network_are_an_error_that_says_what_is_missing() -> None:
    with pytest.raises(MillraceError, match=r"260 of 260 arrays are missing.*there is conv1/w"):
        check({"conv1/w": np.zeros(3)})


def test_weights_of_another_width_are_an_error_that_says_the_shape() -> None:
    weights = {**random_weights(), "block_3_expand/kernel": np.zeros((1, 1, 16, 96))}

    with pytest.raises(MillraceError, match=r"'block_3_expand/kernel' has the shape \(1, 1, 16,"):
        check(weights)
