"""Sample data sets: made-up rows in the exact schema of three public data sets, and drawn photos.

They let the project run and be tested anywhere, with results close to those on the real files.
How every column is drawn, and what the data is good for, stands in `docs/data-card.md`.
"""

from __future__ import annotations

import csv
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sample:
    """One sample data set.

    Attributes:
        file_name: name of the public file that the sample stands in for.
        rows: rows of that file, and of the sample unless told otherwise.
        columns: its header, in order.
        module: module of this package whose `draw` makes the rows.
        newline: line ending of the public file.
    """

    file_name: str
    rows: int
    columns: tuple[str, ...]
    module: str
    newline: str = "\n"

    def draw(self, rng: np.random.Generator, rows: int) -> dict[str, Sequence[object]]:
        """Draw `rows` values of every column, by column name.

        The generator is imported here, so that listing the samples needs no numpy.
        """
        generator = import_module(f"{__name__}.{self.module}")
        columns: dict[str, Sequence[object]] = generator.draw(rng, rows)
        return columns


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


SAMPLES: dict[str, Sample] = {
    "titanic": Sample(
        "train.csv",
        891,
        _names("PassengerId Survived Pclass Name Sex Age SibSp Parch Ticket Fare Cabin Embarked"),
        "titanic",
        newline="\r\n",
    ),
    "loan_default": Sample(
        "Loan_Data.csv",
        10_000,
        _names(
            "customer_id credit_lines_outstanding loan_amt_outstanding total_debt_outstanding "
            "income years_employed fico_score default"
        ),
        "loan_default",
    ),
    "telecom_churn": Sample(
        "WA_Fn-UseC_-Telco-Customer-Churn.csv",
        7_043,
        _names(
            "customerID gender SeniorCitizen Partner Dependents tenure PhoneService MultipleLines "
            "InternetService OnlineSecurity OnlineBackup DeviceProtection TechSupport StreamingTV "
            "StreamingMovies Contract PaperlessBilling PaymentMethod MonthlyCharges TotalCharges "
            "Churn"
        ),
        "telecom_churn",
    ),
}


@dataclass(frozen=True)
class ImageSample:
    """One sample data set of images: a folder of files.

    Attributes:
        folder: top folder of the files.
        views: photos of each series unless told otherwise.
        module: module of this package whose `draw` makes the files.
    """

    folder: str
    views: int
    module: str

    def draw(self, seed: int, views: int) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file; drawing is imported here."""
        generator = import_module(f"{__name__}.{self.module}")
        files: Iterator[tuple[str, bytes]] = generator.draw(seed, views)
        return files


IMAGE_SAMPLES = {"fruits": ImageSample("images", 20, "fruits")}


def write_images(dataset: str, folder: Path, *, views: int | None = None, seed: int = 0) -> int:
    """Write the sample images of `dataset` below `folder` and return how many files there are.

    The same `views` and `seed` give the same bytes. The top folder appears whole or not at all,
    and takes the place of one that is there.

    Args:
        dataset: a key of `IMAGE_SAMPLES`.
        views: photos of each series, 1 or more.
        seed: 0 or more.

    Raises:
        ValueError: the data set is unknown, or `views` or `seed` is too small.
    """
    if dataset not in IMAGE_SAMPLES:
        known = ", ".join(sorted(IMAGE_SAMPLES))
        raise ValueError(f"no sample images named {dataset!r}; choose one of: {known}")
    sample = IMAGE_SAMPLES[dataset]
    views = sample.views if views is None else views
    if views < 1 or seed < 0:
        raise ValueError(f"views is {views} and seed is {seed}; give 1 and 0, or more")
    partial = folder / f".{sample.folder}.{secrets.token_hex(4)}.partial"
    count = 0
    try:
        for name, content in sample.draw(seed, views):
            count += 1
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        target = folder / sample.folder
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial / sample.folder, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count


def write_sample(dataset: str, folder: Path, *, rows: int | None = None, seed: int = 0) -> Path:
    """Write the sample of `dataset` to `<folder>/<its file name>` and return that path.

    The same `rows` and `seed` give the same bytes. The file appears whole or not at all.

    Args:
        dataset: a key of `SAMPLES`.
        folder: made when it does not exist.
        rows: number of rows below the header; the size of the real file by default.
        seed: 0 or more.

    Raises:
        ValueError: the data set is unknown, or `rows` or `seed` is negative.
    """
    sample = _find(dataset)
    rows = sample.rows if rows is None else rows
    if rows < 0 or seed < 0:
        raise ValueError(f"rows is {rows} and seed is {seed}; give 0 or more for each")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / sample.file_name
    partial = folder / f".{sample.file_name}.{secrets.token_hex(4)}.partial"
    try:
        _write_csv(sample, partial, rows, seed)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _find(dataset: str) -> Sample:
    try:
        return SAMPLES[dataset]
    except KeyError:
        known = ", ".join(sorted(SAMPLES))
        raise ValueError(f"no sample data set named {dataset!r}; choose one of: {known}") from None


def _write_csv(sample: Sample, path: Path, rows: int, seed: int) -> None:
    import numpy as np

    columns = sample.draw(np.random.default_rng(seed), rows) if rows else {}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator=sample.newline)
        writer.writerow(sample.columns)
        if rows:
            writer.writerows(zip(*(columns[name] for name in sample.columns), strict=True))
