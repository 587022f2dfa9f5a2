"""How models are trained, chosen and judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from millrace.datasets.parts import Part, wrong

Algorithm = Literal["xgboost", "lightgbm", "logistic_regression", "decision_tree", "random_forest"]
BOOSTED = ("xgboost", "lightgbm")
PATIENCE = "early_stopping_rounds"


class Split(Part):
    """The seeded, stratified holdout."""

    test: float = Field(0.2, gt=0, lt=1)
    seed: int = 0


class Candidate(Part):
    """One algorithm with its hyperparameters, in the algorithm's own names."""

    algorithm: Algorithm
    hyperparameters: dict[str, int | float | str | bool] = {}
    balance: Literal["none", "weights"] = "none"
    calibrate: Literal["none", "isotonic", "sigmoid"] = "none"

    @model_validator(mode="after")
    def _stops_early(self) -> Candidate:
        field = ("hyperparameters",)
        if alias := sorted({"early_stopping", "early_stopping_round", "n_iter_no_change"}
                           & set(self.hyperparameters)):  # fmt: skip
            raise wrong(repr(alias[0]), f"write `{PATIENCE}:`", field)
        patience = self.hyperparameters.get(PATIENCE)
        if patience is None:
            return self
        if self.algorithm not in BOOSTED:
            raise wrong(
                f"`{PATIENCE}` with {self.algorithm}",
                f"only {' and '.join(BOOSTED)} stop early: remove it",
                field,
            )
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
            raise wrong(
                f"`{PATIENCE}: {patience}`", "write a whole number of rounds such as 100", field
            )
        return self


class Cost(Part):
    """What the two kinds of wrong decision cost, in one unit; a right one costs nothing."""

    false_negative: float = Field(gt=0, allow_inf_nan=False)
    false_positive: float = Field(gt=0, allow_inf_nan=False)


class Decision(Part):
    """The decision threshold: fixed, or chosen on out-of-fold predictions of the train split."""

    threshold: float | None = Field(None, gt=0, lt=1)
    maximise: Literal["accuracy", "f1"] | None = None
    cost: Cost | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Decision:
        rules = self.model_dump(exclude_none=True)
        if len(rules) != 1:
            raise wrong(
                rules,
                "write either `threshold: 0.5` or `maximise: f1` or"
                " `cost: {false_negative: 10, false_positive: 1}`",
            )
        return self

    def costs(self) -> dict[str, float] | None:
        """The cost of each kind of wrong decision, where the spec names them."""
        return self.cost.model_dump() if self.cost else None


class Gate(Part):
    """A bound a metric must keep on the test split before the champion moves."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Gate:
        if (self.minimum is None) == (self.maximum is None):
            raise wrong(self.model_dump(exclude_none=True), "write either `minimum:` or `maximum:`")
        return self
