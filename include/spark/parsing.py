"""Command lines whose errors are the job's own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from storage import JobError


class Parser(argparse.ArgumentParser):
    """Errors are raised, for `main` to show as its last line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise JobError(f"{message}; --help explains the options")


def check(given: argparse.Namespace, numbers: Sequence[str]) -> None:
    """Refuse an attempt that is no plain name, and numbers below 0.

    Raises:
        JobError: names the option.
    """
    if "/" in given.attempt or given.attempt.startswith((".", "_")):
        raise JobError(f"--attempt {given.attempt!r} must be a plain name for a folder")
    for name in numbers:
        if getattr(given, name) < 0:
            raise JobError(f"--{name.replace('_', '-')} must not be negative")
