"""Environment variables as values; every error names the variable, what it holds, what to write."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from millrace.errors import MillraceError


class SettingsError(MillraceError):
    """A setting cannot be used; the message names the variable and what to write."""


def folder(path: str | Path) -> Path:
    """An absolute path; `~` is the user's home."""
    return Path(path).expanduser().resolve()


def seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    """A positive number of seconds."""
    text = environment.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        raise SettingsError(
            f"{name} is {text!r}; write a number of seconds, such as {default}"
        ) from None
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"{name} is {text!r}; write a positive number of seconds")
    return value


def whole(environment: Mapping[str, str], name: str, default: int, unit: str) -> int:
    """A positive whole number."""
    text = environment.get(name) or str(default)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise SettingsError(f"{name} is {text!r}; write whole {unit}, such as {default}")
    return int(text)


def yes_or_no(environment: Mapping[str, str], name: str) -> bool:
    """`yes` or `no`, which is also what an unset variable means."""
    text = environment.get(name) or "no"
    if text not in ("yes", "no"):
        raise SettingsError(f"{name} is {text!r}; write yes or no")
    return text == "yes"


def matching(
    environment: Mapping[str, str], name: str, pattern: str, example: str, default: str = ""
) -> str:
    """Text that matches a pattern as a whole; the default where the variable is unset."""
    text = environment.get(name) or default
    if text and not re.fullmatch(pattern, text):
        raise SettingsError(f"{name} is {text!r}; write {example}")
    return text


def listed(
    environment: Mapping[str, str], name: str, pattern: str, example: str
) -> tuple[str, ...]:
    """Texts with commas between them, each of which matches a pattern."""
    found = tuple(part.strip() for part in environment.get(name, "").split(",") if part.strip())
    if wrong := next((part for part in found if not re.fullmatch(pattern, part)), None):
        raise SettingsError(f"{name} holds {wrong!r}; write {example}, with commas between several")
    return found


def file(environment: Mapping[str, str], name: str) -> Path | None:
    """A file that exists; None where the variable is unset."""
    text = environment.get(name)
    if not text:
        return None
    path = folder(text)
    if not path.is_file():
        raise SettingsError(f"{name} is {text!r}, and there is no such file; write the path of one")
    return path
