"""Export Keras' MobileNetV2 as ONNX, and check the export against Keras: runs in `.venv-keras`.

    python -m millrace.networks.from_keras --output FILE [--weights FILE] [--images FOLDER]

Without weights it downloads the ones trained on ImageNet that Keras' applications use. The last
line on standard output describes what was written, as JSON; nothing is written where the two
networks disagree.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from millrace.errors import MillraceError
from millrace.networks.graph import onnx_bytes
from millrace.networks.mobilenet_v2 import SIZE

URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
)
BYTES = 9_406_464  # of that file; Keras pins no hash for it, and none is published elsewhere
AGREEMENT = 0.9999  # least cosine between the features of both networks, for every image
BATCH = 8
DRAWN = 24  # images that the check draws


def main(arguments: list[str] | None = None) -> int:
    """Export; 0 if the file was written."""
    parser = argparse.ArgumentParser(prog="from_keras", description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="ONNX file to write")
    parser.add_argument("--weights", type=Path, help="weights file of Keras, instead of a download")
    parser.add_argument("--images", type=Path, help="folder of more images for the check")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-weights-") as folder:
            source = options.weights or download(Path(folder))
            data, facts = export(source, sample_images(options.images))
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.output.write_bytes(data)
    print(json.dumps(facts))
    return 0


def download(folder: Path) -> Path:
    """Fetch the ImageNet weights into a folder, as Keras' applications do.

    Raises:
        MillraceError: they cannot be reached.
    """
    import keras

    try:
        return Path(keras.utils.get_file(origin=URL, cache_dir=str(folder)))
    except Exception as error:  # Keras raises nothing narrower
        said = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise MillraceError(
            f"the ImageNet weights cannot be downloaded: {said}; check the network and"
            f" HTTPS_PROXY, or download {URL} elsewhere and run make weights WEIGHTS=<that file>."
            " Until then a network with random weights stands in"
        ) from error


def export(source: Path, images: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    """The network of a weights file as ONNX, and how well it agrees with Keras.

    Args:
        images: uint8 [N, 224, 224, 3] to compare the two networks on.

    Raises:
        MillraceError: the file holds other weights, or the networks disagree.
    """
    described = describe(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    model = keras_model(source)
    arrays = {each.path: np.asarray(each) for each in model.weights}
    data = onnx_bytes(arrays, described, source_sha256=digest)
    agreement = require_agreement(features_of_onnx(data, images), features_of_keras(model, images))
    return data, {
        "weights": described,
        "source_sha256": digest,
        "sha256": hashlib.sha256(data).hexdigest(),
        "cosine_minimum": agreement,
        "images": len(images),
    }


def describe(source: Path) -> str:
    """`imagenet` for Keras' published file, else the name of the file.

    Raises:
        MillraceError: there is no such file, or it bears the name of Keras' file but not its size.
    """
    if not source.is_file():
        raise MillraceError(f"there is no weights file {source}; write the path of one")
    if source.name != URL.rpartition("/")[2]:
        return source.name
    if (size := source.stat().st_size) != BYTES:
        raise MillraceError(
            f"{source} has {size:,} bytes, not the {BYTES:,} of Keras' file: the download was cut"
            " short or something else arrived; download it again"
        )
    return "imagenet"


def keras_model(source: Path) -> Any:
    """Keras' network with the weights of a file.

    Raises:
        MillraceError: the file is no weights file of this network.
    """
    import keras

    model = keras.applications.MobileNetV2(
        input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, pooling="avg"
    )
    try:
        model.load_weights(source)
    except (ValueError, OSError, KeyError) as error:
        said = str(error).strip().splitlines()
        raise MillraceError(
            f"{source} holds no weights of MobileNetV2 (width 1.0, without the classifier):"
            f" {said[0][:200] if said else repr(error)}; download {URL}"
        ) from error
    return model


def features_of_keras(model: Any, images: np.ndarray) -> np.ndarray:
    """The reference: float32 [N, 1280]."""
    from keras.applications.mobilenet_v2 import preprocess_input

    return _in_batches(
        lambda batch: np.asarray(model(preprocess_input(batch.astype(np.float32)), training=False)),
        images,
    )


def features_of_onnx(data: bytes, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of the same images: float32 [N, 1280]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return _in_batches(lambda batch: session.run(None, {"images": batch})[0], images)


def _in_batches(network: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    starts = range(0, len(images), BATCH)
    return np.concatenate([network(images[start : start + BATCH]) for start in starts])


def require_agreement(ours: np.ndarray, reference: np.ndarray) -> float:
    """The least cosine between two networks' features, over images.

    Raises:
        MillraceError: it is too small, or a feature is no number.
    """
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(reference, axis=1)
    cosines = (ours.astype(np.float64) * reference).sum(axis=1) / lengths
    worst = float(cosines.min())
    if not worst >= AGREEMENT:  # NaN too
        raise MillraceError(
            f"the exported network does not agree with Keras: {int((cosines < AGREEMENT).sum())} of"
            f" {len(cosines)} images have a cosine below {AGREEMENT}, the least is {worst:.6f};"
            " nothing was exported"
        )
    return worst


def sample_images(folder: Path | None = None) -> np.ndarray:
    """Images to compare networks on: drawn ones, and up to 40 of a folder's.

    Returns:
        uint8 [N, 224, 224, 3]

    Raises:
        MillraceError: the folder holds no images.
    """
    images = drawn_images(DRAWN)
    if folder is None:
        return images
    from PIL import Image

    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise MillraceError(f"there are no .jpg or .png images below {folder}")
    photos = [
        np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE)))
        for path in paths[:: -(-len(paths) // 40)]
    ]
    return np.concatenate([images, np.stack(photos)])


def drawn_images(count: int, seed: int = 0) -> np.ndarray:
    """Blotches of colour, from coarse to single pixels: uint8 [count, 224, 224, 3]."""
    draws = np.random.default_rng(seed)
    sides = (1, 2, 4, 7, 14, 32, 112, SIZE)
    found = []
    for number in range(count):
        side = sides[number % len(sides)]
        blotches = draws.integers(0, 256, (side, side, 3), np.uint8)
        found.append(blotches.repeat(SIZE // side, axis=0).repeat(SIZE // side, axis=1))
    return np.stack(found)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.exit(main())
