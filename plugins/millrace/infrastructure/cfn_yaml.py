"""CloudFormation's YAML, with its short functions: `!Sub x` is `{"Fn::Sub": "x"}` as data. Pure."""

from __future__ import annotations

from typing import Any

import yaml

NO_PREFIX = ("Ref", "Condition")  # functions whose long form has no `Fn::`


class _Loader(yaml.SafeLoader):
    """Knows every tag that begins with an exclamation mark."""


class _Dumper(yaml.SafeDumper):
    """Writes the short form; lists are indented; no aliases, which CloudFormation does not know."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def load(text: str) -> Any:
    """Parse a template; functions become their long form."""
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader


def dump(data: Any, *, one_line: bool = False) -> str:
    """Write data, for people or in one line."""
    width = 10**9  # an ARN that is broken in two cannot be searched for
    return yaml.dump(
        data, Dumper=_Dumper, width=width, sort_keys=False, default_flow_style=one_line
    )


def _construct(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in NO_PREFIX else f"Fn::{suffix}": value}


def _represent(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
    name, value = next(iter(data.items())) if len(data) == 1 else ("", "")
    if name == "Fn::GetAtt":
        value = ".".join(value)
    if name == "Ref" or (name.startswith("Fn::") and isinstance(value, str)):
        return dumper.represent_scalar(f"!{name.removeprefix('Fn::')}", str(value))
    if name.startswith("Fn::") and isinstance(value, list):
        return dumper.represent_sequence(f"!{name.removeprefix('Fn::')}", value)
    return dumper.represent_dict(data)


_Loader.add_multi_constructor("!", _construct)
_Dumper.add_representer(dict, _represent)
