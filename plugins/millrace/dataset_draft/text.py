"""Writing the drafted spec as YAML: every guess marked as one, with its reason beside it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from millrace.dataset_draft.dialect import Dialect
from millrace.dataset_draft.roles import ColumnGuess
from millrace.dataset_draft.target import TargetGuess
from millrace.datasets import Raw

PLAIN = re.compile(r"[^\W\d][\w .()/&+-]*")
WIDTH = 100
RARE = 0.1  # share of positive rows below which accuracy says little
DEFAULTS = {name: field.default for name, field in Raw.model_fields.items()}


@dataclass(frozen=True)
class Draft:
    """Everything guessed about a sample file.

    Attributes:
        tolerance: share of bad rows that the spec allows.
        longest: bytes of the longest field of the sample.
        repeated: rows that repeat an earlier one.
    """

    file: str
    rows: int
    dialect: Dialect
    decimal: str
    target: TargetGuess
    columns: tuple[ColumnGuess, ...]
    longest: int
    repeated: int
    tolerance: float = 0.01

    def with_role(self, role: str) -> list[str]:
        return [column.name for column in self.columns if column.role == role]

    def cautions(self) -> list[str]:
        """What a person should look at in this file in particular."""
        found = [column.caution for column in self.columns if column.caution]
        if not self.dialect.marked:
            found.append(
                f"encoding: no Unicode, so taken for {self.dialect.encoding}; look at names with"
                " accents"
            )
        if self.repeated:
            found.append(f"{self.repeated:,} rows repeat an earlier one; they are dropped")
        if self.target.unusable:
            found.append(f"{self.target.unusable:,} rows hold no class; they are set aside")
        if self.target.others and not self.target.named:
            found.append(f"two values each, so possible targets too: {_names(self.target.others)}")
        if min(self.target.counts) < 100:
            found.append(f"few rows of the rarer class to learn from: {min(self.target.counts):,}")
        return found


def spec_text(draft: Draft) -> str:
    """The spec of a draft."""
    return "\n".join(
        [*_head(draft), *_raw(draft), *_target(draft.target), *_columns(draft), *_tail(draft)]
    )


CHECKS = """\
All that is marked `guess:` was read off that one file; docs/spec.md explains every field.
Before the first run, check:
- target: is it what you want to predict, and is the positive class the one you look for?
- columns: is any known only after the outcome? Give it the role outcome, or the model cheats.
- columns: does any say who someone is? Give it the role personal.
- values: a label that is not listed sets its row aside. Bounds (minimum, maximum) are yours.
- description, owner, schedule and gates: write them."""


def _head(draft: Draft) -> Iterator[str]:
    yield comment(f"Drafted from {draft.file!r} ({draft.rows:,} rows) by `make new-dataset`.")
    yield from map(comment, CHECKS.splitlines())
    yield from (comment(f"- {caution}") for caution in draft.cautions())
    target, count = draft.target, len(draft.columns)
    what = f"Which rows have {target.column!r} = {target.positive!r}, from {count} columns."
    yield f"description: {scalar(what)}  # guess: say it in your words"
    yield "owner: data-science  # guess: the team that answers for it"
    yield f"source: {scalar(draft.file)}  # guess: where the data comes from, and its licence"
    yield "tags: [binary]"
    yield 'schedule: null  # by hand until the first run has worked; then for example "0 0 * * *"'
    yield ""


def _raw(draft: Draft) -> Iterator[str]:
    dialect, suffix = draft.dialect, PurePath(draft.file).suffix
    files = f"*{suffix}" if re.fullmatch(r"\.\w+", suffix) else "*"
    limit = DEFAULTS["max_field_bytes"]
    limit = 2 * draft.longest if draft.longest > limit else limit
    unicode = "nothing else fits" if dialect.marked else "it is no Unicode"
    as_needed = draft.tolerance > Draft.tolerance
    guessed = {
        "files": (files, "by the name of the sample"),
        "encoding": (dialect.encoding, unicode),
        "delimiter": (dialect.delimiter, "it splits the sample best"),
        "quote": (dialect.quote, "it stands around values"),
        "decimal": (draft.decimal, "numbers are written that way"),
        "max_field_bytes": (limit, f"the longest value has {draft.longest:,} bytes"),
        "tolerance": (
            draft.tolerance,
            "share of bad rows; the sample needs it" if as_needed else "room for a few bad rows",
        ),
    }
    yield "raw:"
    for name, (value, why) in guessed.items():
        if name == "files" or value != DEFAULTS[name]:
            yield f"  {name}: {scalar(value)}  # guess: {why}"
    yield ""


def _target(target: TargetGuess) -> Iterator[str]:
    yield "target:"
    yield f"  column: {scalar(target.column)}  # guess: {target.why}"
    why = f"{target.why_positive}; {100 * target.share:.1f} % of the rows"
    yield f"  positive: {scalar(target.positive)}  # guess: {why}"
    yield f"  negative: {scalar(target.negative)}"
    if target.spellings:
        yield f"  spellings: {_flow(target.spellings)}  # guess: the same, spelled differently"
    yield ""


def _columns(draft: Draft) -> Iterator[str]:
    yield "columns:"
    for column in draft.columns:
        name, why = scalar(column.name), comment(f"guess: {column.why}")
        line = f"  {name}: {_flow(column.fields)}"
        if len(line) <= WIDTH:
            yield f"{line}  {why}"
            continue
        yield f"  {name}:  {why}"
        for field, value in column.fields.items():
            yield from _field(field, value)
    yield ""


def _field(name: str, value: Any) -> Iterator[str]:
    line = f"    {name}: {_flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, Sequence):
        yield line
        return
    yield f"    {name}:"
    for item in value:
        yield f"      - {scalar(item)}"


def _tail(draft: Draft) -> Iterator[str]:
    target = draft.target
    rarer = min(target.share, 1 - target.share)
    yield "# features: made from columns, such as sums, ratios and bands; see docs/spec.md"
    yield ""
    yield "split: {test: 0.2, seed: 0}"
    yield ""
    yield "candidates:  # guess: one that is hard to beat, and a simple one to beat"
    yield "  xgboost:"
    yield "    algorithm: xgboost"
    yield "    hyperparameters: {max_depth: 4, eta: 0.1, num_round: 100}"
    yield "  logistic_regression:"
    yield "    algorithm: logistic_regression"
    yield "    hyperparameters: {C: 1.0, max_iter: 1000}"
    yield ""
    if rarer < RARE:
        yield f"# Only {100 * rarer:.1f} % of the rows are of the rarer class: a model that never"
        yield f"# names it has an accuracy of {1 - rarer:.3f}. Look at roc_auc, precision, recall."
        yield "decision: {maximise: f1}  # guess: at 0.5, a model of a rare class may never say yes"
    else:
        yield "decision: {threshold: 0.5}  # guess: or {maximise: f1}"
    yield "metric: roc_auc  # guess: no threshold needed, and no harm from unequal classes"
    yield "# gates:  # bounds a model must keep to become champion; set them after the first run"
    yield "#   roc_auc: {minimum: 0.75}"
    yield ""


def comment(text: str) -> str:
    """A YAML comment of one line, whatever characters a column name brings."""
    return f"# {one_line(text)}"


def one_line(text: str) -> str:
    """Text with everything that cannot be printed, line breaks too, written as an escape."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def scalar(value: Any) -> str:
    """One value as YAML: text stands bare only where YAML 1.1 and 1.2 both read it as that text."""
    if not isinstance(value, str):
        return yaml.safe_dump(value).partition("\n")[0]
    if PLAIN.fullmatch(value) and value == value.strip() and yaml.safe_load(value) == value:
        return value
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10**9).strip()


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return scalar(value)


def _names(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
