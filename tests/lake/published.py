"""A step that publishes two files, for the tests of publishing and of reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millrace.lake import Attempt, Place, Published, Store, publish

PLACE = Place("processed", "club", "2026-03-01", "validated")
Build = Callable[[Attempt], None]


def writes(text: str = "rows", calls: list[int] | None = None) -> Build:
    """A step that leaves two files and a figure."""

    def build(attempt: Attempt) -> None:
        if calls is not None:
            calls.append(1)
        attempt.write("deep/rows.csv", text)
        attempt.write_json("facts.json", {"rows": len(text)})
        attempt.facts["rows"] = len(text)

    return build


def attempts(store: Store) -> set[str]:
    keys = (entry.key.removeprefix(f"{PLACE}/") for entry in store.list(str(PLACE)))
    return {key.split("/")[0] for key in keys if key.startswith("attempt=")}


def once(store: Store, text: str = "rows", depends_on: Any = 1, **options: Any) -> Published:
    return publish(store, PLACE, depends_on={"on": depends_on}, build=writes(text), **options)
