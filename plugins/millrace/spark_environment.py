"""`make spark-environment`: pack what the Spark job needs on EMR, and put it into the lake.

EMR's machines have Python and Spark, and no library for images or networks. The archive holds the
locked libraries (`include/spark/requirements.txt`) and `bin/python`, a script that starts the
machine's own Python with them. Spark unpacks it on every machine. It is named by the hash of the
lock: a job finds the one it was written for, and the same lock is packed once.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from millrace.errors import MillraceError
from millrace.lake import Store
from millrace.lake.sent import send_once
from millrace.runs import open_lake
from millrace.settings import PROJECT, Settings, SettingsError
from millrace.spark import REQUIREMENTS, environment_key

PYTHON, PLATFORM = "3.9", "x86_64-manylinux_2_34"  # of EMR 7 on Amazon Linux 2023
START = """#!/bin/sh
# Starts this machine's Python with the libraries beside it.
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$here/lib${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
exec python%s "$@"
"""
UNUSED = ("__pycache__", "tests", "test", "*.pyi", "*.h", "*.cmake", "*.lib")  # at run time
LIBRARIES, EXECUTABLE = "lib", "bin/python"


class PackingFailed(MillraceError):
    """The environment cannot be packed; the message says why."""


def build(archive: Path, requirements: Path = REQUIREMENTS) -> None:
    """Pack the locked libraries; equal libraries give equal bytes.

    Raises:
        PackingFailed: the installer failed.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-environment-") as name:
        folder = Path(name)
        _install(folder / LIBRARIES, requirements)
        start = folder / EXECUTABLE
        start.parent.mkdir()
        start.write_text(START % PYTHON)
        pack(folder, archive)


def pack(folder: Path, archive: Path) -> None:
    """Write a folder as .tar.gz, without what nothing needs at run time."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            within = path.relative_to(folder)
            if path.is_file() and not _is_unused(within):
                tar.add(path, within.as_posix(), filter=_plain)


def send(store: Store) -> bool:
    """Build the archive and put it into the lake; whether it had to be built."""
    key = environment_key()
    folder, _, name = key.rpartition("/")
    if any(entry.key == key for entry in store.walk(folder)):
        return False
    with tempfile.TemporaryDirectory(prefix="millrace-environment-") as built:
        build(Path(built) / name)
        send_once(store, Path(built) / name, key)
    return True


def _install(folder: Path, requirements: Path) -> None:
    """Install wheels for EMR's Python, whatever Python this is."""
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    command = [
        uv, "pip", "install", "--quiet", "--target", str(folder), "--python-version", PYTHON,
        "--python-platform", PLATFORM, "--only-binary", ":all:", "--require-hashes",
        "--requirement", str(requirements),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise PackingFailed(f"uv cannot be run ({error}); run `make setup` first") from error
    if done.returncode:
        raise PackingFailed(f"uv could not install {requirements}:\n{done.stderr[-2000:].strip()}")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    member.mode = 0o755 if member.name == EXECUTABLE else 0o644
    return member


def _is_unused(path: Path) -> bool:
    return any(Path(part).match(pattern) for part in path.parts for pattern in UNUSED)


def main(arguments: list[str] | None = None) -> int:
    """Pack and send; 0 if the environment is in the lake afterwards."""
    parser = argparse.ArgumentParser(
        prog="make spark-environment", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--to", type=Path, help="write the archive to this file instead")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        if options.to:
            build(options.to)
            print(f"{options.to}: {options.to.stat().st_size / 1e6:.0f} MB")
            return 0
        settings = Settings.from_environment()
        if not settings.lake.startswith("s3://"):
            raise SettingsError(
                f"MILLRACE_LAKE is {settings.lake!r}: only Spark on AWS needs the environment;"
                " set a lake on S3, or write `--to FILE`"
            )
        store = open_lake(settings)
        made = send(store)
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    where = store.uri(environment_key())
    print(f"{where} " + (f"made in {time.monotonic() - started:.0f} s" if made else "was there"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
