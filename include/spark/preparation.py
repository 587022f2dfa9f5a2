"""What the driver finds out while Spark starts: the images, the network, what is known already."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import pca_files
from images import BadImage, Limits, check_size, decode
from listing import Listing, list_images, sample
from network import Network, describe, runtime_of
from options import Options
from pca import Model
from precision import CLOSE, choose
from reuse import Known, find_known
from storage import Folder, JobError

log = logging.getLogger("spark_job")

SAMPLE = 16  # images the precisions are compared on
CALIBRATION = 64  # images int8 is calibrated on
BATCH = 4  # images: the best of 1, 2, 4, 8, 16 and 32 for MobileNetV2 on one thread


@dataclass(frozen=True)
class Prepared:
    """What the job needs to know before its tasks begin.

    Attributes:
        content: the ONNX file the workers run.
        given: sha256 of the ONNX file as it was given.
        width: features of an image.
    """

    listing: Listing
    content: bytes
    given: str
    network: Network
    runtime: str
    batch: int
    width: int
    cosine: dict[str, Any]
    model: Model | None
    known: Known | None
    seconds: dict[str, float] = field(default_factory=dict)


def prepare(options: Options) -> Prepared:
    """List the images, choose how the network runs, read a stored PCA, find what is known.

    Raises:
        JobError: something the job was given cannot be used.
    """
    started = time.perf_counter()
    listing = list_images(options.images, options.pattern)
    listed = time.perf_counter()
    content, network = read_network(options.network, options.scaling)
    given = network.sha256
    batch = network.batch or options.batch_size or BATCH
    count = CALIBRATION if options.precision == "int8" else SAMPLE
    names = sample(listing, count)
    pixels = decoded(options.images, names, network.size, options.limits)
    choice = choose(content, network, options.precision, batch, pixels)
    network, width, cosine = choice.network, choice.width, choice.cosine
    if cosine and cosine["minimum"] < CLOSE:
        log.warning(
            "The cosine of %s to single precision is %.4f at least, under %s.",
            cosine["precision"], cosine["minimum"], CLOSE,
        )  # fmt: skip
    model = None
    if options.apply:
        model = pca_files.read(options.apply, network.id)
        pca_files.check_width(model, width)
    known = find_known(options.reuse, network.id) if options.reuse else None
    return Prepared(
        listing, choice.content, given, network, runtime_of(network), batch, width,
        cosine, model, known,
        {"list": listed - started, "network": time.perf_counter() - listed},
    )  # fmt: skip


def read_network(uri: str, scaling: str) -> tuple[bytes, Network]:
    """An ONNX file and what it says about itself.

    Raises:
        JobError: it is not there, or is no network for images.
    """
    place, _, name = Folder.of(uri).uri.rpartition("/")
    try:
        content = Folder.of(place or "/").read(name)
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        raise JobError(f"--network {uri} cannot be read: {reason}") from error
    network = describe(content, name, scaling)
    if not network.scaling:
        log.info("%s does not say how it wants pixels scaled; -1..1 is taken (--scaling).", name)
        network = replace(network, scaling="-1..1")
    return content, network


def decoded(images: Folder, names: Sequence[str], size: int, limits: Limits) -> list[np.ndarray]:
    """Pixels [size, size, 3] of those images that can be read."""
    found = []
    for name in names:
        try:
            data = images.read(name, limits.bytes + 1)
            check_size(len(data), limits)
            pixels = np.empty((size, size, 3), np.uint8)
            decode(data, pixels, limits)
            found.append(pixels)
        except (BadImage, OSError) as error:
            log.debug("Not in the sample: %s: %s", name, error)
    return found
