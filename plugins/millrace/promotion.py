"""Whether a new model becomes the champion. Pure: figures in, verdict and reasons out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.datasets import Gate
from millrace.metrics import at_least_as_good


@dataclass(frozen=True)
class Verdict:
    """The decision and what it rests on, one sentence a reason."""

    promote: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def check_gates(
    gates: Mapping[str, Gate], metrics: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """Each gate with its value and whether it holds; an undefined value never does."""
    checked = []
    for metric, gate in gates.items():
        value = metrics[metric]
        low, high = gate.minimum, gate.maximum
        holds = (
            value is not None and (low is None or value >= low) and (high is None or value <= high)
        )
        checked.append(
            {"metric": metric, "minimum": low, "maximum": high, "value": value, "holds": holds}
        )
    return checked


def decide(
    gates: list[dict[str, Any]],
    metric: str,
    value: float,
    champion_value: float | None,
    *,
    asked: bool,
    rolled_back: bool,
) -> Verdict:
    """Judge a model.

    Args:
        gates: result of `check_gates`.
        metric: the spec's metric; `value` is the model's on the test rows.
        champion_value: the present champion's on the same rows, None where there is no champion.
        asked: whether this run may move the champion.
        rolled_back: whether this very model was taken out of service before.
    """
    broken = [
        f"gate {gate['metric']} {_bound(gate)} does not hold: {_shown(gate['value'])}"
        for gate in gates
        if not gate["holds"]
    ]
    if champion_value is not None and not at_least_as_good(metric, value, champion_value):
        broken.append(
            f"{metric} {value:.4f} is worse than the champion's {champion_value:.4f}"
            " on the same rows"
        )
    if rolled_back:
        broken.append("this model was rolled back; run with promote=yes to put it back")
    if not asked:
        broken.append(
            "this run was asked not to move the champion (a backfill does so with promote=yes only)"
        )
    if broken:
        return Verdict(False, tuple(broken))
    held = f"all {len(gates)} gates hold" if gates else "the spec sets no gates"
    if champion_value is None:
        return Verdict(True, (held, "there is no champion yet"))
    return Verdict(
        True,
        (
            held,
            f"{metric} {value:.4f} against the champion's {champion_value:.4f} on the same rows",
        ),
    )


def _bound(gate: Mapping[str, Any]) -> str:
    return f">= {gate['minimum']:g}" if gate["minimum"] is not None else f"<= {gate['maximum']:g}"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
