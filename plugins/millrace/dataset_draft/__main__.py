"""`make new-dataset CSV=<file>`: write a first data set spec, and say what was guessed."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from millrace.dataset_draft import Draft, DraftError, draft_spec
from millrace.dataset_draft.text import one_line
from millrace.datasets import Role
from millrace.errors import MillraceError
from millrace.raw_file import DELIMITERS
from millrace.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SHOWN_NAMES, SHOWN_CAUTIONS = 6, 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Draft, check and write one spec; 0 when it stands in its place."""
    options = _options(arguments)
    try:
        name, output = _place(options)
        draft, text, report = draft_spec(options.file, name, options.target)
        if output is None:
            print(text, end="")
        else:
            write(text, output, force=options.force)
    except (MillraceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    told = sys.stderr if output is None else sys.stdout  # standard output may be the spec itself
    print(summary(draft, report), file=told)
    if output is not None:
        print(next_steps(name, output), file=told)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m millrace.dataset_draft", description=__doc__)
    parser.add_argument("file", type=Path, help="a sample of the raw files, with a header")
    parser.add_argument("--name", help="name of the data set (default: from the file name)")
    parser.add_argument("--target", help="the column to predict, with two values")
    parser.add_argument("--output", help="where to write, or - (default: the folder of the specs)")
    parser.add_argument("--force", action="store_true", help="replace a spec that is there")
    return parser.parse_args(arguments)


def _place(options: argparse.Namespace) -> tuple[str, Path | None]:
    """The data set's name and the file to write; none for standard output.

    Raises:
        DraftError: the name cannot be used, or a spec stands there already.
    """
    given = None if options.output in (None, "-") else Path(options.output)
    name = options.name or (given.stem if given else usable_name(options.file.stem))
    if not NAME.fullmatch(name):
        raise DraftError(
            f"the name {name!r} cannot be used; pass --name with a-z, 0-9 and _, a letter first,"
            " at most 40 characters (with make: NAME=...)"
        )
    if given and given.stem != name:
        raise DraftError(f"--name {name!r} and --output {given}: a spec is named like its file")
    if options.output == "-":
        return name, None
    output = given or Settings.from_environment().datasets / f"{name}.yaml"
    _refuse_to_replace(output, options.force)
    return name, output


def usable_name(stem: str) -> str:
    """The name of a file made usable as the name of a data set: `2024 Sales-EU` -> `sales_eu`."""
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).lstrip("_0123456789")[:40].rstrip("_")


def _refuse_to_replace(output: Path, force: bool) -> None:
    if output.exists() and not force:
        raise DraftError(
            f"{output} is there already and was left as it is; pass --name for another data set,"
            " or --force to replace it (with make: NAME=... or FORCE=yes)"
        )


def write(text: str, output: Path, *, force: bool) -> None:
    """Put the spec in place, whole or not at all.

    Raises:
        DraftError: another one stands there and `force` is not given.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        _refuse_to_replace(output, force)
        os.replace(partial, output)
    finally:
        partial.unlink(missing_ok=True)


def summary(draft: Draft, report: dict[str, Any]) -> str:
    """What was found and guessed, as a short table."""
    dialect = draft.dialect
    lines = [
        f"{draft.file}: {draft.rows:,} rows, {len(draft.columns) + 1} columns; {dialect.encoding},"
        f" split by {DELIMITERS[dialect.delimiter]}, quote {dialect.quote},"
        f" decimal {draft.decimal}",
        "",
        *_roles(draft),
    ]
    if cautions := draft.cautions():
        lines += ["", "Look at these in particular (all stand in the file):"]
        for caution in map(one_line, cautions[:SHOWN_CAUTIONS]):
            lines += textwrap.wrap(caution, 98, initial_indent="- ", subsequent_indent="  ")
        if len(cautions) > SHOWN_CAUTIONS:
            lines.append(f"  ... and {len(cautions) - SHOWN_CAUTIONS} more")
    lines += [
        "",
        f"Validated this file with the draft: {report['rows_read']:,} rows read,"
        f" {report['rows_clean']:,} clean, {report['rows_duplicate']:,} repeated,"
        f" {report['rows_quarantined']:,} set aside.",
    ]
    return "\n".join(lines)


def _roles(draft: Draft) -> Iterator[str]:
    """The table: a line a role, with its first columns."""
    target, (no, yes) = draft.target, draft.target.counts
    yield f"{'role':12}{'columns':>7}"
    yield (
        f"{'target':12}{1:7}  {one_line(target.column)}: {target.positive!r} in {yes:,} rows"
        f" ({100 * target.share:.1f} %), {target.negative!r} in {no:,}; {target.why}"
    )
    for role in get_args(Role):
        if names := draft.with_role(role):
            shown = ", ".join(one_line(name) or "(no name)" for name in names[:SHOWN_NAMES])
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            yield f"{role:12}{len(names):7}  {shown}{more}"


def next_steps(name: str, output: Path) -> str:
    """What to do with the draft."""
    return "\n".join(
        [
            f"Wrote {_short(output)}",
            "",
            "Next:",
            "1. Edit it: check every line marked `guess:` (docs/spec.md explains the fields).",
            "2. make up",
            f"3. Copy the raw files of a day to raw/{name}/<YYYY-MM-DD>/ in the data lake"
            " (var/lake by default).",
            f"4. Open the DAG {name} in Airflow, switch it on and trigger it for that day.",
        ]
    )


def _short(path: Path) -> str:
    """The path as seen from here."""
    here = Path.cwd()
    return (
        str(path.resolve().relative_to(here)) if path.resolve().is_relative_to(here) else str(path)
    )


if __name__ == "__main__":
    sys.exit(main())
