"""Step: from raw files to clean rows, a quarantine and a report."""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from millrace.errors import MillraceError
from millrace.ingest import read_raw
from millrace.lake import Attempt, matches, publish
from millrace.lake.manifest import sha256_of
from millrace.pages.validation import validation_page, validation_table
from millrace.steps.run import Run, log_rate
from millrace.validate import validate

log = logging.getLogger(__name__)

TOLD = ("passed", "rows_read", "rows_clean", "rows_quarantined", "tables")  # facts of a report


class RawDataError(MillraceError):
    """The raw files of a partition cannot be used; the message is the table of what is wrong."""


def validate_raw(run: Run) -> str:
    """Check and type the raw files; publish the clean rows, the quarantine and the report.

    Raises:
        RawDataError: nothing may be built on these files. The report is published all the same.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="millrace-raw-") as folder:
        paths = _raw_files(run, Path(folder))
        files = [
            {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in paths
        ]
        for file in files:
            log.info("Read %s: %s bytes.", file["name"], f"{file['bytes']:,}")
        depends_on = {"files": files, "spec": run.spec.fingerprint("raw", "target", "columns")}
        result = functools.cache(lambda: validate(read_raw(paths, run.tables), run.tables))

        found = publish_report(run, files, depends_on, lambda: result().report)

        def build_rows(attempt: Attempt) -> None:
            result().clean.to_parquet(attempt.folder / "clean.parquet", index=False)
            result().quarantine.to_csv(attempt.folder / "quarantine.csv", index=False)
            attempt.facts["rows"] = len(result().clean)

        rows = publish(
            run.store, run.place("processed", "validated"),
            depends_on=depends_on, build=build_rows, again=run.again,
        )  # fmt: skip
    log_rate("Validated", found["rows_read"], started)
    return rows.uri


def publish_report(
    run: Run, files: Sequence[Mapping[str, Any]], depends_on: Mapping[str, Any],
    report: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Publish what is right and wrong with raw files; returns it.

    Args:
        files: name, bytes and hash of each.
        report: makes counts, verdict and problems; asked only where no published report answers.

    Raises:
        RawDataError: nothing may be built on these files.
    """

    def build(attempt: Attempt) -> None:
        made = {**report(), "partition": run.partition, "files": files}
        attempt.facts |= {name: made[name] for name in TOLD if name in made}
        attempt.write_json("validation.json", made)
        attempt.write("validation.html", validation_page(made))

    published = publish(
        run.store, run.place("reports", "validation"),
        depends_on=depends_on, build=build, again=run.again,
    )  # fmt: skip
    found: dict[str, Any] = published.json("validation.json")
    if not found["passed"]:
        raise RawDataError(
            f"{run.spec.name} {run.partition}: the raw files cannot be used; nothing was"
            f" published downstream. Report: {published.uri}\n{validation_table(found)}"
        )
    log.info("%s", validation_table(found))
    return found


def _raw_files(run: Run, folder: Path) -> list[Path]:
    """Local paths of the partition's raw files, by name.

    Raises:
        RawDataError: there are none.
    """
    prefix = str(run.place("raw"))
    entries = run.store.list(prefix)
    keys = [
        entry.key
        for entry in entries
        if matches(entry.key.removeprefix(f"{prefix}/"), run.spec.raw.files)
    ]
    if not keys:
        others = (
            ", ".join(entry.key.removeprefix(f"{prefix}/") for entry in entries[:5])
            or "no file at all"
        )
        raise RawDataError(
            f"{run.store.uri(prefix)} holds no file like {run.spec.raw.files!r} (found {others});"
            " deliver the files, or mend `raw.files` in the spec"
        )
    return [run.store.local(key, folder) for key in keys]
