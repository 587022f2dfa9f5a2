"""`make sample`: write a sample data set to a folder, at the scale asked for."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from millrace.samples import IMAGE_SAMPLES, SAMPLES, write_images, write_sample

TABLES = "home_credit"


def main(arguments: list[str] | None = None) -> int:
    """Write the sample asked for and say what was written."""
    parser = argparse.ArgumentParser(prog="make sample", description=__doc__)
    parser.add_argument("dataset", choices=sorted([*SAMPLES, *IMAGE_SAMPLES, TABLES]))
    parser.add_argument("into", type=Path, help="folder to write to")
    parser.add_argument("--scale", type=float, help=f"share of the public rows, for {TABLES}")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.scale is not None and options.dataset != TABLES:
        parser.error(f"--scale is for {TABLES} only")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(f"Wrote {_write(options)} to {options.into}.")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(options: argparse.Namespace) -> str:
    name, into, seed = options.dataset, options.into, options.seed
    if name == TABLES:
        from millrace.samples import home_credit

        scale = 0.01 if options.scale is None else options.scale
        rows = home_credit.write(into, scale=scale, seed=seed)
        return ", ".join(f"{count:,} rows of {table}" for table, count in rows.items())
    if name in IMAGE_SAMPLES:
        return f"{write_images(name, into, seed=seed):,} files"
    return write_sample(name, into, seed=seed).name


if __name__ == "__main__":
    sys.exit(main())
