"""The command line of the scoring job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from parsing import Parser, check
from pca import parse_components
from storage import Folder

BATCH = 2048  # rows: 16 MB of memory for 250 features and their contributions; larger is no faster

EPILOG = """\
Pieces of the command line that start Spark quickly on one machine:
    spark-submit --master 'local[*]' --driver-memory 1g \\
        --driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' credit_scoring.py ...
On a cluster, send the modules beside this file and the training scripts along:
    --py-files modules.zip

The bundle is what the training makes: the model, transformation.json and model.json in a tar.gz.
A model whose library is not installed, whose columns the features lack, or that tells more than
two classes apart ends the job before Spark reads a row.

Reasons are the features that raise the score most, largest first, by the exact contributions of
the model; a row that fewer features raise has fewer reasons.

Components are those of the numbers among the features: standardised by mean and deviation of the
values that are there, and 0, the mean, where one is missing or infinite. --components 0 fits none.
"""


@dataclass(frozen=True)
class ScoringOptions:
    """What the command line asks for; folders are folders already, components are parsed.

    Attributes:
        components: how many, or the share of the variance they hold; 0 for none.
        version: name of the model, for the metadata of the predictions.
    """

    features: Folder
    output: Folder
    model: str
    version: str
    reasons: int
    components: int | float
    batch_size: int
    partitions: int
    attempt: str


def parse(arguments: Sequence[str] | None = None) -> ScoringOptions:
    """The options of a command line.

    Raises:
        JobError: they make no sense.
    """
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    check(given, ("reasons", "batch_size", "partitions"))
    return ScoringOptions(
        features=Folder.of(given.features), output=Folder.of(given.output), model=given.model,
        version=given.model_version, reasons=given.reasons,
        components=0 if given.components == "0" else parse_components(given.components),
        batch_size=given.batch_size or BATCH, partitions=given.partitions, attempt=given.attempt,
    )  # fmt: skip


def _parser() -> Parser:
    parser = Parser(
        prog="credit_scoring.py", allow_abbrev=False, epilog=EPILOG,
        description="Scores of a trained model with their reasons, and principal components of"
        " the features, computed by Spark and published as Parquet. Paths are local or s3://"
        " addresses (AWS_ENDPOINT_URL is honoured).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _add_inputs(parser)
    _add_choices(parser)
    return parser


def _add_inputs(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--features",
        required=True,
        metavar="URI",
        help="published features, or a folder of Parquet"
        " files: column _row_id, and the columns that the model reads",
    )
    add("--model", required=True, metavar="FILE", help="bundle (tar.gz), or its s3:// address")
    add(
        "--output",
        required=True,
        metavar="URI",
        help="folder for <attempt>/predictions, pca,"
        " components and job.json, and for _MANIFEST.json, which is put there last",
    )
    add(
        "--model-version",
        default="",
        metavar="NAME",
        help="what the model is called, for the metadata of the predictions",
    )
    add(
        "--attempt",
        default="",
        metavar="NAME",
        help="name of the attempt's folder; the caller publishes, and no manifest is written",
    )


def _add_choices(parser: Parser) -> None:
    add = parser.add_argument
    add("--reasons", type=int, default=5, metavar="K", help="reasons of each score (default: 5)")
    add(
        "--components",
        default="50",
        metavar="K",
        help="how many, or the share of the variance they hold, such as 0.95 (default: 50)",
    )
    add(
        "--batch-size",
        type=int,
        default=0,
        metavar="N",
        help=f"rows in memory at a time (default: {BATCH:,})",
    )
    add(
        "--partitions",
        type=int,
        default=0,
        metavar="N",
        help="tasks (default: 4 a core, of 1,000 to 50,000 rows each)",
    )
