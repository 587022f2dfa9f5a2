"""What a request may hold: made from a model's card, checked by pydantic, explained to people."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

LARGEST = 1e15  # of numbers without a bound: far beyond any amount, and single precision holds it
LONGEST_TEXT = 10_000  # characters; the most a field of a raw file may have, in bytes
Record = dict[str, Any]


class Refused(ValueError):
    """A request that cannot be answered.

    Attributes:
        problems: one a field: where it stands, what is wrong, what it accepts.
    """

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(problem["message"] for problem in problems))
        self.problems = problems


class RequestForm:
    """The records one model takes.

    Args:
        dataset: names the schema.
        fields: of the model's card.
        most_rows: records in one request.
    """

    def __init__(self, dataset: str, fields: Sequence[Mapping[str, Any]], most_rows: int) -> None:
        self.fields = {field["name"]: field for field in fields}
        record = _record_type(dataset, fields)
        self.one: TypeAdapter[Record] = TypeAdapter(record)
        listed: Any = Annotated[list[record], Field(min_length=1, max_length=most_rows)]  # type: ignore[valid-type]
        self.many: TypeAdapter[list[Record]] = TypeAdapter(listed)
        self.example = {field["name"]: field["example"] for field in fields}

    def parse(self, body: bytes) -> tuple[list[Record], bool]:
        """The records of a request, and whether it was a list of them.

        Raises:
            Refused: it is no JSON, or a field is unknown, missing or not what it accepts.
        """
        is_list = body.lstrip()[:1] == b"["
        try:
            records = (
                self.many.validate_json(body, strict=True)
                if is_list
                else [self.one.validate_json(body, strict=True)]
            )
        except ValidationError as error:
            raise Refused([self._problem(found) for found in _errors(error)]) from None
        if not all(records):
            place = ["body", records.index({})] if is_list else ["body"]
            said = f"an empty record; write some of {', '.join([*self.fields][:8])}"
            raise Refused([{"loc": place, "message": said}])
        return records, is_list

    def _problem(self, found: Mapping[str, Any]) -> dict[str, Any]:
        place = list(found["loc"])
        name = next((str(part) for part in reversed(place) if isinstance(part, str)), None)
        field = self.fields.get(name) if name is not None else None
        problem: dict[str, Any] = {"loc": ["body", *place], "message": found["msg"]}
        if field is not None:
            problem |= {"field": name, "accepts": accepted(field)}
            problem["message"] = f"{name}: {found['msg']}; it accepts {problem['accepts']}"
        elif name is not None:
            near = difflib.get_close_matches(name, self.fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problem["message"] = f"{name[:100]}: the model has no such field{hint}"
        return problem


def accepted(field: Mapping[str, Any]) -> str:
    """What a field takes, in words."""
    if field["type"] == "text":
        text = f"one of {', '.join(field['values'])}" if field.get("values") else "text"
    else:
        text = "a number"
        for word, bound in (("from", field.get("minimum")), ("to", field.get("maximum"))):
            text += "" if bound is None else f" {word} {bound:.15g}"
    return text if field.get("required") else f"{text}, or null"


def _record_type(dataset: str, fields: Sequence[Mapping[str, Any]]) -> Any:
    """A typed dictionary: it is checked in one pass of compiled code, and stays a dictionary."""
    typed_dictionary: Any = TypedDict  # type checkers only know those written out
    record = typed_dictionary(
        f"{dataset}_record",
        {
            field["name"]: Required[_type(field)]
            if field.get("required")
            else NotRequired[_type(field) | None]
            for field in fields
        },
    )
    more: Any = {
        "minProperties": 1,
        "examples": [{field["name"]: field["example"] for field in fields}],
    }
    record.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, json_schema_extra=more)
    return record


def _type(field: Mapping[str, Any]) -> Any:
    facts: dict[str, Any] = {"description": field.get("description") or None}
    if field["type"] == "number":
        low, high = field.get("minimum"), field.get("maximum")
        facts |= {
            "ge": -LARGEST if low is None else low,
            "le": LARGEST if high is None else high,
            "allow_inf_nan": False,
        }
        return Annotated[float, Field(**facts)]
    if field.get("values"):
        spelled = [text for texts in field.get("spellings", {}).values() for text in texts]
        known = [*field["values"], *spelled, *field.get("missing", [])]
        return Annotated[Literal[tuple(dict.fromkeys(known))], Field(**facts)]
    return Annotated[str, Field(max_length=LONGEST_TEXT, **facts)]


def _errors(error: ValidationError) -> list[Any]:
    """Without the values that were sent: they may be personal."""
    return error.errors(include_url=False, include_input=False, include_context=False)[:100]
