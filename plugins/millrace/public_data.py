"""Fetch the real public data sets: `python -m millrace.public_data [--folder DIR] [--only NAME]`.

Lays them out as `<folder>/<dataset>/<file>`, the layout that `make demo DATA=<folder>` reads.
Needs internet and, for the sets that Kaggle holds, a Kaggle account; the Kaggle client is no
dependency of the project and runs in an environment of its own. No file is replaced.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from millrace.samples import SAMPLES
from millrace.settings import Settings, SettingsError

SECONDS = 600  # that one download may take


class FetchError(RuntimeError):
    """A data set could not be obtained; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: a Kaggle download, or else an address.

    Attributes:
        page: where a person can read about it and download it.
        licence: what to know before using it.
        kaggle: words after `kaggle` that download it, without the file and the folder.
        url: address of the file itself, when it needs no Kaggle account.
    """

    page: str
    licence: str
    kaggle: tuple[str, ...] = ()
    url: str = ""


SOURCES = {
    "titanic": Source(
        page="https://www.kaggle.com/c/titanic/data",
        licence='Kaggle competition "Titanic": its rules apply, accept them on the page first.',
        kaggle=("competitions", "download", "-c", "titanic"),
    ),
    "telecom_churn": Source(
        page="https://www.kaggle.com/datasets/blastchar/telco-customer-churn",
        licence="IBM sample data, copied to Kaggle: see the licence on the page.",
        kaggle=("datasets", "download", "-d", "blastchar/telco-customer-churn"),
    ),
    "loan_default": Source(
        page="https://github.com/mathur-exe/Quantative-Reserach-JP-Morgan",
        licence="A teaching set, here from a mirror: no licence is stated, so do not pass it on.",
        url="https://raw.githubusercontent.com/mathur-exe/Quantative-Reserach-JP-Morgan/"
        "f89d43bc3d0cf7823d73fdc95672974613b358e6/Task%203%20and%204_Loan_Data.csv",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is asked for; return 0 when every data set is in place, else 1."""
    parser = argparse.ArgumentParser(prog="python -m millrace.public_data", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to put them (default: var/data)")
    parser.add_argument("--only", choices=sorted(SOURCES), help="fetch this one data set")
    options = parser.parse_args(arguments)
    try:
        folder = options.folder or Settings.from_environment().home / "data"
    except SettingsError as error:
        parser.error(str(error))
    return fetch_all(folder, [options.only] if options.only else list(SOURCES))


def fetch_all(folder: Path, datasets: Iterable[str]) -> int:
    """Fetch each data set in turn; failures are told together at the end. Returns the exit code."""
    failures: dict[str, list[str]] = {}
    for dataset in datasets:
        target = folder / dataset / SAMPLES[dataset].file_name
        if target.exists():
            print(f"{dataset}: already there, {target}")
            continue
        print(f"{dataset}: {SOURCES[dataset].licence} {SOURCES[dataset].page}", flush=True)
        try:
            fetch(dataset, SOURCES[dataset], target)
            print(f"{dataset}: fetched, {target}")
        except (FetchError, OSError) as error:
            failures.setdefault(str(error), []).append(dataset)
    for reason, missing in failures.items():
        print(f"error: {', '.join(missing)}: {reason}", file=sys.stderr)
    for dataset in itertools.chain.from_iterable(failures.values()):
        target = folder / dataset / SAMPLES[dataset].file_name
        print(f"  or save it by hand: {SOURCES[dataset].page} -> {target}", file=sys.stderr)
    return 1 if failures else 0


def fetch(dataset: str, source: Source, target: Path) -> None:
    """Download one data set, check it and put it in place, whole or not at all.

    Raises:
        FetchError: no client, no credentials, no network, or something else arrived.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        arrived = Path(scratch) / target.name
        if source.kaggle:
            _download_from_kaggle(source, arrived)
        else:
            _download(source.url, arrived)
        check(dataset, arrived)
        os.replace(arrived, target)


def check(dataset: str, path: Path) -> None:
    """Compare header and number of rows with the published file.

    Raises:
        FetchError: the file is another one, or was cut short.
    """
    sample = SAMPLES[dataset]
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = csv.reader(stream)
        header = tuple(next(lines, ()))
        if header != sample.columns:
            raise FetchError(
                f"what arrived begins with {','.join(header)[:60]!r},"
                f" not with the header {','.join(sample.columns)[:60]!r}; try again later"
            )
        widths = [len(line) for line in lines]
    if len(widths) != sample.rows or set(widths) != {len(header)}:
        raise FetchError(
            f"what arrived was cut short: {len(widths)} rows or a broken row,"
            f" not {sample.rows} whole ones; run this again"
        )


def _download(url: str, target: Path) -> None:
    try:
        with (
            urllib.request.urlopen(url, timeout=60) as response,  # noqa: S310 - ours, from SOURCES
            target.open("wb") as stream,
        ):
            shutil.copyfileobj(response, stream)
    except OSError as error:
        host = url.split("/")[2]
        raise FetchError(
            f"cannot reach {host} ({error}); check the network and HTTPS_PROXY, then run this again"
        ) from None


def _download_from_kaggle(source: Source, target: Path) -> None:
    """Run the Kaggle client, which leaves the file itself or a zip archive that holds it."""
    if not _has_credentials():
        raise FetchError(
            "no Kaggle credentials; create a token at https://www.kaggle.com/settings and set"
            " KAGGLE_USERNAME and KAGGLE_KEY, or save it as ~/.kaggle/kaggle.json"
        )
    client = _kaggle_client()
    command = [*client, *source.kaggle, "-f", target.name, "-p", str(target.parent)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise FetchError(
            f"no answer from Kaggle in {SECONDS} s; check the network, then run this again"
        ) from None
    _unpack(target)
    if done.returncode or not target.exists():
        raise FetchError(_explain(done.returncode, done.stdout + "\n" + done.stderr, source))


def _has_credentials() -> bool:
    """Whether the Kaggle client would find any; what they are is left to it."""
    if os.environ.get("KAGGLE_API_TOKEN"):
        return True
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return True
    folders = [Path.home() / ".kaggle", Path.home() / ".config" / "kaggle"]
    if configured := os.environ.get("KAGGLE_CONFIG_DIR"):
        folders.append(Path(configured))
    names = ("kaggle.json", "access_token", "access_token.txt")
    return any((folder / name).is_file() for folder in folders for name in names)


def _kaggle_client() -> list[str]:
    if kaggle := shutil.which("kaggle"):
        return [kaggle]
    if uvx := shutil.which("uvx"):
        return [uvx, "--from", "kaggle", "kaggle"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--from", "kaggle", "kaggle"]
    raise FetchError(
        "no Kaggle client; install uv (https://docs.astral.sh/uv), which runs one when needed,"
        " or put a `kaggle` command on PATH"
    )


def _unpack(target: Path) -> None:
    """Take the file out of an archive that the client may have left instead."""
    for archive in target.parent.glob("*.zip"):
        try:
            with zipfile.ZipFile(archive) as content:
                content.extract(target.name, target.parent)
        except (zipfile.BadZipFile, KeyError):
            raise FetchError("the archive that arrived is damaged; run this again") from None


def _explain(code: int, output: str, source: Source) -> str:
    """Why the Kaggle client failed, in its last words, and the likely cure."""
    words = [line.strip() for line in output.splitlines() if line.strip()]
    if "403" in output:
        cure = f"sign in and accept the terms at {source.page}"
    elif "401" in output or "authenticat" in output.lower():
        cure = "create a new token at https://www.kaggle.com/settings"
    else:
        cure = "check the network and HTTPS_PROXY"
    said = words[-1][:300] if words else "it said nothing"
    return f"the Kaggle client failed with exit code {code}: {said}; {cure}, then run this again"


if __name__ == "__main__":
    sys.exit(main())
