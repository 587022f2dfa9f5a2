"""Publishing a partition's outputs again without the subject's rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from millrace.lake import Place, read_published
from millrace.lake.manifest import Published, read_version
from millrace.lake.republish import Staged, publish_staged, remove_attempts, stage, withdraw
from millrace.privacy import records
from millrace.privacy.rows import TRAIN, Rows, drop_from_file, table_of_file, train_position
from millrace.privacy.subject import Subject

Note = Callable[..., None]


def sweep_outputs(note: Note, rows: Rows, places: list[str], scratch: Path) -> None:
    """Rewrite a partition's outputs: what was made last first, and attempts nobody published.

    Args:
        note: told every change before it is made: place, rows, and what is known of it.
        scratch: an empty folder for rewritten files.
    """
    store, staged, stale = rows.store, list[tuple[Staged, dict[str, int]]](), dict[str, str]()
    for number, place in enumerate(sorted(places, key=_depth)):
        present, version = read_version(store, Place(*place.split("/", 3)))
        if present is None or version is None:
            continue
        made_of = {each.before.manifest.content for each, _ in staged}
        touched = made_of & {*present.manifest.inputs.values()}
        if place.startswith("reports/"):
            if touched:
                stale[place] = "it explains rows that may be the person's"
            continue
        try:
            gone = _rewritten(rows, present, scratch / str(number))
        except _Outdated:
            stale[place] = "it was not made of what is published now"
            continue
        if gone or touched:
            changed = {name: scratch / str(number) / name for name in gone}
            facts = _facts_after(present.facts, gone, rows.subject)
            staged.append((stage(present, version, changed, facts), gone))
    contents = {
        each.before.manifest.content: each.manifest.content for each, _ in staged
    }  # fmt: skip
    for place, reason in stale.items():
        note(place, 0, withdrawn=reason)
        withdraw(store, place)
    for each, gone in reversed(staged):
        note(
            each.place, sum(gone.values()), files=gone,
            before=each.before.manifest.content, after=each.manifest.content,
        )  # fmt: skip
        publish_staged(each, contents)
    for place in places:
        now = read_published(store, Place(*place.split("/", 3)))
        remove_attempts(store, place, keep=now.manifest.attempt if now else "")


def _depth(place: str) -> int:
    """How late in the pipeline an output is made."""
    area, _, _, *name = place.split("/", 3)
    order = {"features": 1, "processed": 2, "predictions": 3, "reports": 4}
    return 0 if area == "processed" and name else order[area]


class _Outdated(Exception):
    """An output was made of other rows than those that are published now."""


def _rewritten(rows: Rows, present: Published, folder: Path) -> dict[str, int]:
    """Write the files that hold the subject's rows without them; rows removed by file."""
    gone: dict[str, int] = {}
    for name in present.manifest.files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if removed := drop_from_file(rows, present, name, target):
            gone[name] = removed
        else:
            target.unlink(missing_ok=True)
    if TRAIN in present.manifest.files and (removed := _drop_from_train(rows, present, folder)):
        gone[TRAIN] = removed
    return gone


def _drop_from_train(rows: Rows, processed: Published, folder: Path) -> int:
    """Write the train channel without the subject's line.

    Raises:
        _Outdated: the line cannot be told, as the channel is older than its source.
    """
    if rows.subject.pseudonym[:16] in processed.facts.get("erased", []):
        return 0
    place = processed.place.split("/")
    choices = (("processed", "validated"), ("features", ""))
    published = [
        read_published(rows.store, Place(area, place[1], place[2], name)) for area, name in choices
    ]
    inputs = processed.manifest.inputs.values()
    source = next((each for each in published if each and each.manifest.content in inputs), None)
    if source is None:
        raise _Outdated
    try:
        position = train_position(rows, processed, source)
    except ValueError:
        raise _Outdated from None
    if position is None:
        return 0
    return records.drop_records(
        processed.path(TRAIN), folder / TRAIN, lambda number, _: number == position + 1
    )


def _facts_after(facts: dict[str, Any], gone: dict[str, int], subject: Subject) -> dict[str, Any]:
    """The figures of an output without the removed rows, and whose removal it has seen."""
    rows = facts.get("rows")
    if isinstance(rows, int):
        # A person's row may stand in several folders, as a score and as its components.
        taken_from = dict[str, int]()
        for name, count in gone.items():
            folder = name.split("/")[0]
            taken_from[folder] = taken_from.get(folder, 0) + count
        rows -= max(
            (count for name, count in taken_from.items() if not name.startswith("quarantine")),
            default=0,
        )
    elif isinstance(rows, dict):
        taken = {
            "train": gone.get(TRAIN, 0), "test": gone.get("test/test.csv", 0),
            **{table_of_file(name): count for name, count in gone.items()
               if name.endswith(".parquet")},
        }  # fmt: skip
        rows = {name: count - taken.get(name, 0) for name, count in rows.items()}
    seen = {*facts.get("erased", []), subject.pseudonym[:16]}
    return {**facts, **({} if rows is None else {"rows": rows}), "erased": sorted(seen)}
