"""What the template refuses, and what it says of its parameters."""

from __future__ import annotations

import json

import pytest

from millrace.aws.target import EU_REGIONS
from millrace.infrastructure.template import Template
from tests.infrastructure.conftest import EVERYTHING, LEAST, SERVICE
from tests.infrastructure.evaluate import Evaluation


@pytest.mark.parametrize(
    ("region", "accepted"),
    [*((region, True) for region in sorted(EU_REGIONS)),
     *((region, False) for region in ("eu-west-2", "eu-central-2", "us-east-1"))],
)  # fmt: skip
def test_only_regions_of_the_eu_are_accepted(
    template: Template, region: str, accepted: bool
) -> None:
    made = Evaluation(template, LEAST, region=region)
    rule = template.sections["Rules"]["DataStaysInTheEu"]
    assert "RuleCondition" not in rule
    assert [made.resolve(each["Assert"]) for each in rule["Assertions"]] == [accepted]


@pytest.mark.parametrize("missing", sorted(set(SERVICE) - {"ServiceTag"}))
def test_a_service_needs_its_network(template: Template, missing: str) -> None:
    rule = template.sections["Rules"]["ServiceHasANetwork"]

    def refusals(given: dict[str, str]) -> list[str]:
        made = Evaluation(template, given)
        applies = made.resolve(rule["RuleCondition"])
        said = rule["Assertions"] if applies else []
        return [each["AssertDescription"] for each in said if not made.resolve(each["Assert"])]

    assert refusals(EVERYTHING) == refusals(LEAST) == []
    (refusal,) = refusals({name: EVERYTHING[name] for name in EVERYTHING if name != missing})
    assert missing in refusal


def test_every_parameter_is_explained_grouped_and_used(template: Template) -> None:
    said = template.sections["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in said for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template.parameters)
    text = json.dumps({**template.sections, "Metadata": None, "Parameters": None})
    for name, each in template.parameters.items():
        assert each["Description"], name
        assert "AllowedValues" in each or each["ConstraintDescription"], name
        assert f'"Ref": "{name}"' in text or f"${{{name}}}" in text, name
