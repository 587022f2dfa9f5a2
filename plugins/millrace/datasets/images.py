"""The spec of a data set of images, a file with `kind: images`; see docs/spec.md."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from millrace.datasets.columns import inside_the_partition
from millrace.datasets.drifts import Watch
from millrace.datasets.models import Gate
from millrace.datasets.parts import Part, wrong
from millrace.datasets.pipeline import PipelineSpec
from millrace.datasets.served import Deploy
from millrace.metrics import CLASS_METRICS

ClassAlgorithm = Literal["multinomial_logistic_regression"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
Share = Annotated[float, Field(gt=0, lt=1)]


class ImageFiles(Part):
    """Which files of a partition are images, and how many of them may be unusable."""

    files: str = "*/*.jpg"
    ready: str | None = None
    tolerance: float = Field(0.0, ge=0, le=1)

    @field_validator("files", "ready")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        return inside_the_partition(value)

    @field_validator("files")
    @classmethod
    def _in_folders(cls, value: str) -> str:
        if "/" not in value:
            raise wrong(value, "name the folder too, as in */*.jpg: it is the image's label")
        return value


class ViewSplit(Part):
    """The holdout: an arc of each series of views, or single images where there are no series."""

    test: float = Field(0.2, gt=0, lt=1)
    seed: int = 0
    order: str | None = None
    gap: float = Field(0.0, ge=0, lt=0.5)

    @field_validator("order")
    @classmethod
    def _one_number(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise wrong(value, f"write a regular expression Python can compile ({error})") from None
        if groups != 1:
            raise wrong(value, f"write exactly one ( ) group, for the number; this has {groups}")
        return value

    @model_validator(mode="after")
    def _leaves_something(self) -> ViewSplit:
        if self.gap and self.order is None:
            raise wrong(self.gap, "a gap needs `order:`, or remove it", ("gap",))
        if self.test + 2 * self.gap >= 1:
            raise wrong(
                f"test {self.test:g} and two gaps of {self.gap:g}",
                "leave something of the circle to train on",
                ("gap",),
            )
        return self


class ClassCandidate(Part):
    """One algorithm for several classes, with its hyperparameters in the algorithm's own names."""

    algorithm: ClassAlgorithm
    hyperparameters: dict[str, int | float | str | bool] = {}


class ImageSpec(PipelineSpec):
    """Everything Millrace knows about one data set of images."""

    JUDGED_BY: ClassVar[tuple[str, ...]] = CLASS_METRICS

    kind: Literal["images"]
    name: str
    description: str
    owner: str
    source: str = ""
    tags: list[str] = []
    schedule: str | None = "0 0 * * *"
    raw: ImageFiles = ImageFiles()
    network: str = Field("mobilenet_v2", min_length=1)
    precision: Precision = "auto"
    components: Annotated[int, Field(ge=1)] | Share = 100
    split: ViewSplit = ViewSplit()
    candidates: dict[str, ClassCandidate] = Field(min_length=1)
    metric: str = "accuracy"
    gates: dict[str, Gate] = {}
    drift: Watch | None = None
    deploy: Deploy | None = None

    @field_validator("components", mode="before")
    @classmethod
    def _number_or_share(cls, value: object) -> object:
        if isinstance(value, float):
            value = float(value)  # not as it was written
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not whole and not (isinstance(value, float) and 0 < value < 1):
            raise wrong(value, "write a number of components such as 100, or a share of the"
                        " variance between 0 and 1 such as 0.95")  # fmt: skip
        return value

    @property
    def target_column(self) -> str:
        """The column that a model predicts: the name of the folder that holds the image."""
        return "label"

    @property
    def decision(self) -> None:
        """There is no threshold: the class with the highest probability is the answer."""

    def private_columns(self) -> list[str]:
        """Columns whose values never leave the lake: an image has none."""
        return []
