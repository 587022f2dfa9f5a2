"""The section of a spec that says how its champion scores."""

from __future__ import annotations

from pydantic import Field, field_validator

from millrace.datasets.parts import Part, wrong


class Scoring(Part):
    """The section `scoring`.

    Attributes:
        components: how many principal components of the standardised features, or the share of
            their variance that these hold; 0 for none.
        reasons: how many reasons each score is told with.
    """

    components: int | float = 50
    reasons: int = Field(5, ge=0, le=50)

    @field_validator("components")
    @classmethod
    def _count_or_share(cls, value: int | float) -> int | float:
        share = isinstance(value, float) and 0 < value < 1
        if not share and not (isinstance(value, int) and value >= 0):
            raise wrong(value, "write a number of components, 0 for none, or a share of the"
                        " variance between 0 and 1, such as 0.95")  # fmt: skip
        return value
