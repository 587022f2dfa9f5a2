"""Container images: known URIs, one for every region and algorithm, and how the list is made."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest

from millrace.aws.images import DATA, image_of, regions, summary
from millrace.aws.target import EU_REGIONS, IMAGE
from millrace.datasets import Candidate


@pytest.mark.parametrize(
    ("algorithm", "region", "account"),
    [  # accounts as in AWS's documentation of the registry paths
        ("xgboost", "eu-central-1", "492215442770"),
        ("xgboost", "eu-west-1", "141502667606"),
        ("random_forest", "eu-west-3", "659782779980"),
        ("lightgbm", "eu-north-1", "662702820516"),
        ("xgboost", "us-east-1", "683313688378"),
    ],
)
def test_known_images(algorithm: str, region: str, account: str) -> None:
    framework = "xgboost" if algorithm == "xgboost" else "scikit-learn"
    assert re.fullmatch(
        rf"{account}\.dkr\.ecr\.{region}\.amazonaws\.com/sagemaker-{framework}:\d[\w.-]+",
        image_of(algorithm, region),
    )


def test_the_tags_are_those_of_the_sdk() -> None:
    assert image_of("xgboost", "eu-south-1").endswith("/sagemaker-xgboost:3.2-0")
    assert image_of("logistic_regression", "eu-south-2").endswith(":1.9-0-cpu-py3")


@pytest.mark.parametrize("region", sorted(EU_REGIONS))
def test_every_algorithm_has_an_image_in_every_region_of_the_eu(region: str) -> None:
    for algorithm in get_args(Candidate.model_fields["algorithm"].annotation):
        assert re.fullmatch(IMAGE, image_of(algorithm, region))


def test_an_own_image_wins_for_its_framework_only() -> None:
    own = {"scikit-learn": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1"}
    assert image_of("lightgbm", "eu-west-1", own) == own["scikit-learn"]
    assert image_of("xgboost", "eu-west-1", own) == image_of("xgboost", "eu-west-1")


def test_the_list_says_where_it_comes_from() -> None:
    data = json.loads(DATA.read_text())
    assert re.fullmatch(r"sagemaker-core \d+\.\d+\.\d+", data["source"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", data["date"])
    assert data["license"] == "Apache-2.0"
    assert all(re.fullmatch(r"\d{12}", account) for account in data["accounts"].values())
    assert not any(name.startswith(("cn-", "us-gov", "us-iso")) for name in regions())


def framework(tags: dict[str, str], account: str = "1", **more: Any) -> dict[str, Any]:
    """A list as the SDK has it: scopes that know a tag, in words, by tag."""
    registries = {"eu-west-1": account, "cn-north-1": "2", "us-gov-west-1": "3"}
    facts = {"repository": "made-up", "registries": registries, **more}
    return {
        scope: {"versions": {tag: facts for tag, scopes in tags.items() if scope in scopes}}
        for scope in ("training", "inference")
    }


def test_the_newest_container_for_both_is_kept() -> None:
    both = "training inference"
    known = framework({"1.10-0": both, "1.9-2": both, "1.10-0-py312": both, "2.0-1": "training"})
    made = summary({"made-up": known}, "made-up 1.0", "2026-01-01")
    assert made["frameworks"]["made-up"]["tag"] == "1.10-0"
    assert made["accounts"] == {"eu-west-1": "1"}


def test_a_tag_names_processor_and_python_where_the_sdk_does() -> None:
    known = framework({"1.9-0": "training inference"}, processors=["cpu"], py_versions=["py3"])
    made = summary({"made-up": known}, "made-up 1.0", "2026-01-01")
    assert made["frameworks"]["made-up"]["tag"] == "1.9-0-cpu-py3"


def test_accounts_that_differ_are_not_lost() -> None:
    lists = {name: framework({"1-0": "training inference"}, name) for name in ("1", "9")}
    with pytest.raises(ValueError, match="different accounts"):
        summary(lists, "made-up 1.0", "2026-01-01")
