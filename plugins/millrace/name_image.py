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

from millrace.errors import MillraceError
from millrace.lake import Store
from millrace.photo import features_of
from millrace.projection import Projection, network_of_model, write_rows
from millrace.runs import open_lake
from millrace.settings import Settings
from millrace.stack import Stack
from millrace.tracking.registry import champion, verified_bundle
from millrace.tracking.server import TrackingUnavailable, connect
from millrace.training import transform_locally

__all__ = ["ask_champion", "features_of", "main", "name_image"]

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


def _classes(bundle: Path) -> list[str]:
    facts = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
    return list(facts["classes"])


if __name__ == "__main__":
    sys.exit(main())
