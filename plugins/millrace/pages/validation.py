"""What the validation of the raw files found: a page, and a plain-text table for the task log."""

from typing import Any

from millrace.pages.render import percent, plural, render

Report = dict[str, Any]

ORDER = {"error": 0, "row": 1, "note": 2}
WIDTHS = {
    "severity": 8,
    "file": 28,
    "row": 9,
    "column": 20,
    "check": 20,
    "found": 60,
    "remedy": 120,
}


def validation_page(report: Report) -> str:
    """The page of one validation: the verdict, the counts and the table of problems."""
    return render(
        "validation.html.j2",
        report=report,
        problems=_ranked(report),
        more=_more(report, len(report["problems"])),
        quarantined_share=_quarantined_share(report),
    )


def validation_table(report: Report, limit: int = 50) -> str:
    """The same as aligned text: a verdict, at most `limit` problems, and how many more there are.

    Long values are cut and unprintable characters replaced, so that one problem is one line.
    """
    problems = _ranked(report)[:limit]
    lines = [_verdict(report)]
    if not problems and not _more(report, 0):
        return "\n".join([*lines, "No problems found."])
    rows = [{name: name for name in WIDTHS}, *problems]
    cells = [[_cut(row[name], width) for name, width in WIDTHS.items()] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(WIDTHS))]
    cells.insert(1, ["-" * width for width in widths])
    lines += [_aligned(row, widths) for row in cells]
    if more := _more(report, len(problems)):
        lines.append(f"... and {more:,} more")
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    share = _quarantined_share(report)
    return (
        f"{_cut(report['dataset'], 60)} {_cut(report['partition'], 30)}: "
        f"{'PASSED' if report['passed'] else 'FAILED'}, "
        f"{plural(report['rows_read'], 'row')} read, {report['rows_clean']:,} clean, "
        f"{report['rows_duplicate']:,} duplicate, {report['rows_quarantined']:,} quarantined "
        f"({percent(share)}, tolerated {percent(report['tolerance'])})"
    )


def _quarantined_share(report: Report) -> float:
    return report["rows_quarantined"] / max(1, report["rows_read"])


def _ranked(report: Report) -> list[dict[str, Any]]:
    """Errors first, then rows, then notes; within each in the order found."""
    return sorted(report["problems"], key=lambda p: ORDER.get(p["severity"], len(ORDER)))


def _more(report: Report, shown: int) -> int:
    return max(0, max(report["problem_count"], len(report["problems"])) - shown)


def _aligned(cells: list[str], widths: list[int]) -> str:
    number = list(WIDTHS).index("row")
    aligned = (
        cell.rjust(width) if index == number else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()


def _cut(value: Any, width: int) -> str:
    text = "" if value is None else str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= width else text[: width - 1] + "…"
