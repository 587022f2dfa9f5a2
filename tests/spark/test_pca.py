"""Moments gathered in pieces, components fitted on them, and models as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pca
import pca_files
from pca import Moments, check_components, fit, parse_components
from storage import Folder, JobError


def rows(count: int = 200, width: int = 6, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, width)) * np.arange(1, width + 1) + mean


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.booleans())
def test_pieces_of_any_size_give_the_whole(sizes: list[int], thin: bool) -> None:
    whole = rows(sum(sizes), seed=len(sizes), mean=1e6)
    merged: Moments | None = None
    for piece in np.split(whole, np.cumsum(sizes)[:-1]):
        found = Moments.of(piece, thin)
        merged = merged.merged(found) if merged else found
    assert merged is not None and merged.rows == len(whole)
    np.testing.assert_allclose(merged.mean, whole.mean(axis=0), rtol=1e-12)
    centred = whole - whole.mean(axis=0)
    scatter = (centred**2).sum(axis=0) if thin else centred.T @ centred
    np.testing.assert_allclose(merged.scatter, scatter, rtol=1e-6, atol=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    """Subtracting n * mean * mean^T from the raw products would leave noise at this mean."""
    around = rows(1000)
    moments = Moments.of(around[:300] + 1e8).merged(Moments.of(around[300:] + 1e8))
    far, near = fit(moments, 6, "n"), fit(Moments.of(around), 6, "n")
    np.testing.assert_allclose(far.variance, near.variance, rtol=1e-6)
    np.testing.assert_allclose(far.components, near.components, atol=1e-6)
    values = around + 1e8
    naive = values.T @ values - len(values) * np.outer(values.mean(0), values.mean(0))
    assert np.abs(naive / moments.scatter - 1).max() > 1e-3


def test_components_are_scikit_learns() -> None:
    from sklearn.decomposition import PCA

    values = rows()
    theirs, ours = PCA(4, svd_solver="full").fit(values), fit(Moments.of(values), 4, "n")
    np.testing.assert_allclose(np.abs(ours.components), np.abs(theirs.components_), atol=1e-10)
    np.testing.assert_allclose(ours.variance, theirs.explained_variance_)
    np.testing.assert_allclose(ours.ratio, theirs.explained_variance_ratio_)
    projected = ours.project(values.astype(np.float32))
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(projected, theirs.transform(values) * signs, atol=1e-4)


def test_the_sign_is_always_the_same() -> None:
    values = rows()
    one, other = fit(Moments.of(values), 6, "n"), fit(Moments.of(-values), 6, "n")
    np.testing.assert_allclose(one.components, other.components, atol=1e-12)
    assert (pca.signed(-one.components) == one.components).all()


@pytest.mark.parametrize(("share", "k"), [(0.5, 2), (0.999, 6), (0.01, 1)])
def test_a_share_keeps_as_many_as_hold_it(share: float, k: int) -> None:
    model = fit(Moments.of(rows(5000)), share, "n")
    assert model.k == k and model.ratio.sum() >= share
    assert k == 1 or model.ratio[:-1].sum() < share


def test_few_rows_have_few_components() -> None:
    model = fit(Moments.of(rows(4)), 3, "n")
    assert model.ratio.sum() == pytest.approx(1)
    assert fit(Moments.of(rows(4)), 0.99999, "n").k <= 3


@pytest.mark.parametrize(
    ("wanted", "count", "message"),
    [
        (7, 200, "more than 200 images of 6 features have: choose at most 6"),
        (5, 5, "more than 5 images of 6 features have: choose at most 4"),
        (1, 1, "at least two images, and 1 has features"),
        (0.9, 0, "at least two images, and 0 has features"),
    ],
)
def test_too_many_components_are_refused(wanted: float, count: int, message: str) -> None:
    with pytest.raises(JobError, match=message):
        check_components(wanted, count, 6)


def test_equal_rows_have_no_components() -> None:
    for thin in (False, True):
        moments = Moments.of(np.full((9, 6), 0.1), thin)
        with pytest.raises(JobError, match="all 9 images have the same features"):
            if thin:
                pca.adopt(moments, 2, "n", np.eye(6)[:2], np.full(2, np.nan))
            else:
                fit(moments, 2, "n")


@pytest.mark.parametrize(("text", "value"), [("100", 100), ("0.95", 0.95), ("1", 1)])
def test_components_are_a_number_or_a_share(text: str, value: float) -> None:
    assert parse_components(text) == value
    assert type(parse_components(text)) is type(value)


@pytest.mark.parametrize("text", ["0", "-3", "1.0", "1.5", "many", "", "nan", "0.0"])
def test_other_components_are_refused(text: str) -> None:
    with pytest.raises(JobError, match="--components"):
        parse_components(text)


def test_moments_travel_as_bytes() -> None:
    moments = Moments.of(rows())
    again = Moments.unpacked(moments.packed())
    assert again.rows == moments.rows
    np.testing.assert_array_equal(again.scatter, moments.scatter)


def test_a_model_survives_its_files(tmp_path: Path) -> None:
    model = fit(Moments.of(rows()), 3, "abc")
    written = pca_files.write(model, Folder(str(tmp_path / "pca")))
    assert set(written) == {
        f"{name}.{kind}"
        for name in ("components", "mean", "explained_variance")
        for kind in ("parquet", "csv")
    } | {"model.json"}
    again = pca_files.read(Folder(str(tmp_path / "pca")), "abc")
    np.testing.assert_array_equal(again.components, model.components)
    np.testing.assert_array_equal(again.mean, model.mean)
    np.testing.assert_array_equal(again.ratio, model.ratio)
    pca_files.check_width(again, 6)
    with pytest.raises(JobError, match="takes 6 features, the network gives 7"):
        pca_files.check_width(again, 7)
    with pytest.raises(JobError, match="fitted on features of network abc"):
        pca_files.read(Folder(str(tmp_path / "pca")), "xyz")


@pytest.mark.parametrize("broken", ["", "model.json", "components.parquet"])
def test_a_broken_model_is_refused(tmp_path: Path, broken: str) -> None:
    folder = Folder(str(tmp_path / "pca"))
    if broken:
        pca_files.write(fit(Moments.of(rows()), 3, "abc"), folder)
        folder.write(broken, b"{}")
    with pytest.raises(JobError, match="holds no PCA model"):
        pca_files.read(folder, "abc")
