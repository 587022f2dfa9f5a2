"""`make name-image IMAGE=photo.jpg`: what the champion of a data set of images calls a photo.

The photo takes the way of every image of the pipeline: the same decoding, the network the champion
was trained with, the champion's own principal components, and its own inference script.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from millrace.errors import MillraceError
from millrace.lake import Store
from millrace.networks import network_of
from millrace.projection import Projection, network_of_model, write_rows
from millrace.runs import open_lake
from millrace.settings import PROJECT, Settings
from millrace.stack import Stack
from millrace.tracking.registry import champion, verified_bundle
from millrace.tracking.server import TrackingUnavailable, connect
from millrace.training import transform_locally

log = logging.getLogger(__name__)

JOB = PROJECT / "include" / "spark"  # the job's modules decode images and run networks
NAMED = 3
TIMEOUT = 120.0  # seconds


def main(arguments: list[str] | None = None) -> int:
    """Name one photo; 0 if it could be named."""
    parser = argparse.ArgumentParser(prog="make name-image", description=__doc__)
    parser.add_argument("image", type=Path, help="a JPEG or PNG file")
    parser.add_argument("--dataset", default="fruits", help="whose champion is asked")
    options = parser.parse_args(arguments)
    logging.getLogger("millrace").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment()
        settings = replace(settings, mlflow_uri=Stack(settings).mlflow_url)
        answers = ask_champion(settings, open_lake(settings), options.dataset, options.image)
    except (MillraceError, TrackingUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, probability in answers[:NAMED]:
        print(f"{probability:7.2%}  {name}")
    return 0


def ask_champion(
    settings: Settings, store: Store, dataset: str, image: Path
) -> list[tuple[str, float]]:
    """Names with their probabilities, the most probable first, by the champion of a data set.

    Raises:
        MillraceError: there is no champion, its network is missing, or the file is no image.
        TrackingUnavailable: MLflow does not answer.
    """
    client = connect(settings)
    version = champion(client, dataset)
    if version is None:
        raise MillraceError(f"{dataset} has no champion; run its pipeline first")
    with verified_bundle(version) as bundle:
        return name_image(bundle, store, image)


def name_image(bundle: Path, store: Store, image: Path) -> list[tuple[str, float]]:
    """Names with their probabilities, the most probable first, by one model.

    Args:
        bundle: folder of the model.
        store: the lake that holds the network.

    Raises:
        MillraceError: the model's network is not there, or the file is no image.
    """
    features = features_of(network_of_model(bundle), store, image)
    components = Projection.of_model(bundle).apply(features)
    with tempfile.TemporaryDirectory(prefix="millrace-photo-") as folder:
        rows, predictions = Path(folder) / "rows.csv", Path(folder) / "predictions.csv"
        write_rows([image.name], components, rows)
        transform_locally(bundle, rows, predictions, timeout=TIMEOUT)
        with predictions.open(newline="", encoding="utf-8") as file:
            [[_, *found]] = csv.reader(file)
    named = zip(_classes(bundle), map(float, found), strict=True)
    return sorted(named, key=lambda pair: -pair[1])


def features_of(wanted: dict[str, Any], store: Store, image: Path) -> np.ndarray:
    """Features of one image by the network that a model was trained with, shape (1, width).

    Raises:
        MillraceError: the network is another one, or the file is no image.
    """
    _import_from(JOB)
    import images
    import network as job_network

    held = network_of(wanted.get("asked_for", "mobilenet_v2"), store)
    content = held.path.read_bytes()
    found = job_network.describe(content, held.path.name, wanted["scaling"])
    made_by_job = wanted["precision"] == "int8" and not found.made_int8
    same = (found.name, found.weights) == (wanted["name"], wanted["weights"])
    if not (same if made_by_job else found.sha256 == wanted["sha256"]):
        raise MillraceError(
            f"the model was trained with the network {wanted['name']}, weights"
            f" {wanted['weights']}, sha256 {wanted['sha256'][:12]}; {held.path} is {found.name},"
            f" weights {found.weights}, sha256 {found.sha256[:12]}: put that file back, or run the"
            " pipeline again"
        )
    found = replace(found, precision=_precision(wanted["precision"], found.made_int8))
    pixels = np.empty((found.size, found.size, 3), np.uint8)
    try:
        images.decode(image.read_bytes(), pixels, images.Limits())
    except OSError as error:
        raise MillraceError(f"{image} cannot be read: {error.strerror}") from None
    except images.BadImage as error:
        raise MillraceError(f"{image} cannot be named: {error}") from None
    run = job_network.runner(content, found, found.batch or int(wanted.get("batch_size", 1)))
    return run(pixels[None])


def _precision(wanted: str, is_int8: bool) -> str:
    """The precision to compute with here."""
    import precision as job_precision

    if wanted == "bf16" and not job_precision.has_bf16():
        log.warning("This processor has no bf16: computing in single precision instead.")
        return "fp32"
    if wanted == "int8" and not is_int8:
        log.warning("The int8 network was made for its partition: computing in single precision.")
        return "fp32"
    return wanted


def _classes(bundle: Path) -> list[str]:
    facts = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    return list(facts["classes"])


def _import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


if __name__ == "__main__":
    sys.exit(main())
