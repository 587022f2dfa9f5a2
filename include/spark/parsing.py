"""Command lines whose errors are the job's own."""

from __future__ import annotations

import argparse

from storage import JobError


class Parser(argparse.ArgumentParser):
    """Errors are raised, for `main` to show as its last line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise JobError(f"{message}; --help explains the options")
