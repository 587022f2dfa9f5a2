"""Pages as people use them: by the keyboard, with a screen reader, offline."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched

pytestmark = [pytest.mark.browser, pytest.mark.integration]

PLACES = ["", "loan_default/", "telecom_churn/", "home_credit/"]

UNLABELLED = """() => [...document.querySelectorAll("input, textarea, button, select")]
  .filter((each) => each.offsetParent && !each.getAttribute("aria-label") && !each.labels?.length
    && !each.innerText?.trim() && !each.title)
  .map((each) => each.outerHTML.slice(0, 200))"""

# Text whose contrast to what lies behind it is below 4.5 (WCAG 2.2, 1.4.3), as "ratio text".
FAINT = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = (text) => {
    const [r, g, b] = channels(text).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.offsetParent) continue;
    if (element.closest("svg")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim()}`);
  }
  return found;
}"""


@pytest.mark.parametrize("place", PLACES)
def test_a_page_has_language_title_labels_and_contrast(watched: Watched, place: str) -> None:
    watched.open(place)
    page = watched.page
    assert page.evaluate("document.documentElement.lang") == "en"
    assert len(page.title()) > 10
    assert page.evaluate(UNLABELLED) == []
    assert page.evaluate(FAINT) == []


def test_the_first_page_leads_to_each_model(watched: Watched) -> None:
    watched.open("")
    links = watched.page.get_by_role("listitem").get_by_role("link")
    assert links.all_inner_texts() == [
        "Will this applicant have difficulties to repay?",
        "Will this loan be repaid?",
        "Will this customer leave?",
    ]
    watched.page.keyboard.press("Tab")
    watched.page.keyboard.press("Tab")
    watched.page.keyboard.press("Enter")
    watched.page.get_by_role("heading", name="Will this loan be repaid?").wait_for()


def test_a_loan_is_judged_by_keys_alone(watched: Watched) -> None:
    watched.open("loan_default/")
    watched.type("Open credit lines", "5")
    watched.type("All debts together", "25000")
    watched.type("Yearly income", "30000")
    verdict = watched.page.locator("#answer .html-container")
    verdict.evaluate("place => place.dataset.stays = 'yes'")
    said = watched.press("Ask the model", "answer")
    assert re.search(r"⚠ Default expected\s+Probability of “Default expected”: [\d.]+ %", said)
    assert verdict.get_attribute("data-stays") == "yes", "only what stays is read out"
    assert verdict.get_attribute("aria-live") == "polite"
    assert verdict.get_attribute("role") == "status"
    assert watched.page.evaluate(FAINT) == []
    assert "Orange raises the score" in watched.press("Why?", "reasons")
    turned = watched.press("What would change it?", "turned")
    assert "alone would" in turned
    assert watched.page.evaluate(FAINT) == []


def test_what_is_wrong_is_told_beside_the_form(watched: Watched) -> None:
    watched.open("loan_default/")
    watched.type("FICO credit score", "90")
    said = watched.press("Ask the model", "answer")
    assert "FICO credit score: write a number from 300 to 850, or leave it empty." in said


def test_the_words_below_a_label_belong_to_its_input(watched: Watched) -> None:
    watched.open("loan_default/")
    told = watched.page.get_by_label("FICO credit score").evaluate(
        "input => document.getElementById(input.getAttribute('aria-describedby')).innerText"
    )
    assert told == "fico_score. A number from 300 to 850"


def test_a_customer_has_a_gauge(watched: Watched) -> None:
    watched.open("telecom_churn/")
    watched.type("Contract", "Two")
    expect(watched.page.get_by_role("option")).to_have_count(1)
    watched.page.keyboard.press("Enter")
    expect(watched.page.get_by_role("combobox", name="Contract")).to_have_value("Two year")
    said = watched.press("Ask the model", "answer")
    assert "Likely to stay" in said
    gauge = watched.page.get_by_role("img", name=re.compile(r"^Gauge: [\d.<]+ .*threshold is"))
    assert gauge.count() == 1


def test_a_client_is_looked_up_by_keys_alone(watched: Watched) -> None:
    watched.open("home_credit/")
    watched.type("Client", "100003")
    said = watched.press("Look up", "answer")
    assert re.search(r"(Difficulties|No difficulties) expected\s+Probability", said)
    place = watched.page.locator("#place")
    assert re.search(r"% of 3,0\d\d scored clients have a lower probability", place.inner_text())
    assert "as a table" in watched.press("Why?", "reasons")
    assert "age_years" not in watched.page.locator("form, input, textarea").all_inner_texts()
    assert "alone would" in watched.press("What would change it?", "turned")
    assert watched.page.evaluate(FAINT) == []


def test_an_unknown_client_is_told(watched: Watched) -> None:
    watched.open("home_credit/")
    watched.type("Client", "1")
    assert "There is no such client" in watched.press("Look up", "answer")
