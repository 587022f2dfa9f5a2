"""Evaluate IAM policy documents: pure, actions, resources and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any

Context = Mapping[str, Any]  # condition key to a text or a list of texts


def decide(documents: Iterable[Mapping[str, Any]], action: str, resource: str,
           context: Context) -> bool | None:  # fmt: skip
    """True: allowed. False: explicitly denied. None: no statement speaks of it."""
    allowed = None
    for document in documents:
        for statement in _several(document.get("Statement", [])):
            if not _applies(statement, action, resource, context):
                continue
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed


def trusts(document: Mapping[str, Any], service: str) -> bool:
    """Whether a role's trust policy lets a service assume it."""
    return any(
        statement["Effect"] == "Allow"
        and _matches_any(statement.get("Action", []), "sts:AssumeRole", {}, ignore_case=True)
        and service in _several(statement.get("Principal", {}).get("Service", []))
        for statement in _several(document.get("Statement", []))
    )


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    if "Action" in statement:
        if not _matches_any(statement["Action"], action, {}, ignore_case=True):
            return False
    elif _matches_any(statement.get("NotAction", []), action, {}, ignore_case=True):
        return False
    if "Resource" in statement:
        if not _matches_any(statement["Resource"], resource, context):
            return False
    elif _matches_any(statement.get("NotResource", []), resource, context):
        return False
    return all(
        _condition(operator, key, _several(wanted), context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _condition(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    """One condition; keys are compared without case, as IAM does."""
    quantifier, _, operator = operator.rpartition(":")
    found = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if operator == "Null":
        return (found is None) == (str(wanted[0]).lower() == "true")
    optional = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if found is None:
        return optional or quantifier == "ForAllValues" or "Not" in operator
    values = [str(value) for value in _several(found)]
    texts = [_substituted(str(text), context) for text in wanted]
    hits = [_compare(operator, value, texts) for value in values]
    return all(hits) if quantifier == "ForAllValues" or "Not" in operator else any(hits)


def _compare(operator: str, value: str, wanted: list[str]) -> bool:
    """Whether a value meets an operator for one of the wanted texts (`Not...`: for none)."""
    negated, plain = "Not" in operator, operator.replace("Not", "")
    if plain == "StringEquals":
        hit = value in wanted
    elif plain == "StringEqualsIgnoreCase":
        hit = value.lower() in [text.lower() for text in wanted]
    elif plain in ("StringLike", "ArnLike", "ArnEquals"):
        hit = any(_pattern(text, False).match(value) for text in wanted)
    elif plain == "Bool":
        hit = value.lower() in [text.lower() for text in wanted]
    elif plain.startswith("Numeric"):
        hit = any(_number(plain, float(value), float(text)) for text in wanted)
    else:
        raise ValueError(f"the stand-in does not evaluate the condition operator {operator!r}")
    return hit != negated


def _number(operator: str, value: float, bound: float) -> bool:
    return {
        "NumericEquals": value == bound, "NumericLessThan": value < bound,
        "NumericLessThanEquals": value <= bound, "NumericGreaterThan": value > bound,
        "NumericGreaterThanEquals": value >= bound,
    }[operator]  # fmt: skip


def _matches_any(patterns: Any, text: str, context: Context, ignore_case: bool = False) -> bool:
    return any(
        _pattern(_substituted(pattern, context), ignore_case).match(text)
        for pattern in _several(patterns)
    )


@lru_cache(maxsize=4096)
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:
    """IAM's wildcards: `*` and `?`; nothing else is special."""
    return re.compile(translate(text.replace("[", "[[]")), re.IGNORECASE if ignore_case else 0)


def _substituted(text: str, context: Context) -> str:
    """Policy variables such as ${aws:username}; one without a value matches nothing."""
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(context.get(found[1], found[0])), text)


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
