"""Pages parse, escape what comes from data, ask nothing of a network and stay small."""

import copy
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.describe import describe
from millrace.evaluate import bootstrap_intervals, confusion, score
from millrace.pages.evaluation import evaluation_page
from millrace.pages.figures import evaluation_charts
from millrace.pages.render import duration, number, percent, size
from millrace.pages.statistics import statistics_page
from millrace.pages.validation import validation_page, validation_table

VOID = {"meta", "br"}
HOSTILE = "<script>alert('x')</script>\"&<img src=x onerror=1>"


class Page(HTMLParser):
    """Checks that tags nest, and collects what a test wants to know."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def page_of(summary: dict, arrays: dict) -> str:
    """The evaluation page with its charts, the winner drawn first."""
    winner = summary["winner"]
    probability = {winner: arrays["probability"][winner], **arrays["probability"]}
    threshold = next(c["threshold"] for c in summary["candidates"] if c["candidate"] == winner)
    return evaluation_page(summary, evaluation_charts(arrays["target"], probability, threshold))


def checked(html: str) -> Page:
    """The parsed page, once it is sure to be well formed, closed to the network and small."""
    page = Page(html)
    asked = re.sub(r'xmlns(:xlink)?="[^"]+"|url\(#', "", html)  # names and parts of the page itself
    assert "http" not in asked and "url(" not in asked and "@import" not in asked
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
    links = [a for a in page.attributes if a[1].rpartition(":")[2] in ("src", "href")]
    assert all(str(a[2]).startswith("#") for a in links)
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert "nan" not in re.findall(r"[a-z]+", " ".join(str(a[2]) for a in page.attributes))
    assert len(html) < 1_500_000
    for index, tag in enumerate(page.tags):
        if tag == "thead":
            assert "th" in page.tags[index : index + 5]
    images = [a for a in page.attributes if a[1:] == ("role", "img")]
    assert len(images) <= len([a for a in page.attributes if a[1] == "aria-label"])
    return page


def evaluation(
    target: np.ndarray, probability: dict[str, np.ndarray], threshold: float = 0.5
) -> tuple[dict, dict]:
    candidates = [
        {
            "candidate": name,
            "algorithm": "xgboost",
            "hyperparameters": {"max_depth": 4},
            "threshold": threshold,
            "threshold_rule": "highest F1 out of fold",
            "metrics": score(target, p, threshold),
            "intervals": bootstrap_intervals(target, p, threshold, resamples=20),
            "confusion": confusion(target, p, threshold),
            "cross_validation": {"roc_auc": 0.875},
            "importance": [["age", 0.75], ["job", 0.25]],
            "seconds": 12.5,
        }
        for name, p in probability.items()
    ]
    summary = {
        "dataset": "bank",
        "description": "Who says yes.",
        "partition": "2024-05-01",
        "engine": "local",
        "git_commit": None,
        "created": "2024-05-01T06:00:00+00:00",
        "metric": "roc_auc",
        "rows": {"train": 100, "test": target.size},
        "positive_rate": float(target.mean()),
        "winner": candidates[0]["candidate"],
        "data_fingerprint": "abc",
        "code_fingerprint": "def",
        "candidates": candidates,
    }
    return summary, {"target": target, "probability": probability}


def drawn(rows: int, positive: float, candidates: int = 1) -> tuple[np.ndarray, dict]:
    random = np.random.default_rng(1)
    target = (random.random(rows) < positive).astype(int)
    target[:2] = 0, 1
    return target, {
        f"candidate-{i}": np.clip(target * 0.2 + random.random(rows) * 0.8, 0, 1)
        for i in range(candidates)
    }


@pytest.mark.parametrize(("rows", "positive"), [(2, 0.5), (5, 0.5), (400, 0.3), (20_000, 0.001)])
@pytest.mark.parametrize("candidates", [1, 3, 10])
def test_evaluation_page_of_every_size(rows, positive, candidates):
    summary, arrays = evaluation(*drawn(rows, positive, candidates))
    page = checked(page_of(summary, arrays))
    assert "candidate-0 wins" in page.text
    assert "No gates are set" in page.text
    assert all(name in page.text for name in arrays["probability"])


@pytest.mark.parametrize(
    "probability",
    [[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], [0, 0, 0, 0], [1e-9, 0, 2e-9, 3e-9]],
)
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_evaluation_page_of_extreme_predictions(probability, threshold):
    values = {"only": np.array(probability, dtype=float)}
    checked(page_of(*evaluation(np.array([0, 0, 1, 1]), values, threshold)))


@settings(deadline=None, max_examples=20)
@given(st.data(), st.integers(2, 30))
def test_evaluation_page_of_any_predictions(data, rows):
    target = np.arange(rows) % 2
    p = data.draw(st.lists(st.floats(0, 1), min_size=rows, max_size=rows))
    checked(page_of(*evaluation(target, {"only": np.array(p)})))


def test_gates_are_told_in_words():
    summary, arrays = evaluation(*drawn(200, 0.3, 2))
    summary["gates"] = [
        {"metric": "roc_auc", "minimum": 0.1, "value": 0.7, "holds": True},
        {"metric": "log_loss", "maximum": 0.2, "value": 0.6, "holds": False},
        {"metric": "f1", "minimum": None, "value": 0.6, "holds": True},
    ]
    text = checked(page_of(summary, arrays)).text
    assert "but 1 of 3 gates does not hold" in text
    assert "✓ holds: ROC AUC 0.7000 (≥ 0.1 required)" in text
    assert "✗ fails: Log loss 0.6000 (≤ 0.2 required)" in text
    assert "✓ holds: F1 0.6000" in text
    summary["gates"] = summary["gates"][:1]
    assert "and the gate holds" in checked(page_of(summary, arrays)).text


def test_the_table_ranks_and_says_when_the_winner_is_not_ahead():
    target = np.array([0, 0, 1, 1] * 10)
    values = {"chosen": np.array([0.1, 0.6, 0.5, 0.9] * 10), "lucky": target * 0.8 + 0.1}
    html = page_of(*evaluation(target, values))
    table = html[html.index("<h2>Candidates") : html.index("<h2>Curves")]
    assert table.index("lucky") < table.index("chosen")
    assert "lucky is ahead of the winner" in table
    bold = re.findall(r'class="n best">([\d.]+)', table)
    assert bold == ["1.0000"] * 5 + ["0.1054", "0.0100"] + ["1.0000"]  # both recall every row


def test_optional_parts_may_be_absent():
    summary, arrays = evaluation(*drawn(50, 0.3, 2))
    wanted = ("candidate", "algorithm", "threshold", "metrics", "confusion")
    summary["candidates"] = [{key: c[key] for key in wanted} for c in summary["candidates"]]
    text = checked(page_of(summary, arrays)).text
    assert "Feature importance" not in text and "defaults" in text


def test_names_from_data_are_escaped():
    target, values = drawn(60, 0.3)
    summary, arrays = evaluation(target, {HOSTILE: values["candidate-0"]})
    for key in ("dataset", "description", "partition", "engine", "git_commit", "created"):
        summary[key] = HOSTILE
    candidate = summary["candidates"][0]
    candidate["importance"] = [[HOSTILE, 1.0]]
    candidate["hyperparameters"] = {HOSTILE: HOSTILE}
    candidate["algorithm"] = candidate["threshold_rule"] = HOSTILE
    assert HOSTILE in checked(page_of(summary, arrays)).text


def test_the_summary_is_left_as_it_was():
    summary, arrays = evaluation(*drawn(60, 0.3, 2))
    before = copy.deepcopy(summary)
    first = page_of(summary, arrays)
    assert summary == before
    assert first == page_of(summary, arrays)


def test_an_unknown_winner_is_named():
    summary, _ = evaluation(*drawn(60, 0.3, 2))
    with pytest.raises(ValueError, match="'nobody' is not a candidate"):
        evaluation_page(summary | {"winner": "nobody"}, {})


def table(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "flat": 1,
            "void": np.nan,
            HOSTILE: [HOSTILE] * rows,
            "job": [f"job-{i % 30}" for i in range(rows)],
            "phone": [f"+44{i:07}" for i in range(rows)],
            "day": pd.Timestamp("2024-01-01"),
        }
    )
    frame.loc[:9, ["age", "job"]] = None
    return frame


def test_statistics_page():
    frame = table()
    html = statistics_page(
        HOSTILE, describe(frame, hidden=["phone"]), describe(frame[["age", "flat"]])
    )
    text = checked(html).text
    assert "+44" not in text and "not shown: personal data or an id" in text
    assert "Raw: numeric columns" in text and "Processed: numeric columns" in text
    assert "18 others" in text and "5.0 %" in text and HOSTILE in text
    assert "2024-01-01T00:00:00 to 2024-01-01T00:00:00" in text


def test_statistics_page_of_nothing_and_of_very_much():
    nothing = describe(pd.DataFrame())
    checked(statistics_page("empty", nothing, describe(table(0))))
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 1200))).add_prefix("feature")
    text = checked(statistics_page("wide", nothing, describe(wide))).text
    assert "Processed: 900 columns more, not listed here." in text


def report(problems: list[dict], **changes) -> dict:
    return {
        "dataset": "bank",
        "partition": "2024-05-01",
        "files": [{"name": "bank.csv", "bytes": 1_400_000, "sha256": "ab" * 32}],
        "rows_read": 1000,
        "rows_clean": 990,
        "rows_quarantined": 8,
        "rows_duplicate": 2,
        "tolerance": 0.01,
        "passed": True,
        "problems": problems,
        "problem_count": len(problems),
    } | changes


def problem(**changes) -> dict:
    return {
        "severity": "row",
        "file": "bank.csv",
        "row": 1234,
        "column": "age",
        "check": "is a number",
        "found": "'fourty'",
        "remedy": "Write a number such as 40.",
    } | changes


def test_validation_page():
    page = checked(validation_page(report([problem()])))
    assert "✓ Passed" in page.text and "0.8 %, tolerated 1.0 %" in page.text
    assert "1234" in page.text and "1.4 MB" in page.text
    failed = report(
        [problem(severity="error", row=None, column=None, found=HOSTILE, file=HOSTILE)],
        passed=False,
        problem_count=51,
        files=[],
    )
    text = checked(validation_page(failed)).text
    assert "✗ Failed" in text and "… and 50 problems more." in text and HOSTILE in text
    assert "No problems found." in checked(validation_page(report([]))).text


def test_validation_table_is_aligned_and_errors_come_first():
    problems = [problem(), problem(severity="error", row=None, column=None, check="has columns")]
    lines = validation_table(report(problems)).splitlines()
    assert lines[0] == (
        "bank 2024-05-01: PASSED, 1,000 rows read, 990 clean, 2 duplicate, 8 quarantined "
        "(0.8 %, tolerated 1.0 %)"
    )
    header, rule, first, second = lines[1:]
    assert first.startswith("error") and second.startswith("row")
    assert header.index("remedy") == first.index("Write") == second.index("Write")
    assert set(rule) == {"-", " "}


def test_validation_table_says_what_it_leaves_out():
    many = report([problem(row=i) for i in range(80)], problem_count=1234)
    assert validation_table(many, limit=10).splitlines()[-1] == "... and 1,224 more"
    assert len(validation_table(many).splitlines()) == 1 + 2 + 50 + 1
    assert "more" not in validation_table(report([problem()]))
    assert validation_table(report([])).endswith("No problems found.")


def test_validation_table_shows_60_characters_of_what_was_found():
    text = validation_table(report([problem(found="a" * 60), problem(found="b" * 61)]))
    assert f"  {'a' * 60}  " in text
    assert f"  {'b' * 59}…  " in text


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_one_problem_is_one_printable_line(found, remedy):
    text = validation_table(report([problem(found=found, remedy=remedy)]))
    assert len(text.splitlines()) == 4
    assert all(line.isprintable() and len(line) < 300 for line in text.splitlines())


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (number(1234567), "1,234,567"),
        (number(0.00012345), "0.0001234"),
        (number(1234.5), "1,234"),
        (number(None), "–"),
        (percent(0.123), "12.3 %"),
        (percent(0.0001), "< 0.1 %"),
        (percent(0), "0.0 %"),
        (size(999), "999 B"),
        (size(4_610_348), "4.61 MB"),
        (duration(0.42), "0.42 s"),
        (duration(200), "3 min 20 s"),
        (duration(None), "–"),
    ],
)
def test_formats(written, wanted):
    assert written == wanted


def test_charts_are_pictures_too():
    target, values = drawn(200, 0.3, 2)
    again = evaluation_charts(target, values, 0.5)
    for name, chart in evaluation_charts(target, values, 0.5).items():
        assert chart.svg() == again[name].svg()
        assert chart.png().startswith(b"\x89PNG")
        assert chart.alt
