"""From one photo to the features that a model of images was trained with.

The photo takes the way of every image of the pipeline: the same decoding and the same network.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from millrace.errors import MillraceError
from millrace.lake import Store
from millrace.networks import network_of
from millrace.settings import PROJECT

log = logging.getLogger(__name__)

JOB = PROJECT / "include" / "spark"  # the job's modules decode images and run networks


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
        log.warning(
            "There is no bf16 here, which OpenVINO and the processor must have: computing in single"
            " precision instead."
        )
        return "fp32"
    if wanted == "int8" and not is_int8:
        log.warning("The int8 network was made for its partition: computing in single precision.")
        return "fp32"
    return wanted


def _import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
