"""The split by view: arcs on a circle, gaps beside them, and what has no views."""

from __future__ import annotations

from collections import Counter

import pytest

from millrace.datasets import ViewSplit
from millrace.errors import MillraceError
from millrace.views import split_views, view_of

ORDER = r"(?:^|_)(\d+)_"


def turn(label: str, series: str, views: int, step: int = 1) -> list[tuple[str, str]]:
    return [(f"images/{label}/{series}{n * step}_100.jpg", label) for n in range(views)]


def sides(found: list[tuple[str, str]], **options: object) -> list[str]:
    split = ViewSplit(**{"order": ORDER, "test": 0.2, **options})  # type: ignore[arg-type]
    return split_views([path for path, _ in found], [label for _, label in found], split)


def test_the_test_images_of_a_series_are_one_arc_with_a_gap_on_both_sides():
    for seed in range(20):
        found = sides(turn("apple", "r0_", 100), seed=seed, gap=0.05)
        assert Counter(found) == {"train": 70, "test": 20, "left out": 10}
        first = next(n for n in range(100) if found[n] == "test" != found[n - 1])
        circle = [found[(first + n) % 100] for n in range(100)]
        assert circle == ["test"] * 20 + ["left out"] * 5 + ["train"] * 70 + ["left out"] * 5


def test_neighbours_across_the_start_of_the_numbers_are_neighbours_too():
    starts = {sides(turn("apple", "", 50), seed=seed).index("test") for seed in range(40)}
    assert 0 in starts  # some arc runs over the end of the numbers
    assert len(starts) > 15


def test_steps_between_the_numbers_make_no_difference():
    assert sides(turn("apple", "r0_", 80)) == sides(turn("apple", "r0_", 80, step=4))


def test_each_label_and_series_has_an_arc_of_its_own():
    found = [*turn("apple", "r0_", 40), *turn("apple", "r1_", 40), *turn("pear", "r0_", 40)]
    split = sides(found)
    parts = [tuple(split[start : start + 40]) for start in (0, 40, 80)]
    assert len(set(parts)) == 3
    assert all(part.count("test") == 8 for part in parts)


def test_the_order_of_the_images_and_other_labels_change_nothing():
    apples, pears = turn("apple", "r0_", 40), turn("pear", "r0_", 40)
    together = sides([*reversed(pears), *apples])
    assert together[40:] == sides(apples)
    assert together[:40] == sides(pears)[::-1]


def test_another_seed_gives_another_split():
    assert sides(turn("apple", "", 50), seed=1) != sides(turn("apple", "", 50), seed=2)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_a_label_always_keeps_images_to_train_on(views):
    for seed in range(30):
        assert "train" in sides(turn("apple", "", views), seed=seed, test=0.5, gap=0.2)


def test_without_views_images_are_drawn_by_their_names():
    found = [(f"{label}/{n}.jpg", label) for label in ("a", "b") for n in range(50)]
    split = sides(found, order=None)
    assert split[:50].count("test") == split[50:].count("test") == 10
    assert sides(found[::-1], order=None) == split[::-1]
    assert sides(found, order=None, seed=1) != split
    assert sides([("a/1.jpg", "a")], order=None) == ["train"]


@pytest.mark.parametrize(
    ("name", "series", "number"),
    [("a/r0_12_100.jpg", "r0_", 12), ("a_7_/12_100.jpg", "", 12), ("a/r2_0_100.jpg", "r2_", 0)],
)
def test_series_and_number_come_from_the_files_name(name, series, number):
    assert view_of(name, ORDER) == (series, number)


def test_a_name_without_a_number_is_an_error_that_says_what_to_mend():
    with pytest.raises(MillraceError, match=r"the view of 'a/front\.jpg' is unknown .*split.order"):
        sides([("a/front.jpg", "a")])
    with pytest.raises(MillraceError, match="could not convert"):
        sides([("a/x_b_.jpg", "a")], order=r"_(\w)_")
