"""What a network says about itself, and the runtimes against each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from network import Network, built_once, describe, features_of, runner, scaled
from precision import choose, cosines, has_bf16
from preparation import read_network
from storage import JobError
from tests.spark.conftest import DESCRIBED, SIZE, WIDTH, drawn, tiny_network

bf16 = pytest.mark.skipif(
    not has_bf16(), reason="this processor has no bf16, which OpenVINO then does not use"
)


def pixels(count: int = 9) -> np.ndarray:
    return np.stack([np.asarray(drawn(seed, SIZE, SIZE)) for seed in range(count)])


def single(content: bytes, scaling: str = "-1..1") -> Network:
    return replace(describe(content, "tiny.onnx", scaling), precision="fp32")


def test_a_file_describes_itself() -> None:
    known = describe(tiny_network(metadata=DESCRIBED), "some.onnx")
    assert (known.name, known.weights, known.scaling) == ("Tiny", "random (seed 0)", "-1..1")
    assert (known.layout, known.size, known.type, known.batch) == ("NHWC", SIZE, "float32", 0)
    assert describe(tiny_network(metadata=DESCRIBED), "some.onnx", "0..1").scaling == "0..1"


def test_a_file_without_metadata_goes_by_its_name() -> None:
    plain = describe(tiny_network(layout="NCHW", batch=3), "some.onnx")
    assert (plain.name, plain.weights, plain.scaling) == ("some", "of the file", "")
    assert (plain.layout, plain.batch) == ("NCHW", 3)
    assert describe(tiny_network(kind=TensorProto.UINT8), "some.onnx").scaling == "0..255"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(JobError, match=r"some\.onnx is no network ONNX Runtime can load"):
        describe(b"nothing", "some.onnx")
    with pytest.raises(JobError, match="scaling 'odd'; known are"):
        describe(tiny_network(metadata={"millrace.scaling": "odd"}), "some.onnx")
    model = onnx.load_from_string(tiny_network())
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[1:]:
        dimension.dim_value = 5
    with pytest.raises(JobError, match="some takes no images: its input must be"):
        describe(model.SerializeToString(), "some")


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"--network .*none\.onnx cannot be read"):
        read_network(str(tmp_path / "none.onnx"), "network")
    plain = tmp_path / "a b=c %41.onnx"
    plain.write_bytes(tiny_network())
    assert read_network(str(plain), "network")[1].scaling == "-1..1"


@pytest.mark.parametrize(
    ("scaling", "low", "high"),
    [("-1..1", -1, 1), ("0..1", 0, 1), ("0..255", 0, 255), ("imagenet", -0.485 / 0.229, 2.2489083)],
)
def test_pixels_are_scaled(scaling: str, low: float, high: float) -> None:
    black_and_white = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    black_and_white[1] = 255
    for layout in ("NHWC", "NCHW"):
        values = scaled(black_and_white, single(tiny_network(layout=layout), scaling))
        assert values.dtype == np.float32
        assert values.shape[1:] == ((SIZE, SIZE, 3) if layout == "NHWC" else (3, SIZE, SIZE))
        red = values[..., 0] if layout == "NHWC" else values[:, 0]
        np.testing.assert_allclose(red[0], low, rtol=1e-5)
        np.testing.assert_allclose(red[1], high, rtol=1e-5)


def test_layout_type_and_batch_change_nothing() -> None:
    expected = features_of(runner(tiny_network(), single(tiny_network(), "0..255"), 4), pixels(), 4)
    assert expected.shape == (9, WIDTH)
    for options in (
        {"layout": "NCHW"}, {"kind": TensorProto.UINT8}, {"batch": 2}, {"batch": 1},
    ):  # fmt: skip
        content = tiny_network(**options)
        for batch in (options["batch"],) if "batch" in options else (1, 4, 32):
            run = runner(content, single(content, "0..255"), batch)
            np.testing.assert_allclose(features_of(run, pixels(), batch), expected, rtol=1e-4)


@bf16
def test_bf16_is_close_to_single_precision_and_chosen() -> None:
    content = tiny_network(metadata=DESCRIBED)
    choice = choose(content, describe(content, "tiny.onnx"), "auto", 4, list(pixels()))
    assert choice.network.precision == "bf16" and choice.content == content
    assert 0.999 <= choice.cosine["minimum"] <= choice.cosine["mean"] < 1
    assert choice.cosine["images"] == 9 and choice.width == WIDTH
    known = describe(content, "tiny.onnx")
    ours = features_of(runner(content, choice.network, 4), pixels(), 4)
    theirs = features_of(runner(content, replace(known, precision="fp32"), 4), pixels(), 4)
    assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()


@bf16
def test_a_network_that_bf16_changes_stays_in_single_precision() -> None:
    """Its features are small differences of large sums."""
    model = onnx.load_from_string(tiny_network(metadata=DESCRIBED))
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[:, :, 2, 2] -= weights.sum(axis=(2, 3))  # each plane's weights sum to nought
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "weights"))
    content = model.SerializeToString()
    grey = [np.full((SIZE, SIZE, 3), 250 - seed, np.uint8) for seed in range(4)]
    choice = choose(content, describe(content, "tiny.onnx"), "auto", 4, grey)
    assert choice.network.precision == "fp32"
    assert choice.cosine["minimum"] < 0.999 and choice.cosine["precision"] == "bf16"


def test_single_precision_without_a_sample() -> None:
    content = tiny_network(metadata=DESCRIBED)
    choice = choose(content, describe(content, "tiny.onnx"), "auto", 4, [])
    assert choice.network.precision == "fp32" and choice.cosine == {} and choice.width == WIDTH


def test_int8_is_made_on_a_sample_and_says_so() -> None:
    content = tiny_network(metadata=DESCRIBED)
    choice = choose(content, describe(content, "tiny.onnx"), "int8", 4, list(pixels(16)))
    assert choice.network.precision == "int8" and choice.content != content
    assert 0.98 < choice.cosine["minimum"] < 1
    assert (choice.network.name, choice.network.weights) == ("Tiny", "random (seed 0)")
    again = describe(choice.content, "int8.onnx")
    taken = choose(choice.content, again, "auto", 4, list(pixels()))
    assert taken.network.id == choice.network.id  # so its PCA can be applied to later images
    with pytest.raises(JobError, match="is an int8 network; --precision fp32"):
        choose(choice.content, again, "fp32", 4, list(pixels()))
    with pytest.raises(JobError, match="calibrates on some images"):
        choose(content, describe(content, "tiny.onnx"), "int8", 4, [])


def test_the_identity_is_of_everything_features_depend_on() -> None:
    base = single(tiny_network())
    others = [
        single(tiny_network(seed=1)), single(tiny_network(), "0..1"),
        replace(base, precision="bf16"),
    ]  # fmt: skip
    assert len({base.id, *(other.id for other in others)}) == 4
    assert len(base.id) == 16 and int(base.id, 16) >= 0
    assert single(tiny_network()).id == base.id


def test_a_worker_builds_a_network_once() -> None:
    content = tiny_network(seed=3)
    asked: list[int] = []

    def read() -> bytes:
        asked.append(1)
        return content

    first = built_once(read, single(content), 4)
    assert built_once(read, single(content), 4) is first and len(asked) == 1
    assert built_once(read, single(content), 2) is not first


def test_cosines() -> None:
    one = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    other = np.array([[2, 0], [1, -1], [1, 1]], np.float32)
    np.testing.assert_allclose(cosines(one, other), [1, 0, 0])
