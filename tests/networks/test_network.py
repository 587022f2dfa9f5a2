"""Which file a name stands for, and what is said about a file that cannot be used."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from millrace.lake import LocalStore
from millrace.networks import Network, NetworkError, network_of

IMAGES = ["N", 64, 64, 3]
FEATURES = ["N", 3]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def test_random_weights_stand_in_with_a_warning_and_are_made_once(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, random_network: bytes
) -> None:
    with caplog.at_level(logging.WARNING):
        first = network_of("mobilenet_v2", store, tmp_path / "cache")
    made = first.path.stat()
    second = network_of("mobilenet_v2", store, tmp_path / "cache")

    assert first == second == Network(
        first.path, "MobileNetV2", "random (seed 0)", hashlib.sha256(random_network).hexdigest()
    )  # fmt: skip
    assert second.path.stat().st_mtime_ns == made.st_mtime_ns
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.path.name]
    assert "random weights" in caplog.text and "make weights" in caplog.text


def test_a_stand_in_that_was_cut_short_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    first = network_of("mobilenet_v2", store, tmp_path)
    first.path.write_bytes(first.path.read_bytes()[:1000])

    assert network_of("mobilenet_v2", store, tmp_path) == first


def test_the_network_in_the_lake_comes_first(
    store: LocalStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    write_network: Callable[..., Path],
) -> None:
    model = onnx.load(write_network(IMAGES, FEATURES))
    onnx.helper.set_model_props(
        model, {"millrace.name": "MobileNetV2", "millrace.weights": "imagenet"}
    )
    store.replace("networks/mobilenet_v2.onnx", model.SerializeToString(), None)

    found = network_of("mobilenet_v2", store, tmp_path / "cache")

    assert (found.name, found.weights) == ("MobileNetV2", "imagenet")
    assert found.path == Path(store.uri("networks/mobilenet_v2.onnx"))
    assert not caplog.records and not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("taken", "given"),
    [
        (IMAGES, FEATURES),
        (["N", 3, 64, 64], FEATURES),
        (["N", 3, 64, 64], ["N", 3, 1, 1]),
        (["N", "H", "W", 3], FEATURES),
        ([1, 64, 64, 3], [1, 3]),
    ],
)
def test_a_file_of_one_s_own_bears_its_name(
    store: LocalStore, write_network: Callable[..., Path], taken: list[int], given: list[int]
) -> None:
    path = write_network(taken, given, "my own network.onnx")

    found = network_of(str(path), store)

    assert found == Network(
        path, "my own network.onnx", "not stated", hashlib.sha256(path.read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("address", ["networks/own.onnx", "{root}/networks/own.onnx"])
def test_a_key_of_the_lake_and_its_address_are_found(
    store: LocalStore, write_network: Callable[..., Path], address: str
) -> None:
    data = write_network(IMAGES, FEATURES).read_bytes()
    store.replace("networks/own.onnx", data, None)

    found = network_of(address.format(root=store.root), store)

    assert found.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["nowhere.onnx", "../outside.onnx", "", "s3://else/own.onnx"])
def test_a_missing_file_is_said_with_what_to_write(store: LocalStore, name: str) -> None:
    with pytest.raises(NetworkError, match=r"no network .*write mobilenet_v2, or the path or lake"):
        network_of(name, store)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n not ONNX", b"x" * 1000], ids=["empty", "image", "text"]
)
def test_what_is_no_onnx_file_is_said(store: LocalStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(content)

    with pytest.raises(NetworkError, match=r"own.onnx (is no ONNX file|cannot be used: it has no)"):
        network_of(str(path), store)


def test_a_file_cut_short_is_said(store: LocalStore, tmp_path: Path, random_network: bytes) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(random_network[: len(random_network) // 2])

    with pytest.raises(NetworkError, match=r"own.onnx is no ONNX file; export the network"):
        network_of(str(path), store)


@pytest.mark.parametrize(
    ("taken", "given", "said"),
    [
        (["N", 64, 32, 3], FEATURES, r"input has the shape \[N, 64, 32, 3\]; it must be \[N, size"),
        (["N", 64, 64, 4], ["N", 4], r"input has the shape \[N, 64, 64, 4\]"),
        (["N", 64, "W", 3], FEATURES, r"input has the shape \[N, 64, N, 3\].*one size for both"),
        (["N", 3, 64], FEATURES, r"input has the shape \[N, 3, 64\]"),
        (["N", 3, 64, 64], ["N", 3, 7, 7], r"output has the shape \[N, 3, 7, 7\].*average pooling"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_said_with_the_right_ones(
    store: LocalStore, write_network: Callable[..., Path], taken: list, given: list, said: str
) -> None:
    with pytest.raises(NetworkError, match=said):
        network_of(str(write_network(taken, given)), store)


def test_a_wrong_type_is_said(store: LocalStore, write_network: Callable[..., Path]) -> None:
    model = onnx.load(path := write_network(IMAGES, FEATURES))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    onnx.save(model, path)

    with pytest.raises(NetworkError, match="input is of the type DOUBLE; it must be"):
        network_of(str(path), store)


def test_several_outputs_are_said(store: LocalStore, write_network: Callable[..., Path]) -> None:
    with pytest.raises(NetworkError, match="1 inputs and 2 outputs; it must have one input"):
        network_of(str(write_network(IMAGES, FEATURES, outputs=2)), store)


def test_weights_in_other_files_are_said(
    store: LocalStore, tmp_path: Path, random_network: bytes
) -> None:
    path = tmp_path / "own.onnx"
    onnx.save(
        onnx.load_from_string(random_network), path, save_as_external_data=True, location="weights"
    )

    with pytest.raises(NetworkError, match="weights in other files; save it as one file"):
        network_of(str(path), store)
