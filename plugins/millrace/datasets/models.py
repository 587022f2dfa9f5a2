"""How models are trained, chosen and judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from millrace.datasets.parts import Part, wrong

Algorithm = Literal["xgboost", "lightgbm", "logistic_regression", "decision_tree", "random_forest"]


class Split(Part):
    """The seeded, stratified holdout."""

    test: float = Field(0.2, gt=0, lt=1)
    seed: int = 0


class Candidate(Part):
    """One algorithm with its hyperparameters, in the algorithm's own names."""

    algorithm: Algorithm
    hyperparameters: dict[str, int | float | str | bool] = {}


class Decision(Part):
    """The decision threshold: fixed, or chosen on out-of-fold predictions of the train split."""

    threshold: float | None = Field(None, gt=0, lt=1)
    maximise: Literal["accuracy", "f1"] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Decision:
        if (self.threshold is None) == (self.maximise is None):
            raise wrong(
                self.model_dump(exclude_none=True),
                "write either `threshold: 0.5` or `maximise: f1`",
            )
        return self


class Gate(Part):
    """A bound a metric must keep on the test split before the champion moves."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Gate:
        if (self.minimum is None) == (self.maximum is None):
            raise wrong(self.model_dump(exclude_none=True), "write either `minimum:` or `maximum:`")
        return self
