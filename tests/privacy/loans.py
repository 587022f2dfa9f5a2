"""A lake with borrowers whose identifiers are marked, so that any trace of one can be found."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from millrace.datasets import DatasetSpec, load_spec
from millrace.lake import Store
from millrace.samples import write_sample
from millrace.settings import PROJECT, Settings
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import validate_raw

KEY = b"a key for tests"
CANDIDATE = "decision_tree"
DAYS = ("2026-03-01", "2026-03-02")


def loan_spec() -> DatasetSpec:
    """The project's own spec of loans."""
    return load_spec(PROJECT / "include" / "datasets" / "loan_default.yaml")


def borrower(number: int) -> str:
    """A marked identifier."""
    return f"MARKED-{number:05d}-BORROWER"


def deliver(store: Store, partition: str, rows: int = 400, seed: int = 0) -> None:
    """Put a sample of loans into raw/, with marked identifiers; row 5 is no valid one."""
    with tempfile.TemporaryDirectory() as scratch:
        path = write_sample("loan_default", Path(scratch), rows=rows, seed=seed)
        with path.open(newline="") as file:
            names, *records = csv.reader(file)
    place = names.index("customer_id")
    for number, record in enumerate(records):
        record[place] = borrower(number)
    records[5][names.index("income")] = "much"
    put(store, f"raw/loan_default/{partition}/loans.csv", [names, *records])


def put(store: Store, key: str, records: list[list[str]]) -> None:
    """Write a CSV file into the lake."""
    folder, _, name = key.rpartition("/")
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Path(scratch) / "files"
        if store.root.startswith("s3://"):
            workspace.mkdir()
        else:
            workspace = Path(store.uri(folder))
            workspace.mkdir(parents=True, exist_ok=True)
        with (workspace / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\r\n").writerows(records)
        store.store(workspace, folder)


def run_of(store: Store, partition: str, home: Path, **options: Any) -> Run:
    """A run of the loans over a lake."""
    settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
    return Run(loan_spec(), partition, store, settings, (CANDIDATE,), **options)


def process(run: Run, *, predict: bool = True) -> Run:
    """Everything up to the predictions of one candidate."""
    validate_raw(run)
    preprocess(run)
    if predict:
        train(run, CANDIDATE).do_here()
        transform(run, CANDIDATE).do_here()
    return run


def everything(store: Store) -> Iterator[tuple[str, bytes]]:
    """Every stored byte: all files, and on a bucket all their versions."""
    client = getattr(store, "client", None)
    if client is None:
        root = Path(store.root)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), path.read_bytes()
        return
    bucket = store.root.removeprefix("s3://").split("/")[0]
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page.get("Versions", []):
            body = client.get_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
            yield item["Key"].removeprefix("deep/"), body["Body"].read()


def traces(store: Store, identifier: str) -> list[str]:
    """Names of the files that hold an identifier, also in compressed Parquet."""
    import io

    import pyarrow.parquet as pq

    found = []
    for name, data in everything(store):
        if name.endswith(".parquet"):
            data = str(pq.read_table(io.BytesIO(data)).to_pydict()).encode()
        if identifier.encode() in data:
            found.append(name)
    return found
