"""Step: register the winner and, where it has earned it, make it the champion."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millrace.errors import MillraceError
from millrace.evaluate import score
from millrace.lake import Published
from millrace.lake.lease import lease
from millrace.promotion import Verdict, decide
from millrace.steps.champion_classes import score_of_classes, write_components
from millrace.steps.predictions import labels_of, probabilities
from millrace.steps.run import Run
from millrace.tracking import registry, spool
from millrace.tracking.registry import RegistryError
from millrace.tracking.runs import find_logged, key_of
from millrace.tracking.server import TrackingUnavailable, connect, within_budget
from millrace.training import MODEL, transform_locally, unpacked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)


def promote(run: Run) -> dict[str, Any]:
    """Register the winner, and make it champion where it has earned it.

    Where MLflow does not answer, the promotion waits in the spool.
    """
    try:
        return promote_published(run)
    except TrackingUnavailable as error:
        spool.add(run.store, spool.Pending.of(run, str(error)))
        return {"version": None, "champion": False, "reasons": f"waits in the spool: {error}"}


def promote_published(run: Run) -> dict[str, Any]:
    """Register the winner of the run's partition and judge it; safe to repeat and to run twice.

    Returns:
        version, whether it is the champion now, and the reasons.

    Raises:
        TrackingUnavailable: MLflow does not answer in time.
        RegistryError: the winner's artifact is not what it should be; the alias stays.
    """
    evaluation = run.published("reports", "evaluation", "evaluate")
    summary = evaluation.json("summary.json")
    winner = next(item for item in summary["candidates"] if item["candidate"] == summary["winner"])
    # Only the calls to MLflow count against its budget: the champion's predictions do not.
    with lease(run.store, f"champion/{run.spec.name}"), ExitStack() as bundles:
        started = time.monotonic()
        contest = within_budget(
            run.settings, lambda: _enter(run, evaluation, winner["candidate"], bundles)
        )
        spent = time.monotonic() - started
        verdict = _judge(run, summary, winner, contest)
        within_budget(run.settings, lambda: _settle(contest, verdict), spent=spent)
    version = contest.version
    standing = "is the champion" if verdict.promote else "does not become champion"
    log.info("Version %s of %s (%s) %s: %s.",
             version.version, version.name, winner["candidate"], standing, verdict)  # fmt: skip
    return {"version": version.version, "champion": verdict.promote, "reasons": str(verdict)}


@dataclass(frozen=True)
class _Contest:
    """A registered model, the present champion, and the champion's files or why they are bad."""

    client: MlflowClient
    version: ModelVersion
    champion: ModelVersion | None
    champion_bundle: Path | RegistryError | None
    rolled_back: bool

    @property
    def is_champion(self) -> bool:
        return self.champion is not None and self.champion.version == self.version.version

    @property
    def equals_champion(self) -> bool:
        """Whether the champion is the same model, under this version or another."""
        mine = self.version.tags[registry.CONTENT]
        return self.champion is not None and self.champion.tags.get(registry.CONTENT) == mine


def _enter(run: Run, evaluation: Published, winner: str, bundles: ExitStack) -> _Contest:
    """Register the model and fetch what is needed to judge it; all calls to MLflow but the last."""
    client = connect(run.settings)
    version = _register(run, client, evaluation, winner)
    champion = registry.champion(client, run.spec.name)
    rolled_back = registry.was_rolled_back(client, version)
    contest = _Contest(client, version, champion, None, rolled_back)
    if contest.equals_champion:
        return contest
    bundles.enter_context(registry.verified_bundle(version))
    if champion is None:
        return contest
    try:
        return replace(
            contest, champion_bundle=bundles.enter_context(registry.verified_bundle(champion))
        )
    except RegistryError as error:
        return replace(contest, champion_bundle=error)


def _settle(contest: _Contest, verdict: Verdict) -> None:
    """Move the alias where the verdict says so, and leave the reasons on the version."""
    if verdict.promote and not contest.is_champion:
        registry.move_champion(contest.client, contest.version, contest.champion)
    if not contest.is_champion:
        version = contest.version
        contest.client.set_model_version_tag(
            version.name, version.version, registry.VERDICT, str(verdict)
        )


def _register(run: Run, client: MlflowClient, evaluation: Published, winner: str) -> ModelVersion:
    logged = find_logged(client, run.spec.name, key_of(evaluation))
    if logged is None:
        raise TrackingUnavailable(
            f"the evaluation of {run.spec.name} {run.partition} is not in MLflow yet"
        )
    with unpacked(run.published("models", winner, "train").path(MODEL)) as folder:
        content = registry.content_hash(folder)
    tags = {"millrace.partition": run.partition, "millrace.candidate": winner}
    return registry.register(
        client, run.spec.name, logged.model_uris[winner], logged.run_id, content, tags
    )


def _judge(run: Run, summary: dict[str, Any], winner: dict[str, Any], contest: _Contest) -> Verdict:
    if contest.is_champion:
        return Verdict(True, ("it is the champion already",))
    if contest.champion and contest.equals_champion:
        # It must not become its own predecessor: a rollback would change nothing.
        return Verdict(False, (f"it equals the champion, version {contest.champion.version}",))
    metric = run.spec.metric
    asked = run.promote == "yes" or (run.promote == "auto" and not run.backfill)
    try:
        bundle = contest.champion_bundle
        opponent = _champion_scores(run, bundle)[metric] if bundle and asked else None
    except MillraceError as error:
        remedy = "delete the alias `champion` in MLflow and run promote again to replace it"
        return Verdict(False, (f"the champion cannot be compared ({error}); {remedy}",))
    return decide(
        summary["gates"],
        metric,
        winner["metrics"][metric],
        opponent,
        asked=asked,
        rolled_back=contest.rolled_back and run.promote != "yes",
    )


def _champion_scores(run: Run, bundle: Path | RegistryError) -> dict[str, float]:
    """The champion's scores on this run's test rows, with its own transformation and threshold.

    Of images: with its own principal components, on the features of this run's test images.

    Raises:
        MillraceError: its files are bad, or it needs columns these rows lack.
    """
    if isinstance(bundle, RegistryError):
        raise bundle
    processed = run.processed()
    target = labels_of(run, processed)
    facts = json.loads((bundle / "model.json").read_text())
    several = "classes" in processed.facts
    with tempfile.TemporaryDirectory(prefix="millrace-champion-") as scratch:
        rows, predictions = Path(scratch) / "rows.csv", Path(scratch) / "predictions.csv"
        write = write_components if several else _write_rows
        write(run, processed, bundle, rows)
        transform_locally(bundle, rows, predictions, timeout=run.settings.job_timeout)
        found = probabilities(predictions, target)
    if several:
        return score_of_classes(target, found, facts["classes"], processed.facts["classes"])
    costs = run.spec.decision.costs() if run.spec.decision else None
    return score(target, found, facts["threshold"], costs)


def _write_rows(_run: Run, processed: Published, bundle: Path, path: Path) -> None:
    """The test rows with the columns of another model, in its order."""
    import pandas as pd

    names = [item["name"] for item in processed.json("train/transformation.json")["inputs"]]
    needed = [
        item["name"] for item in json.loads((bundle / "transformation.json").read_text())["inputs"]
    ]
    if missing := sorted(set(needed) - set(names)):
        raise MillraceError(f"it needs the columns {missing}, which this partition's rows lack")
    rows = pd.read_csv(
        processed.path("test/test.csv"),
        header=None,
        names=["", *names],
        dtype=str,
        keep_default_na=False,
    )
    rows[["", *needed]].to_csv(path, header=False, index=False)
