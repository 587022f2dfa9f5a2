"""Check a call's parameters against botocore's model of the service, as AWS does itself.

boto3 checks types and required members before it sends; patterns, lengths and enumerations are
checked by AWS only, and raw requests by nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.core.utils import get_service_model

from tests.integration.aws.standin.answers import AwsError
from tests.integration.aws.standin.calls import Call

TYPES: dict[str, tuple[Any, ...]] = {
    "structure": (dict,), "map": (dict,), "list": (list,), "string": (str,), "boolean": (bool,),
    "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float),
    "timestamp": (int, float, str), "blob": (str,),
}  # fmt: skip


def validate(call: Call, params: dict[str, Any]) -> None:
    """Refuse what AWS would refuse.

    Raises:
        AwsError: SerializationException for a wrong type, ValidationException for the rest.
    """
    shape = get_service_model(call.service).operation_model(call.operation).input_shape
    if shape and call.protocol == "rest-json":  # what the query holds is text
        asked = {name for name, member in shape.members.items()
                 if member.serialization.get("location") == "querystring"}  # fmt: skip
        params = {name: value for name, value in params.items() if name not in asked}
    problems = list(_problems(shape, params, "")) if shape else []
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        text = f"{len(problems)} validation {noun} detected: {'; '.join(problems)}"
        raise AwsError("ValidationException", text)


def check_answer(call: Call, value: dict[str, Any]) -> None:
    """Refuse an answer of the stand-in that clients could not read.

    Raises:
        RuntimeError: it has members that the service's model does not know.
    """
    shape = get_service_model(call.service).operation_model(call.operation).output_shape
    if foreign := list(_foreign(shape, value, "")):
        raise RuntimeError(f"the answer to {call.operation} has unknown members {foreign}")


def _foreign(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape is None or not value:
        return
    if shape.type_name == "structure":
        for name, item in value.items():
            if name not in shape.members:
                yield f"{path}{name}"
            else:
                yield from _foreign(shape.members[name], item, f"{path}{name}.")
    elif shape.type_name == "list":
        yield from _foreign(shape.member, value[0], path)


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    expected = TYPES.get(shape.type_name, (object,))
    if not isinstance(value, expected) or (isinstance(value, bool) and int in expected):
        raise AwsError(
            "SerializationException",
            f"{path or 'the request'}: {shape.type_name} expected, {type(value).__name__} found",
        )
    if shape.type_name == "structure":
        yield from _members(shape, value, path)
    elif shape.type_name == "list":
        yield from _bounds(shape, value, path)
        for number, item in enumerate(value, start=1):
            yield from _problems(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.member")
    else:
        yield from _scalar(shape, value, path)


def _members(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            where = _join(path, name)
            yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name not in shape.members:
            yield f"Value at '{_join(path, name)}': {shape.name} has no member {name!r}"
        elif item is not None:
            yield from _problems(shape.members[name], item, _join(path, name))


def _scalar(shape: Any, value: Any, path: str) -> Iterator[str]:
    said = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must"
    facts = shape.metadata
    if facts.get("enum") and value not in facts["enum"]:
        yield f"{said} satisfy enum value set: [{', '.join(facts['enum'])}]"
    elif "pattern" in facts and isinstance(value, str) and not _conforms(facts["pattern"], value):
        yield f"{said} satisfy regular expression pattern: {facts['pattern']}"
    yield from _bounds(shape, value, path)


def _bounds(shape: Any, value: Any, path: str) -> Iterator[str]:
    size = value if isinstance(value, int | float) else len(value)
    what = "value" if isinstance(value, int | float) else "length"
    said = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have {what}"
    facts = shape.metadata
    if "min" in facts and size < facts["min"]:
        yield f"{said} greater than or equal to {facts['min']}"
    if "max" in facts and size > facts["max"]:
        yield f"{said} less than or equal to {facts['max']}"


def _conforms(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # Java's dialect knows classes that Python's does not
        return True


def _join(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name
