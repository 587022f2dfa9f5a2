"""Reading a data set spec from YAML with the line of every value, for errors that point at it.

Bare `Yes`, `No`, `on` and `off` stay text, as YAML 1.2 has it: they are labels in real data far
more often than truth values. `true` and `false` are the truth values. `007`, `1_000` and `10:30`
stay text too, and a number remembers how it was written: `1.50` may be a label.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from millrace.errors import MillraceError


class SpecError(MillraceError):
    """A spec cannot be used. `problems` holds one line for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]):
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class WrittenFloat(float):
    """A number whose text is the one in the file."""

    text: str

    def __str__(self) -> str:
        return self.text


class _Loader(yaml.SafeLoader):
    """SafeLoader with the truth values and numbers of YAML 1.2, and no implicit dates."""

    def construct_yaml_float(self, node: yaml.ScalarNode) -> WrittenFloat:
        number = WrittenFloat(super().construct_yaml_float(node))
        number.text = node.value
        return number


_OWN = {"bool", "timestamp", "int", "float"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag.rpartition(":")[2] not in _OWN]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _rule, _first in (
    ("bool", r"^(?:true|false|True|False|TRUE|FALSE)$", "tTfF"),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_rule), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


@dataclass(frozen=True)
class SpecFile:
    """A parsed spec file: its values and where each stands."""

    path: Path
    values: dict[str, Any]
    root: yaml.MappingNode

    @classmethod
    def read(cls, path: Path) -> SpecFile:
        """Parse `path`.

        Raises:
            SpecError: the file is unreadable, is no YAML mapping, or names a key twice.
        """
        try:
            loader = _Loader(path.read_text(encoding="utf-8-sig"))
            root = loader.get_single_node()
            repeated = list(_repeated_keys(path, root, ())) if root else []
            values = loader.construct_document(root) if root else None
        except RecursionError:
            raise SpecError([f"{path}: refers to itself; take the alias (*) out"]) from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SpecError([f"{path}: cannot be read as YAML: {error}"]) from error
        if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
            raise SpecError([f"{path}: found no mapping; write `key: value` lines"])
        if repeated:
            raise SpecError(repeated)
        return cls(path, values, root)

    def line(self, field: Sequence[str | int]) -> int:
        """The line of the deepest part of `field` that stands in the file, counted from 1."""
        node: yaml.Node = self.root
        line = node.start_mark.line
        for part in field:
            for key, value in _children(node):
                if key == str(part):
                    node, line = value, value.start_mark.line
                    break
            else:
                break
        return line + 1

    def problem(self, field: Sequence[str | int], found: str, remedy: str) -> str:
        """One line that names file, line, field, what was found and what to write."""
        name = ".".join(str(part) for part in field) or "(the whole file)"
        return f"{self.path}:{self.line(field)}: {name}: found {found}; {remedy}"

    def explain(self, error: ValidationError) -> SpecError:
        """Turn pydantic's errors into the project's own wording."""
        return SpecError([self._explain_one(item) for item in error.errors()])

    def _explain_one(self, item: Any) -> str:
        field = _without_union_tag(item["loc"])
        if "remedy" in item.get("ctx", {}):
            context = item["ctx"]
            return self.problem(
                [*field, *context.get("field", ())], context["found"], context["remedy"]
            )
        found, remedy = _wording(item, field)
        return self.problem(field, found, remedy)


def nearest(name: str, known: Sequence[str]) -> str:
    """` (did you mean 'x'?)` where something known looks like `name`, else nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _without_union_tag(loc: Sequence[str | int]) -> list[str | int]:
    """A location without the kind of the feature, which pydantic puts into it behind the name."""
    return [*loc[:2], *loc[3:]] if loc[:1] == ("features",) else list(loc)


def _wording(item: Any, field: Sequence[str | int]) -> tuple[str, str]:
    context = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "nothing", "this field is required"
        case "extra_forbidden":
            return (
                f"the unknown key {str(field[-1])!r}",
                "remove it or mend its name (see docs/spec.md)",
            )
        case "literal_error":
            return repr(item["input"]), f"write one of {context['expected']}"
        case "union_tag_invalid" | "union_tag_not_found":
            tags = context.get(
                "expected_tags", "'extract', 'sum', 'ratio', 'present', 'bins', 'count'"
            )
            return repr(item["input"]), f"write `kind:` with one of {tags}"
        case _:
            message = item["msg"]
            return repr(item["input"]), f"write what fits: {message[:1].lower()}{message[1:]}"


def _children(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield str(index), value


def _repeated_keys(path: Path, node: yaml.Node, field: tuple[str, ...]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for key, value in _children(node):
        line = value.start_mark.line + 1
        name = ".".join((*field, key))
        if key in seen:
            yield (
                f"{path}:{line}: {name}: found a second time (first in line {seen[key]});"
                " write it once: a column has one role"
            )
        seen.setdefault(key, line)
        yield from _repeated_keys(path, value, (*field, key))
