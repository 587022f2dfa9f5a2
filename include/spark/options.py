"""The command line of the job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from images import Limits
from network import SCALINGS
from parsing import Parser, check
from pca import parse_components
from precision import PRECISIONS
from storage import Folder, JobError

EPILOG = """\
Pieces of the command line that start Spark quickly on one machine:
    spark-submit --master 'local[*]' --driver-memory 1g \\
        --driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' image_features.py ...
On a cluster, send the modules beside this file along: --py-files modules.zip

Components: a whole number k must be at most min(images - 1, features): more is an error, as is
fitting on one image. A share such as 0.95 keeps as many as hold that share of the variance.
With --apply nothing is fitted: the stored mean and components are used, copied into the output,
and --components and --pca are left out.

A file that cannot be used is listed with its reason in quarantine/quarantine.parquet; more of
them than --tolerance end the job, and nothing is published.
"""


@dataclass(frozen=True)
class Options:
    """What the command line asks for; paths are folders already, components are parsed."""

    images: Folder
    output: Folder
    network: str
    pattern: str
    precision: str
    batch_size: int
    partitions: int
    scaling: str
    components: int | float
    pca: str
    apply: Folder | None
    reuse: tuple[Folder, ...]
    tolerance: float
    limits: Limits
    attempt: str


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line.

    Raises:
        JobError: they make no sense.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--scaling" in words[:-1]:  # its value -1..1 would pass for an option
        at = words.index("--scaling")
        words[at : at + 2] = ["=".join(words[at : at + 2])]
    given = _parser().parse_args(words)
    if not 0 <= given.tolerance <= 1:
        raise JobError(f"--tolerance {given.tolerance:g} is no share between 0 and 1")
    check(given, ("batch_size", "partitions", "max_bytes", "max_pixels"))
    return Options(
        images=Folder.of(given.images), output=Folder.of(given.output), network=given.network,
        pattern=given.pattern, precision=given.precision, batch_size=given.batch_size,
        partitions=given.partitions, scaling=given.scaling,
        components=parse_components(given.components), pca=given.pca,
        apply=Folder.of(given.apply) if given.apply else None,
        reuse=tuple(Folder.of(uri) for uri in given.reuse), tolerance=given.tolerance,
        limits=Limits(given.max_bytes, given.max_pixels), attempt=given.attempt,
    )  # fmt: skip


def _parser() -> Parser:
    parser = Parser(
        prog="image_features.py", allow_abbrev=False, epilog=EPILOG,
        description="Features of images by an ONNX network, and their principal components,"
        " computed by Spark and published as Parquet. Paths are local or s3:// addresses"
        " (AWS_ENDPOINT_URL is honoured).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    limits = Limits()
    add(
        "--images",
        required=True,
        metavar="URI",
        help="folder of the images; a label is the name of the folder that holds a file",
    )
    add(
        "--output",
        required=True,
        metavar="URI",
        help="folder for <attempt>/features, pca,"
        " quarantine and job.json, and for _MANIFEST.json, which is put there last",
    )
    add(
        "--network",
        required=True,
        metavar="FILE",
        help="ONNX file, or its s3:// address; input [N, size, size, 3] or [N, 3, size, size]",
    )
    add(
        "--pattern",
        default="",
        metavar="GLOB",
        help="which files, part by part: '*/*.jpg' (default: .jpg, .jpeg and .png at any depth)",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="auto: bf16 where the processor"
        " has it and a sample's cosine to fp32 is at least 0.999, else fp32 (default: auto)",
    )
    add(
        "--batch-size",
        type=int,
        default=0,
        metavar="N",
        help="images the network takes at a time (default: the fastest measured)",
    )
    add(
        "--partitions",
        type=int,
        default=0,
        metavar="N",
        help="tasks of the feature stage"
        " (default: from the number and bytes of the images: 4 a core, at most 4,000 images"
        " or 512 MB each)",
    )
    add(
        "--scaling",
        choices=("network", *SCALINGS),
        default="network",
        help="what the network wants pixels as (default: what its metadata say, else -1..1)",
    )
    add(
        "--components",
        default="100",
        metavar="K",
        help="how many, or the share of the variance they hold, such as 0.95 (default: 100)",
    )
    add(
        "--pca",
        choices=("one-pass", "spark-ml"),
        default="one-pass",
        help="one-pass gathers"
        " moments along with the features; spark-ml reads them again (default: one-pass)",
    )
    add(
        "--apply",
        default="",
        metavar="URI",
        help="folder pca/ of an earlier run: project with"
        " its components instead of fitting new ones",
    )
    add(
        "--reuse",
        nargs="+",
        action="extend",
        default=[],
        metavar="URI",
        help="folders below"
        " which published outputs are looked for: images with the same content and network are"
        " not computed again",
    )
    add(
        "--tolerance",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="of files that cannot be used, before the job fails (default: 0.01)",
    )
    add(
        "--max-bytes",
        type=int,
        default=limits.bytes,
        metavar="N",
        help=f"largest file (default: {limits.bytes:,})",
    )
    add(
        "--max-pixels",
        type=int,
        default=limits.pixels,
        metavar="N",
        help=f"largest width x height (default: {limits.pixels:,})",
    )
    add(
        "--attempt",
        default="",
        metavar="NAME",
        help="name of the attempt's folder; the caller publishes, and no manifest is written",
    )
    return parser
