"""The CloudFormation template as data, and what its parameters take. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.errors import MillraceError
from millrace.infrastructure import cfn_yaml
from millrace.settings import PROJECT

FOLDER = PROJECT / "include" / "cloudformation"
TEMPLATE = FOLDER / "millrace.yaml"
GITHUB = FOLDER / "github.yaml"
LARGEST = 51_200
"""Bytes that a template may have in a request. A larger one would have to lie in a bucket, and
before the first deployment there is none."""


class ParameterError(MillraceError):
    """A parameter of the template cannot be used; the message says what to write."""


@dataclass(frozen=True)
class Template:
    """A template by its sections, with every function in its long form, `{"Fn::Sub": ...}`."""

    sections: Mapping[str, Any] = field(hash=False)

    @classmethod
    def read(cls, text: str) -> Template:
        """Parse a template's text."""
        return cls(cfn_yaml.load(text))

    @property
    def body(self) -> str:
        """What CloudFormation is sent: one line, without comments and what only checkers read."""
        resources = {
            name: {key: value for key, value in each.items() if key != "Metadata"}
            for name, each in self.resources.items()
        }
        return cfn_yaml.dump({**self.sections, "Resources": resources}, one_line=True)

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """What can be given, by name, as the template says it."""
        found: Mapping[str, Mapping[str, Any]] = self.sections.get("Parameters", {})
        return found

    @property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """What is made, by logical id."""
        found: Mapping[str, Mapping[str, Any]] = self.sections["Resources"]
        return found

    @property
    def retained(self) -> frozenset[str]:
        """Logical ids of what stays when the stack goes."""
        policies = {name: each.get("DeletionPolicy", "") for name, each in self.resources.items()}
        return frozenset(name for name, policy in policies.items() if policy.startswith("Retain"))

    def check(self, given: Mapping[str, str], previous: frozenset[str] = frozenset()) -> None:
        """Hold values against what the template says of its parameters.

        Args:
            given: values by parameter.
            previous: parameters that have a value already, from an earlier deployment.

        Raises:
            ParameterError: some do not fit or are missing; the message names all of them.
        """
        wrong = [self._refusal(name, value) for name, value in given.items()]
        wrong += [
            f"{name} is not given: {said['Description']} {said['ConstraintDescription']}"
            for name, said in self.parameters.items()
            if "Default" not in said and name not in given and name not in previous
        ]
        if found := [text for text in wrong if text]:
            raise ParameterError("the parameters cannot be used:\n  " + "\n  ".join(found))

    def _refusal(self, name: str, value: str) -> str | None:
        said = self.parameters.get(name)
        if said is None:
            return f"{name} is no parameter; write one of {', '.join(self.parameters)}"
        allowed = [str(each) for each in said.get("AllowedValues", [])]
        wanted = said.get("ConstraintDescription") or f"write one of {', '.join(allowed)}"
        fits = (
            (not allowed or value in allowed)
            and re.fullmatch(said.get("AllowedPattern", r"[^\n]*"), value)
            and (said["Type"] != "Number" or _within(value, said))
        )
        return None if fits else f"{name} is {value!r}; {wanted}"


def _within(value: str, said: Mapping[str, Any]) -> bool:
    if not re.fullmatch(r"\d{1,12}", value):
        return False
    return said.get("MinValue", 0) <= int(value) <= said.get("MaxValue", 10**12)
