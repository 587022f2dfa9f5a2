"""A template as CloudFormation makes it of given values: conditions decided, functions resolved.

What only AWS knows of a resource stands as `<logical id>` and `<logical id>.<attribute>`; ARNs of
roles, keys and queues are written out, because policies are compared by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from millrace.infrastructure.template import Template

ACCOUNT, REGION, STACK = "123456789012", "eu-central-1", "millrace"
KEY_ID = "0d990263-018e-4e65-a703-eff731de951e"
NOTHING = object()  # what `AWS::NoValue` leaves


class Evaluation:
    """One deployment of a template."""

    def __init__(self, template: Template, given: Mapping[str, str], region: str = REGION):
        self.sections = template.sections
        self.types = {name: each["Type"] for name, each in template.resources.items()}
        defaults = {
            name: str(said["Default"])
            for name, said in template.parameters.items()
            if "Default" in said
        }
        self.values = {
            **defaults, **given, "AWS::Region": region, "AWS::AccountId": ACCOUNT,
            "AWS::StackName": STACK, "AWS::NoValue": NOTHING,
        }  # fmt: skip
        self.conditions = {
            name: bool(self.resolve(said)) for name, said in template.sections["Conditions"].items()
        }

    @cached_property
    def resources(self) -> dict[str, Any]:
        """What is made, by logical id, with its properties resolved."""
        return self._existing(self.sections["Resources"])

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The values of the outputs that there are."""
        return {
            name: each["Value"] for name, each in self._existing(self.sections["Outputs"]).items()
        }

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of every resource of a type, by logical id."""
        return {
            name: each["Properties"]
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def properties(self, name: str) -> dict[str, Any]:
        """The properties of one resource."""
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def resolve(self, value: Any) -> Any:
        """A value without functions."""
        if isinstance(value, list):
            found = [self.resolve(each) for each in value]
            return [each for each in found if each is not NOTHING]
        if not isinstance(value, dict):
            return value
        name = next(iter(value), "")
        if len(value) == 1 and (name in ("Ref", "Condition") or name.startswith("Fn::")):
            return self._function(name.removeprefix("Fn::"), value[name])
        resolved = {key: self.resolve(each) for key, each in value.items()}
        return {key: each for key, each in resolved.items() if each is not NOTHING}

    def _existing(self, section: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self.resolve({k: v for k, v in each.items() if k != "Condition"})
            for name, each in section.items()
            if self.conditions.get(each.get("Condition", ""), True)
        }

    def _function(self, name: str, argument: Any) -> Any:
        if name == "If":
            condition, yes, no = argument
            return self.resolve(yes if self.conditions[condition] else no)
        if name == "Ref":
            return self._ref(argument)
        if name == "Condition":
            return bool(self.resolve(self.sections["Conditions"][argument]))
        if name == "GetAtt":
            return self._attribute(*argument)
        if name == "Sub":
            return self._sub(argument)
        if name == "ImportValue":
            return f"<{self.resolve(argument)}>"
        items = [self.resolve(each) for each in argument]
        return {
            "Equals": lambda: str(items[0]) == str(items[1]),
            "Not": lambda: not items[0],
            "And": lambda: all(items),
            "Or": lambda: any(items),
            "Contains": lambda: items[1] in items[0],
            "Split": lambda: items[1].split(items[0]),
            "FindInMap": lambda: self.sections["Mappings"][items[0]][items[1]][items[2]],
        }[name]()

    def _sub(self, argument: Any) -> str:
        text, more = argument if isinstance(argument, list) else (argument, {})
        found = {name: self.resolve(each) for name, each in more.items()}

        def filled(match: re.Match[str]) -> str:
            name = match[1]
            if name in found:
                return str(found[name])
            return str(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([\w:.]+)\}", filled, text)

    def _ref(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        kind = self.types[name]
        properties = self.sections["Resources"][name].get("Properties", {})
        own = {
            "AWS::Logs::LogGroup": "LogGroupName", "AWS::ECR::Repository": "RepositoryName",
            "AWS::S3::Bucket": "BucketName", "AWS::Athena::WorkGroup": "Name",
        }.get(kind)  # fmt: skip
        if own:
            return self.resolve(properties[own])
        if kind == "AWS::Glue::Database":
            return self.resolve(properties["DatabaseInput"]["Name"])
        if kind == "AWS::SQS::Queue":
            return (
                f"https://sqs.{self.values['AWS::Region']}.amazonaws.com/{ACCOUNT}/{STACK}-{name}"
            )
        return name

    def _attribute(self, name: str, attribute: str) -> str:
        kind, region = self.types[name], self.values["AWS::Region"]
        known = {
            ("AWS::IAM::Role", "Arn"): f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{name}",
            ("AWS::KMS::Key", "Arn"): f"arn:aws:kms:{region}:{ACCOUNT}:key/{KEY_ID}",
            ("AWS::SQS::Queue", "Arn"): f"arn:aws:sqs:{region}:{ACCOUNT}:{STACK}-{name}",
            ("AWS::SQS::Queue", "QueueName"): f"{STACK}-{name}",
            ("AWS::ECS::Service", "Name"): f"{STACK}-{name}",
        }
        return known.get((kind, attribute), f"{name}.{attribute}")


def statement(document: Mapping[str, Any], sid: str) -> dict[str, Any]:
    """The statement of a policy with that name."""
    (found,) = [each for each in document["Statement"] if each["Sid"] == sid]
    return dict(found)
