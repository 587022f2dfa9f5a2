"""Prices: known ones, multiples of a family's, own files, and what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from millrace.aws.prices import (
    BUILT_IN,
    KINDS,
    cost,
    hourly,
    load,
    scan_cost,
    serverless_hourly,
    terabyte,
)
from millrace.aws.target import EU_REGIONS
from millrace.variables import SettingsError


@pytest.mark.parametrize(
    ("kind", "instance", "region", "dollars"),
    [  # SageMaker as on its price page; EMR: EC2 plus a quarter
        ("sagemaker_training", "ml.m5.large", "eu-central-1", 0.138),
        ("sagemaker_training", "ml.m5.xlarge", "eu-west-1", 0.2568),
        ("sagemaker_transform", "ml.c5.2xlarge", "eu-west-1", 0.4608),
        ("sagemaker_training", "ml.r5.24xlarge", "eu-north-1", 24 * 2 * 0.134 * 1.2),
        ("emr_step", "m5.xlarge", "eu-central-1", 0.23 * 1.25),
    ],
)
def test_known_prices(kind: str, instance: str, region: str, dollars: float) -> None:
    assert hourly(kind, instance, region) == pytest.approx(dollars, abs=1e-4)


@pytest.mark.parametrize("region", sorted(EU_REGIONS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_region_of_the_eu_has_prices(kind: str, region: str) -> None:
    units = {"emr_step": "r5.xlarge", "emr_serverless": "gb", "athena": "tb"}
    price = hourly(kind, units.get(kind, "ml.m6i.large"), region)
    assert price and 0 < price < (10 if kind == "athena" else 1)


@pytest.mark.parametrize(
    ("kind", "instance", "region"),
    [
        ("sagemaker_training", "ml.p4d.24xlarge", "eu-central-1"),
        ("sagemaker_training", "ml.m5.metal", "eu-central-1"),
        ("sagemaker_training", "ml.m5", "eu-central-9"),
        ("sagemaker_training", "ml.m5.large", "us-east-1"),
        ("glue", "ml.m5.large", "eu-central-1"),
    ],
)
def test_what_is_not_known_is_none(kind: str, instance: str, region: str) -> None:
    assert hourly(kind, instance, region) is None


def test_instances_are_counted() -> None:
    one = hourly("emr_step", "m5.xlarge", "eu-west-1")
    assert one and hourly("emr_step", "m5.xlarge", "eu-west-1", 3) == 3 * one


def test_serverless_capacity() -> None:
    vcpu = hourly("emr_serverless", "vcpu", "eu-west-1") or 0
    gigabyte = hourly("emr_serverless", "gb", "eu-west-1") or 0
    assert serverless_hourly(4, 16, "eu-west-1") == pytest.approx(4 * vcpu + 16 * gigabyte)
    assert serverless_hourly(4, 16, "us-east-1") is None


def test_billing_by_the_second() -> None:
    assert cost(3.6, 1) == pytest.approx(0.001)
    assert cost(3.6, 20, "emr_step") == pytest.approx(0.06)
    assert cost(3.6, 90, "emr_step") == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("scanned", "dollars"), [(0, 5e-5), (9_999_999, 5e-5), (10_000_001, 5.5e-5), (10**12, 5.0)]
)
def test_a_query_is_billed_by_whole_megabytes_and_ten_at_least(
    scanned: int, dollars: float
) -> None:
    price = terabyte("eu-central-1")
    assert price == 5.0
    assert scan_cost(price, scanned) == pytest.approx(dollars, rel=1e-12)


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_an_own_price_wins_and_the_rest_stays(tmp_path: Path) -> None:
    prices = {"sagemaker_training": {"eu-west-1": {"ml.m5.large": 0.1, "ml.c5": 0.08}}}
    own = write(tmp_path / "own.json", {"prices": prices})
    assert hourly("sagemaker_training", "ml.m5.large", "eu-west-1", own=own) == 0.1
    assert hourly("sagemaker_training", "ml.c5.xlarge", "eu-west-1", own=own) == 0.16
    built_in = hourly("sagemaker_training", "ml.m5.xlarge", "eu-west-1")
    assert hourly("sagemaker_training", "ml.m5.xlarge", "eu-west-1", own=own) == built_in


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("{", "it cannot be read"),
        ([], "prices is None; write an object"),
        ({"prices": {"training": {}}}, "prices / training is no kind of job"),
        ({"prices": {"emr_step": 3}}, "prices / emr_step is 3; write an object"),
        (
            {"prices": {"emr_step": {"eu-west-1": {"m5.large": "0.1"}}}},
            "prices / emr_step / eu-west-1 / m5.large is '0.1'; write dollars",
        ),
        (
            {"prices": {"emr_step": {"eu-west-1": {"m5.large": -1}}}},
            "prices / emr_step / eu-west-1 / m5.large is -1; write dollars",
        ),
        ({"prices": {"emr_step": {"eu-west-1": {"m5": True}}}}, "m5 is True; write dollars"),
    ],
)
def test_an_own_file_that_cannot_be_used_is_named(tmp_path: Path, data: Any, named: str) -> None:
    own = write(tmp_path / "own.json", data)
    with pytest.raises(SettingsError) as found:
        hourly("emr_step", "m5.large", "eu-west-1", own=own)
    assert named in str(found.value)
    assert "MILLRACE_PRICES" in str(found.value) and str(own) in str(found.value)


def test_the_built_in_file_is_dated_and_valid() -> None:
    assert set(load(BUILT_IN)) == set(KINDS)
    assert json.loads(BUILT_IN.read_text())["date"].startswith("2026-")
