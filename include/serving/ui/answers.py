"""Answers as HTML: a verdict, a gauge, bars, and what could not be answered. Pure.

A verdict is told by a word, a sign and a colour, never by the colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from millrace.pages import render
from serving.ui.changes import Change

Answer = Mapping[str, Any]
SIGNS = {"good": "\N{HEAVY CHECK MARK}", "bad": "\N{WARNING SIGN}"}


def percent(share: float) -> str:
    """A share as per cent, for HTML."""
    return escape(render.percent(share))


def is_positive(answer: Answer) -> bool:
    """Whether the probability reaches the threshold."""
    return bool(answer["probability"] >= answer["threshold"])


def verdict(page: Mapping[str, Any], answer: Answer) -> str:
    """The verdict in one word, with its probability and threshold."""
    side = "positive" if is_positive(answer) else "negative"
    tone = "good" if page["good"] == side else "bad"
    return (
        f'<div class="verdict {tone}"><p class="word"><span aria-hidden="true">{SIGNS[tone]}</span>'
        f" {escape(page[side])}</p>"
        f"<p>Probability of &ldquo;{escape(page['positive'])}&rdquo;:"
        f" <strong>{percent(answer['probability'])}</strong>;"
        f" it is the verdict from {percent(answer['threshold'])} on.</p>"
        f"{_smallprint(answer)}</div>"
    )


def gauge(page: Mapping[str, Any], answer: Answer) -> str:
    """The verdict below a half circle from 0 to 100 % with the threshold and a needle."""
    value, threshold = answer["probability"], answer["threshold"]
    low, high = ("good", "bad") if page["good"] == "negative" else ("bad", "good")
    said = f"Gauge: {percent(value)}; the threshold is {percent(threshold)}."
    tip, tick = _at(value, 78), [_at(threshold, radius) for radius in (82, 118)]
    return (
        f'<svg class="gauge" viewBox="0 0 260 150" role="img" aria-label="{said}">'
        f'<path class="{low}" d="{_arc(0, threshold)}"/>'
        f'<path class="{high}" d="{_arc(threshold, 1)}"/>'
        f'<line class="tick" x1="{tick[0][0]}" y1="{tick[0][1]}" x2="{tick[1][0]}"'
        f' y2="{tick[1][1]}"/>'
        f'<line class="needle" x1="130" y1="130" x2="{tip[0]}" y2="{tip[1]}"/>'
        f'<circle cx="130" cy="130" r="7"/>'
        f'<text x="30" y="147">0 %</text><text x="230" y="147">100 %</text></svg>'
        f"{verdict(page, answer)}"
    )


def ruler(answer: Answer) -> str:
    """The probability against the threshold on a straight scale."""
    value, threshold = answer["probability"], answer["threshold"]
    end = min(1.0, 1.25 * max(value, threshold, 0.05))
    filled, mark = 400 * value / end, 400 * threshold / end
    said = f"Score {percent(value)} on a scale to {percent(end)}, threshold {percent(threshold)}."
    return (
        f'<svg class="ruler" viewBox="0 0 400 46" role="img" aria-label="{said}">'
        '<rect x="0" y="14" width="400" height="14" rx="7"/>'
        f'<rect class="filled" x="0" y="14" width="{filled:.1f}" height="14" rx="7"/>'
        f'<line class="tick" x1="{mark:.1f}" y1="6" x2="{mark:.1f}" y2="34"/>'
        f'<text x="{min(360.0, max(40.0, mark)):.1f}" y="45">threshold</text></svg>'
    )


def bars(answer: Answer, most: int = 3) -> str:
    """The most probable classes, each with a bar."""
    ranked = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])[:most]
    rows = "".join(
        f'<li><span>{escape(name)}</span><span class="bar" aria-hidden="true">'
        f'<i style="width:{100 * value:.1f}%"></i></span><strong>{percent(value)}</strong></li>'
        for name, value in ranked
    )
    return (
        f'<div class="verdict plainly"><p class="word">{escape(ranked[0][0])}</p>'
        f'<ol class="bars">{rows}</ol>{_smallprint(answer)}</div>'
    )


def refusal(complaints: Sequence[str]) -> str:
    """What has to be mended before there is an answer."""
    listed = "".join(f"<li>{escape(text)}</li>" for text in complaints)
    return (
        '<div class="verdict refused"><p class="word">'
        f'<span aria-hidden="true">\N{PENCIL}</span> Please mend this</p><ul>{listed}</ul></div>'
    )


def turned(
    page: Mapping[str, Any], answer: Answer, changes: Sequence[Change], names: Mapping[str, str]
) -> str:
    """What would turn the verdict, or that nothing alone would.

    Args:
        names: what the inputs are called.
    """
    other = page["negative" if is_positive(answer) else "positive"]
    if not changes:
        return sentence(
            f"None of these alone would make it “{other}”: {', '.join(names.values())}."
        )
    rows = "".join(
        f"<li><strong>{escape(names[each.name])}</strong>: from {_value(each.present)} to"
        f" {_value(each.wanted)} (probability {100 * each.probability:.2f} %)</li>"
        for each in changes
    )
    left = [name for key, name in names.items() if key not in {each.name for each in changes}]
    return (
        f"<p>Each of these alone would make it &ldquo;{escape(other)}&rdquo;, the smallest change"
        f" first:</p><ul>{rows}</ul>"
        + (sentence(f"These alone would not: {', '.join(left)}.") if left else "")
        + sentence(
            "Tried over the values seen in training, everything else as it is. It says what the"
            " model looks at, not what causes what."
        )
    )


def sentence(text: str) -> str:
    """A plain sentence."""
    return f'<p class="note">{escape(text)}</p>'


def _value(value: Any) -> str:
    return escape(value) if isinstance(value, str) else f"{float(f'{value:.6g}'):,.10g}"


def _smallprint(answer: Answer) -> str:
    missing = answer["missing"]
    some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    without = f" It had to do without {escape(some)}." if missing else ""
    return f'<p class="note">Version {escape(str(answer["version"]))} of the model.{without}</p>'


def _at(share: float, radius: float) -> tuple[str, str]:
    angle = math.pi * (1 - share)
    return f"{130 + radius * math.cos(angle):.1f}", f"{130 - radius * math.sin(angle):.1f}"


def _arc(start: float, end: float) -> str:
    (x, y), (to_x, to_y) = _at(start, 100), _at(end, 100)
    return f"M {x} {y} A 100 100 0 0 1 {to_x} {to_y}"
