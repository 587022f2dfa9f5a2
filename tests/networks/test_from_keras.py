"""`make weights`, with real Keras in its own environment and seeded weights in Keras' formats."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from millrace.errors import MillraceError
from millrace.lake import LocalStore
from millrace.networks import NetworkError, network_of
from millrace.networks.from_keras import URL, describe, require_agreement, sample_images
from millrace.networks.weights import KERAS, main, publish_weights
from millrace.settings import PROJECT

MAKE_WEIGHTS = """
import sys
import h5py, keras, numpy as np
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from millrace.networks.random_weights import random_weights
weights, draws = random_weights(7), np.random.default_rng(7)
model = keras.applications.MobileNetV2(
    input_shape=(224, 224, 3), include_top=False, weights=None, pooling="avg"
)
for variable in model.weights:
    value = weights[variable.path]
    if variable.path.endswith(("gamma", "moving_variance")):
        value = value * draws.uniform(0.7, 1.4, value.shape)
    if variable.path.endswith(("beta", "moving_mean")):
        value = value + draws.normal(0, 0.1, value.shape)
    variable.assign(value)
model.save_weights(sys.argv[1])
with h5py.File(sys.argv[2], "w") as file:
    save_weights_to_hdf5_group(file, model)
"""
ALTERED = """
import sys
from pathlib import Path
import numpy as np
from millrace.networks.from_keras import *
model = keras_model(Path(sys.argv[1]))
arrays = {each.path: np.asarray(each) for each in model.weights}
arrays[sys.argv[2]] = arrays[sys.argv[2]] + np.float32(0.5)
images = drawn_images(8)
require_agreement(features_of_onnx(onnx_bytes(arrays, "altered"), images),
                  features_of_keras(model, images))
"""


def run_keras(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KERAS, "-c", code, *map(str, arguments)],
        env={"PYTHONPATH": str(PROJECT / "plugins"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def keras() -> None:
    """Keras' environment, made when it is not there."""
    done = subprocess.run(
        [PROJECT / "scripts" / "setup_keras.sh"], capture_output=True, text=True, timeout=900
    )
    if "registry is unreachable" in done.stderr:
        pytest.skip(f"TensorFlow cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def weights(keras: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights files of one network in Keras' present format and in that of the ImageNet file."""
    folder = tmp_path_factory.mktemp("keras")
    files = {"present": folder / "seeded.weights.h5", "legacy": folder / "seeded.h5"}
    done = run_keras(MAKE_WEIGHTS, *files.values())
    assert done.returncode == 0, done.stderr
    return files


@pytest.mark.integration
@pytest.mark.parametrize("form", ["present", "legacy"])
def test_an_export_agrees_with_keras_and_stands_in_the_lake(
    form: str, weights: dict[str, Path], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path)

    facts = publish_weights(store, weights[form])

    assert facts["images"] >= 24 and 0.9999 <= facts["cosine_minimum"] <= 1.0001
    found = network_of("mobilenet_v2", store)
    assert found.sha256 == facts["sha256"]
    assert (found.name, found.weights) == ("MobileNetV2", weights[form].name)
    metadata = {entry.key: entry.value for entry in onnx.load(found.path).metadata_props}
    assert metadata["millrace.source_sha256"] == facts["source_sha256"]


@pytest.mark.integration
@pytest.mark.real_data
def test_an_export_agrees_with_keras_on_real_photos(
    weights: dict[str, Path], real_data: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            KERAS, "-m", "millrace.networks.from_keras", "--weights", weights["legacy"],
            "--images", real_data / "fruits" / "images", "--output", tmp_path / "network.onnx",
        ],
        env={"PYTHONPATH": str(PROJECT / "plugins"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["images"] == 24 + 40 and facts["cosine_minimum"] >= 0.9999


@pytest.mark.integration
@pytest.mark.parametrize("name", ["block_8_project_BN/gamma", "Conv_1_bn/beta"])
def test_an_export_that_differs_in_one_array_is_refused(
    name: str, weights: dict[str, Path]
) -> None:
    done = run_keras(ALTERED, weights["present"], name)

    assert done.returncode == 1
    assert "MillraceError: the exported network does not agree with Keras" in done.stderr


@pytest.mark.integration
def test_what_cannot_be_used_leaves_the_lake_as_it_was(
    weights: dict[str, Path], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "lake")
    store.replace("networks/mobilenet_v2.onnx", b"present", None)
    text = tmp_path / "text.h5"
    text.write_text("these are no weights")

    with pytest.raises(NetworkError, match=r"text.h5 holds no weights of MobileNetV2"):
        publish_weights(store, text)
    with pytest.raises(NetworkError, match=r"there is no weights file .*absent.h5; write the path"):
        publish_weights(store, tmp_path / "absent.h5")

    assert store.read("networks/mobilenet_v2.onnx")[0] == b"present"
    assert [entry.key for entry in store.list("networks")] == ["networks/mobilenet_v2.onnx"]


@pytest.mark.integration
def test_without_internet_it_is_said_what_to_do(
    keras: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.delenv("MILLRACE_LAKE", raising=False)

    assert main([]) == 1

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: the ImageNet weights cannot be downloaded: ")
    assert f"download {URL} elsewhere and run make weights WEIGHTS=<that file>" in said[0]
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_file_with_the_name_of_keras_own_but_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / URL.rpartition("/")[2]
    path.write_bytes(b"cut short")

    with pytest.raises(MillraceError, match=r"has 9 bytes, not the 9,406,464 of Keras' file"):
        describe(path)


@pytest.mark.parametrize(
    "spoil",
    [lambda features: features[0].__imul__(-1), lambda features: features[1].fill(np.nan)],
    ids=["turned", "not a number"],
)
def test_one_image_that_disagrees_is_enough(spoil: Callable[[np.ndarray], None]) -> None:
    reference = np.random.default_rng(0).uniform(0, 1, (5, 1280)).astype(np.float32)
    assert require_agreement(reference * 2, reference) == pytest.approx(1)
    ours = reference.copy()
    spoil(ours)

    with pytest.raises(MillraceError, match="does not agree with Keras"):
        require_agreement(ours, reference)


def test_a_folder_without_images_is_said(tmp_path: Path) -> None:
    with pytest.raises(MillraceError, match=r"no .jpg or .png images below"):
        sample_images(tmp_path)
