"""What all parts of a spec share: strict models, labels, and errors in the project's wording."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


def _as_text(value: Any) -> Any:
    """Labels are text in the file, whatever YAML makes of them: 1 -> '1'."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Label = Annotated[str, BeforeValidator(_as_text)]


def repeated_spellings(spellings: dict[str, list[str]]) -> list[str]:
    """Spellings that stand under more than one label."""
    every = [spelling for found in spellings.values() for spelling in found]
    return sorted({spelling for spelling in every if every.count(spelling) > 1})


def check_spellings(spellings: dict[str, list[str]], labels: list[str] | None) -> None:
    """Each spelling leads to one label, and to one of `labels` where they are known."""
    for label in spellings:
        if labels is not None and label not in labels:
            remedy = f"write one of {', '.join(map(repr, labels))}"
            raise wrong(repr(label), remedy, ("spellings", label))
    if repeated := repeated_spellings(spellings):
        raise wrong(f"{repeated[0]!r} under two labels", "keep it under one", ("spellings",))


def one_ascii_character(value: str) -> str:
    """A delimiter or a quote."""
    if not value.isascii() or value in "\r\n\0":
        raise wrong(value, "write one ASCII character that is no line break")
    return value


def check_quote(quote: str, delimiter: str) -> None:
    """A quote is no delimiter."""
    if quote == delimiter:
        raise wrong(quote, "quote and delimiter must differ", ("quote",))


def wrong(found: object, remedy: str, field: tuple[str, ...] = ()) -> PydanticCustomError:
    """A validation error in the project's wording; `field` is relative to the validated model."""
    context = {
        "found": found if isinstance(found, str) else repr(found),
        "remedy": remedy,
        "field": field,
    }
    return PydanticCustomError("spec", "found {found}; {remedy}", context)


class Part(BaseModel):
    """A part of a spec: frozen, with no unknown key and no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
