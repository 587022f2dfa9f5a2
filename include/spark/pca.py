"""Principal components from one pass over the features, and models that project later images.

Rows are gathered as a count, a mean and the scatter around it (sum of (x - mean)(x - mean)^T, the
Gram matrix of the centred rows), in double precision. Two of them are merged by the update of
Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for computing sample
variances"), which loses no digits however large the mean is; the components are the eigenvectors
of the scatter, as in any textbook.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage import JobError


@dataclass(frozen=True)
class Moments:
    """Count, mean [width] and scatter [width, width] of rows; only its diagonal [width] when thin.

    The diagonal alone is all that is needed where another method finds the components.
    """

    rows: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, thin: bool = False) -> Moments:
        """Moments of a block of rows [n, width], n >= 1."""
        values = features.astype(np.float64)
        mean = values.mean(axis=0)
        values -= mean
        scatter = (values**2).sum(axis=0) if thin else values.T @ values
        return cls(len(values), mean, scatter)

    def merged(self, other: Moments) -> Moments:
        """Moments of the rows of both."""
        rows = self.rows + other.rows
        apart = other.mean - self.mean
        squares = apart**2 if self.scatter.ndim == 1 else np.outer(apart, apart)
        squares *= self.rows * other.rows / rows
        squares += self.scatter
        squares += other.scatter
        return Moments(rows, self.mean + apart * (other.rows / rows), squares)

    def packed(self) -> bytes:
        sink = io.BytesIO()
        np.savez(sink, rows=self.rows, mean=self.mean, scatter=self.scatter)
        return sink.getvalue()

    @classmethod
    def unpacked(cls, content: bytes) -> Moments:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return cls(int(found["rows"]), found["mean"], found["scatter"])


@dataclass(frozen=True)
class Model:
    """A fitted PCA.

    Attributes:
        network: identity of the network whose features it fits.
        rows: images it was fitted on.
        mean: [width].
        components: [k, width], rows of length 1; the largest entry by size of each is positive.
        variance: [k], of the components, with rows - 1 as the divisor.
        ratio: [k], their shares of the whole variance.
    """

    network: str
    method: str
    rows: int
    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    ratio: np.ndarray

    @property
    def k(self) -> int:
        return len(self.components)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Components of rows: float32 [n, width] -> float32 [n, k]."""
        return ((features - self.mean) @ self.components.T).astype(np.float32)


def parse_components(text: str) -> int | float:
    """ "100" is a number of components, "0.95" the share of the variance they must hold.

    Raises:
        JobError: neither.
    """
    try:
        value: int | float = float(text) if "." in text else int(text)
    except ValueError:
        value = 0
    if value <= 0 or (isinstance(value, float) and value >= 1):
        raise JobError(
            f"--components {text} is neither a number of components (1, 2, ...) nor a share of"
            " the variance between 0 and 1, such as 0.95"
        )
    return value


def check_components(wanted: int | float, rows: int, width: int, what: str = "images") -> None:
    """Whether so many rows of features can have the components wanted.

    Args:
        what: what the rows are, for the message.

    Raises:
        JobError: they cannot.
    """
    if rows < 2:
        apply = "; --apply projects a single one with the components of an earlier run"
        raise JobError(
            f"components need at least two {what}, and {rows} has features"
            f"{apply if what == 'images' else ''}"
        )
    most = min(rows - 1, width)
    if isinstance(wanted, int) and wanted > most:
        raise JobError(
            f"--components {wanted} is more than {rows:,} {what} of {width:,} features have:"
            f" choose at most {most:,}, or a share such as 0.95"
        )


def fit(moments: Moments, wanted: int | float, network: str, what: str = "images") -> Model:
    """Components of the gathered rows.

    Args:
        network: identity of what made the features.
        what: what the rows are, for the messages.

    Raises:
        JobError: there are not so many, or all rows are equal.
    """
    check_components(wanted, moments.rows, len(moments.mean), what)
    _check_spread(moments, np.trace(moments.scatter), what)
    values, vectors = np.linalg.eigh(moments.scatter)
    values, vectors = np.clip(values[::-1], 0, None), vectors.T[::-1]
    return _model(moments, wanted, network, "one-pass", values, vectors, values.sum())


def adopt(
    moments: Moments, wanted: int | float, network: str, vectors: np.ndarray, ratio: np.ndarray
) -> Model:
    """A model of components [k, width] that Spark ML found, with its shares of the variance."""
    total = float(moments.scatter.sum())
    _check_spread(moments, total)
    return _model(moments, wanted, network, "spark-ml", ratio * total, vectors, total)


def _check_spread(moments: Moments, total: float, what: str = "images") -> None:
    rounding = 1e-24 * moments.rows * float(moments.mean @ moments.mean)
    if not total > rounding:
        raise JobError(
            f"all {moments.rows:,} {what} have the same features: there are no components"
        )


def _model(
    moments: Moments, wanted: int | float, network: str, method: str,
    values: np.ndarray, vectors: np.ndarray, total: float,
) -> Model:  # fmt: skip
    ratio = values / total
    k = wanted if isinstance(wanted, int) else count_for(ratio, wanted)
    return Model(
        network, method, moments.rows, moments.mean, signed(vectors[:k]),
        values[:k] / (moments.rows - 1), ratio[:k],
    )  # fmt: skip


def count_for(ratio: np.ndarray, share: float) -> int:
    """How many of the first components hold a share of the variance."""
    return min(int(np.searchsorted(np.cumsum(ratio), share)) + 1, len(ratio))


def signed(vectors: np.ndarray) -> np.ndarray:
    """Rows turned so that the entry that is largest by size is positive."""
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    return np.ascontiguousarray(vectors * signs[:, None])


def facts_of(model: Model) -> dict[str, Any]:
    """What a run says about its components."""
    return {
        "components": model.k, "explained_variance_ratio": [float(r) for r in model.ratio],
        "pca_method": model.method, "pca_rows": model.rows,
    }  # fmt: skip
