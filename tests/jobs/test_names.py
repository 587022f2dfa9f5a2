"""Job names: the same for the same work, another for any other, and within the service's rules."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.jobs.names import PREFIX, job_name

SAGEMAKER = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"  # botocore: TrainingJobName, at most 63
NAME = ("titanic", "2026-03-01", "train", "xgboost", {"image": "a", "arguments": ["--depth", "5"]})


def test_a_name_is_readable_and_the_same_each_time() -> None:
    name = job_name(*NAME)
    assert re.fullmatch(r"millrace-titanic-20260301-train-xgboost-[0-9a-f]{10}", name)
    assert job_name(*NAME) == name


@pytest.mark.parametrize("place", range(5))
def test_another_part_is_another_job(place: int) -> None:
    other = list(NAME)
    other[place] = {"image": "b"} if place == 4 else "other"
    assert job_name(*other) != job_name(*NAME)


def test_the_order_of_what_is_run_does_not_matter() -> None:
    turned = dict(reversed(NAME[4].items()))
    assert job_name(*NAME[:4], turned) == job_name(*NAME)


@given(
    dataset=st.from_regex(r"[a-z][a-z0-9_]{0,80}", fullmatch=True),
    item=st.from_regex(r"[A-Za-z0-9_. -]{0,80}", fullmatch=True),
    number=st.integers(1, 999),
)
def test_every_name_and_its_try_fit_sagemaker(dataset: str, item: str, number: int) -> None:
    name = f"{job_name(dataset, '2026-03-01', 'train', item, {})}-{number}"
    assert name.startswith(PREFIX)
    assert len(name) <= 63
    assert re.fullmatch(SAGEMAKER, name)
