"""A loaded model: from records to answers, without a data frame."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from millrace import explain, transformation
from millrace.projection import FILE, Projection, network_of_model

# The scripts that travel with every model find their neighbours by their plain names.
sys.modules.setdefault("transformation", transformation)
import algorithms  # noqa: E402
import calibration  # noqa: E402
import contributions  # noqa: E402

Record = Mapping[str, Any]
LARGEST = float(np.finfo("float32").max)


class SelfTestFailed(ValueError):
    """A model does not predict as it must; the message says what it did."""


class OutOfRange(ValueError):
    """A record's numbers, or what is made of them, are too large to compute with."""


@dataclass(frozen=True)
class Source:
    """Where a model came from.

    Attributes:
        version: in the registry.
        content: hash of its files.
        origin: `registry` or `image`.
    """

    version: str
    content: str
    origin: str


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One model with its card, its transformation and its estimator. Never changes.

    Attributes:
        card: see `millrace.card`.
        facts: model.json.
        state: transformation.json.
        eyes: of a model of images, its network and what makes principal components of features.
    """

    card: Mapping[str, Any]
    facts: Mapping[str, Any]
    state: Mapping[str, Any]
    estimator: Any
    source: Source
    seconds: float = 0.0
    eyes: tuple[Mapping[str, Any], Projection] | None = None
    _inputs: tuple[tuple[str, bool, Mapping[str, str | None]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        fields = {each["name"]: each for each in self.card["fields"]}
        inputs = tuple(
            (item["name"], item["type"] == "number", _labels(fields[item["name"]]))
            for item in self.state["inputs"]
        )
        object.__setattr__(self, "_inputs", inputs)

    @classmethod
    def load(cls, bundle: Path, card: Mapping[str, Any], source: Source) -> ServedModel:
        """Read a model's folder and test it.

        Raises:
            SelfTestFailed: it does not predict as it must.
            MillraceError, OSError, ValueError, KeyError: a file is absent or not what it should be.
        """
        started = time.monotonic()
        facts = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
        state = json.loads((bundle / "transformation.json").read_text(encoding="utf-8"))
        eyes = None
        if (bundle / FILE).is_file():
            eyes = (network_of_model(bundle), Projection.of_model(bundle))
        estimator = algorithms.load(facts["algorithm"], bundle)
        model = cls(card, facts, state, estimator, source, eyes=eyes)
        model.test()
        object.__setattr__(model, "seconds", round(time.monotonic() - started, 3))
        return model

    @property
    def classes(self) -> list[str]:
        """The classes of a model of several; else the negative and the positive one."""
        if several := self.facts.get("classes"):
            return list(several)
        return [self.card["target"]["negative"], self.card["target"]["positive"]]

    def matrix(self, records: Sequence[Record]) -> np.ndarray:
        """What the estimator sees of records, float64 of shape (rows, features).

        Raises:
            OutOfRange: a value is beyond single precision, in which trees compare.
        """
        columns = {
            name: np.array([_number(record.get(name)) for record in records])
            if is_number
            else _texts([labels.get(record.get(name), record.get(name)) for record in records])  # type: ignore[arg-type]
            for name, is_number, labels in self._inputs
        }
        matrix = transformation.apply(self.state, columns)
        if (np.abs(matrix) > LARGEST).any():
            row, column = np.argwhere(np.abs(matrix) > LARGEST)[0]
            name = transformation.feature_names(self.state)[column]
            raise OutOfRange(f"record {row + 1}: {name} is larger than {LARGEST:.1e}")
        return matrix

    def probability(self, matrix: np.ndarray) -> np.ndarray:
        """Of the positive class, shape (rows,); of several, of each: (rows, classes)."""
        raw = algorithms.predict(self.facts["algorithm"], self.estimator, matrix)
        return np.asarray(calibration.apply(self.facts.get("calibration"), raw))

    def answer(self, records: Sequence[Record], *, explained: bool = False) -> list[dict[str, Any]]:
        """One answer a record, as the service sends it.

        Args:
            explained: with the contribution of every feature to the raw score.
        """
        matrix = self.matrix(records)
        probability = self.probability(matrix)
        answers = [
            self._answer(record, row) for record, row in zip(records, probability, strict=True)
        ]
        if explained:
            for each, reasons in zip(answers, self.reasons(matrix, probability), strict=True):
                each.update(reasons)
        return answers

    def _answer(self, record: Record, row: Any) -> dict[str, Any]:
        missing = [name for name, _, labels in self._inputs
                   if labels.get(record.get(name), record.get(name)) is None]  # type: ignore[arg-type]  # fmt: skip
        said: dict[str, Any]
        if "classes" in self.facts:
            values = dict(zip(self.classes, row.tolist(), strict=True))
            best = max(values, key=values.__getitem__)
            said = {"class": best, "probability": values[best], "probabilities": values}
        else:
            threshold, value = self.facts["threshold"], float(row)
            said = {"class": self.classes[value >= threshold], "probability": value,
                    "threshold": threshold}  # fmt: skip
        return {**said, "version": self.source.version, "missing": missing}

    def reasons(self, matrix: np.ndarray, probability: np.ndarray) -> list[dict[str, Any]]:
        """The expected raw score and what each feature adds to it, largest first.

        Raises:
            contributions.Unexplained: they do not add up to the raw scores.
        """
        found = contributions.contributions(self.facts["algorithm"], self.estimator, matrix)
        names = tuple(transformation.feature_names(self.state))
        explained = explain.grouped(
            explain.Explained.of(
                {"names": np.array(names), "inputs": matrix, "values": found.values,
                 "expected": found.expected, "raw": found.raw, "probability": probability}
            ), self.state,
        )  # fmt: skip
        return [
            {
                "expected": float(explained.expected[row]),
                "raw": float(explained.raw[row]),
                "contributions": [
                    {"feature": explained.names[at], "contribution": float(values[at])}
                    for at in np.argsort(-np.abs(values), kind="stable")
                ],
            }
            for row, values in enumerate(explained.values)
        ]

    def test(self) -> None:
        """Predict the card's example and a record of which nothing is known, alone and together.

        Raises:
            SelfTestFailed: a probability is none, or a row is not answered alike both ways.
        """
        records: list[Record] = [
            {each["name"]: each["example"] for each in self.card["fields"]},
            {},
        ]
        together = self.probability(self.matrix(records))
        alone = [self.probability(self.matrix([record]))[0] for record in records]
        if not (np.isfinite(together).all() and (together >= 0).all() and (together <= 1).all()):
            raise SelfTestFailed(f"it answers {together.tolist()}, which are no probabilities")
        if together.ndim == 2 and together.shape[1] != len(self.classes):
            raise SelfTestFailed(f"it names {together.shape[1]} of {len(self.classes)} classes")
        if not np.array_equal(together, np.array(alone)):
            raise SelfTestFailed("it answers rows differently alone and together")


def _labels(field: Mapping[str, Any]) -> dict[str, str | None]:
    """How text is spelled in the data: other spellings, and marks of a missing value."""
    spelled = {text: label for label, texts in field.get("spellings", {}).items() for text in texts}
    return {**spelled, **dict.fromkeys(["", *field.get("missing", [])])}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _texts(values: list[str | None]) -> np.ndarray:
    found = np.empty(len(values), dtype="object")
    found[:] = values
    return found
