"""What both Spark jobs refuse on their command lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import options
import scoring_options
from storage import JobError

IMAGES = ("--images", "/i", "--network", "/n", "--output", "/o")
SCORES = ("--features", "/f", "--model", "/m", "--output", "/o")


@pytest.mark.parametrize(
    ("parse", "given"),
    [(options.parse, IMAGES), (scoring_options.parse, SCORES)],
    ids=["image_features", "credit_scoring"],
)
@pytest.mark.parametrize(
    ("more", "error"),
    [
        (("--attempt", "a/b"), "--attempt 'a/b' must be a plain name"),
        (("--attempt", "_x"), "--attempt '_x' must be a plain name"),
        (("--partitions", "-1"), "--partitions must not be negative"),
        (("--batch-size", "-4"), "--batch-size must not be negative"),
    ],
)
def test_a_bad_option_is_named(
    parse: Callable[..., Any], given: tuple[str, ...], more: tuple[str, str], error: str
) -> None:
    parse(given)
    with pytest.raises(JobError, match=error):
        parse([*given, *more])
