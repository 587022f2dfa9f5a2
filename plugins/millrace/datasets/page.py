"""The section of a spec that says how the model service shows the model to people."""

from __future__ import annotations

from typing import Literal

from millrace.datasets.parts import Part

PageKind = Literal["verdict", "gauge", "dashboard"]


class Page(Part):
    """The section `page`.

    Attributes:
        kind: a verdict in one word, a gauge of the probability, or the dashboard of one client.
        title: headline of the page; empty: the name of the data set.
        positive: what to say of a row that is positive; empty: the target and its label.
        negative: the same of a negative one.
        good: which of the two is the one that people hope for.
        changeable: inputs that a person can change; the page searches among them for the smallest
            change that would turn the verdict.
    """

    kind: PageKind = "verdict"
    title: str = ""
    positive: str = ""
    negative: str = ""
    good: Literal["positive", "negative"] = "negative"
    changeable: list[str] = []
