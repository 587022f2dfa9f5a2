"""The check that a request fits botocore's model of the service, patterns and lengths too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator


def problems_of(service: str, operation: str, body: dict[str, Any]) -> list[str]:
    """What AWS would refuse in a request; empty where it fits."""
    shape = service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(body, shape)
    return [report.generate_report()] if report.has_errors() else list(_deeper(body, shape, ""))


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's description of a service."""
    return botocore.session.get_session().get_service_model(service)


def _deeper(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """What botocore leaves to the service: lengths, patterns and words of an enumeration."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _deeper(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for place, member in enumerate(value):
            yield from _deeper(member, shape.member, f"{where}[{place}]")
    elif shape.type_name == "map":
        for key, member in value.items():
            yield from _deeper(key, shape.key, f"{where} key {key}")
            yield from _deeper(member, shape.value, f"{where}.{key}")
    size = value if isinstance(value, int | float) else len(value)
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if not low <= size <= high:
        yield f"{where}: {size} is not within {low} and {high}"
    if isinstance(value, str):
        yield from _text(value, shape, where)


def _text(value: str, shape: Shape, where: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if pattern == r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)":  # the one of tags
        pattern = r"[\w .:/=+\-@]*"
    if pattern:  # Java writes characters beyond 16 bits as pairs
        pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    if pattern and not re.fullmatch(pattern, value):
        yield f"{where}: {value!r} does not match {pattern}"
    words = shape.metadata.get("enum")
    if words and value not in words:
        yield f"{where}: {value!r} is none of {words}"
