"""The largest contributions of a row, found without sorting them."""

from __future__ import annotations

import numpy as np
import pytest

import reasons


@pytest.mark.parametrize("width", [1, 3, 250])
@pytest.mark.parametrize("count", [1, 5, 300])
def test_the_same_as_a_stable_sort_gives(width: int, count: int) -> None:
    random = np.random.default_rng(width)
    values = random.normal(size=(500, width)).round(1)  # many are equal
    values[:, ::3] = 0
    given = values.copy()
    places, found = reasons.top(values, count)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_array_equal(found, np.take_along_axis(values, expected, axis=1))
    np.testing.assert_array_equal(values, given)
