"""The project's own data sets, trained on samples, served with pages, and a browser on them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from millrace import card, transformation
from millrace.datasets import AnySpec, Candidate, RelationalSpec, load_any_spec
from millrace.lake import Attempt, LocalStore, publish
from millrace.samples import home_credit, write_sample
from millrace.settings import PROJECT, Settings
from millrace.steps.evaluate import evaluate
from millrace.steps.load_tables import load_tables
from millrace.steps.log_to_mlflow import card_of_run
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import validate_raw
from millrace.tracking.registry import content_hash
from millrace.training import MODEL, unpacked
from serving.sources import BUNDLE, SOURCE, load_baked
from tests.serving.test_process import is_ready, running
from tests.serving.waiting import until

PARTITION = "2026-03-01"
TRAINED = {
    "loan_default": Candidate(algorithm="logistic_regression"),
    "telecom_churn": Candidate(algorithm="xgboost", hyperparameters={"max_depth": 3}),
    "home_credit": Candidate(
        algorithm="lightgbm", hyperparameters={"num_round": 60, "num_leaves": 8, "max_depth": 4},
        balance="weights", calibrate="sigmoid",
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with a model of each data set, on a lake with scored clients."""
    home, models = (tmp_path_factory.mktemp(name) for name in ("home", "models"))
    for name, candidate in TRAINED.items():
        _bake(_trained(home, name, candidate), models / name)
    more = {"MILLRACE_SERVICE_PAGES": "yes", "MILLRACE_LAKE": str(home / "lake")}
    with running(models, home / "service.log", **more) as (_, url):
        until(lambda: is_ready(url) and all(name in _models(url) for name in TRAINED), 120)
        yield url


def _models(url: str) -> dict[str, Any]:
    import requests

    found: dict[str, Any] = requests.get(url, timeout=5).json()["models"]
    return found


def _trained(home: Path, name: str, candidate: Candidate) -> Run:
    """A run of a data set up to its evaluation."""
    settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
    spec: AnySpec = load_any_spec(PROJECT / "include" / "datasets" / f"{name}.yaml")
    spec = spec.model_copy(update={"candidates": {"only": candidate}})
    run = Run(spec, PARTITION, LocalStore(Path(settings.lake)), settings, ("only",))
    raw = Path(run.store.uri(str(run.place("raw"))))
    if isinstance(spec, RelationalSpec):
        home_credit.write(raw, scale=0.01, seed=0)
        load_tables(run)
        sql_features(run)
    else:
        write_sample(name, raw)
        validate_raw(run)
    preprocess(run)
    train(run, "only").do_here()
    transform(run, "only").do_here()
    evaluate(run)
    return run


def _bake(run: Run, folder: Path) -> None:
    """Write the model as an image holds it; of clients, publish the scores of all."""
    with unpacked(run.published("models", "only", "train").path(MODEL)) as bundle:
        shutil.copytree(bundle, folder / BUNDLE)
    processed = run.processed()
    state = processed.json("train/transformation.json")
    summary = run.published("reports", "evaluation", "evaluate").json("summary.json")
    told = card_of_run(run, state, summary, processed)
    (folder / card.FILE).write_text(json.dumps(told))
    facts = {"version": "1", "content": content_hash(folder / BUNDLE)}
    (folder / SOURCE).write_text(json.dumps(facts))
    if isinstance(run.spec, RelationalSpec):
        _score(run, folder)


def _score(run: Run, folder: Path) -> None:
    """Scores of all clients in the layout of the Spark job."""
    features, model = run.features(), load_baked(folder)
    parts = [features.path(name) for name in sorted(features.manifest.files)
             if name.startswith("features/")]  # fmt: skip
    frame = pa.concat_tables([pq.read_table(path) for path in parts]).to_pandas()
    columns = transformation.columns_of(model.state, frame)
    probability = model.probability(transformation.apply(model.state, columns))
    scores = pa.table({"_row_id": frame["_row_id"].astype(str), "probability": probability})

    def build(attempt: Attempt) -> None:
        (attempt.folder / "predictions").mkdir()
        pq.write_table(scores, attempt.folder / "predictions" / "part-0.parquet")
        attempt.facts["model_version"] = f"{run.spec.name} 1"

    publish(run.store, run.place("predictions", "scores"), depends_on={"model": "1"},
            inputs={}, build=build)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skips where there is none and none can be installed.

    Not for the whole session: while Playwright is open its event loop counts as running in this
    process, and no later test could run one of its own.
    """
    setup = subprocess.run(
        [PROJECT / "scripts" / "setup_browser.sh"], capture_output=True, text=True, timeout=600
    )
    chromium = shutil.which("chromium")
    if setup.returncode or chromium is None:
        pytest.skip(f"no browser: {setup.stderr.strip().splitlines()[-1:]}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page in the browser, with everything it asked for and complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, place: str) -> None:
        """Open a page and wait until it is drawn.

        Once more where the machine's network changed meanwhile, as other tests make it: Chromium
        then drops what it was loading, from this machine too.
        """
        for _ in range(5):
            self.page.goto(f"{self.url}/ui/{place}")
            self.page.wait_for_load_state("networkidle")
            if not any("ERR_NETWORK_CHANGED" in text for text in self.complaints):
                break
            self.complaints.clear()
        self.page.get_by_role("heading", level=1).wait_for()

    def tab_to(self, name: str) -> None:
        """Press the tab key until what has this name has the focus.

        Raises:
            AssertionError: it is never reached.
        """
        wanted = self.page.get_by_label(name, exact=True).or_(
            self.page.get_by_role("button", name=name, exact=True)
        )
        wanted.first.wait_for()
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if wanted.first.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"the tab key does not reach {name!r}")

    def type(self, name: str, text: str) -> None:
        """Put text into an input, by keys alone."""
        self.tab_to(name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def press(self, name: str, shows: str) -> str:
        """Press a button by its key; the text that then stands in the place `shows`."""
        self.tab_to(name)
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            "name => document.getElementById(name)?.innerText.trim()", arg=shows
        )
        return self.page.locator(f"#{shows}").inner_text()


@pytest.fixture
def watched(browser: Browser, served: str) -> Iterator[Watched]:
    """A fresh page; at the end it must have complained of nothing and asked nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    found = Watched(page, served)
    yield found
    context.close()
    assert found.complaints == []
    strangers = [
        each for each in found.addresses if not each.startswith((served, "data:", "blob:"))
    ]
    assert strangers == []
