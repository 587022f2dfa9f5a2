"""Registering, promoting and rolling back on a real MLflow server."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from millrace.airflow_api import AirflowApi
from millrace.lake import publish
from millrace.steps import promote as promote_step
from millrace.steps.log_to_mlflow import log_published
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.tracking import registry
from millrace.tracking.registry import REPLACES, ROLLED_BACK, VERDICT, RegistryError
from millrace.tracking.server import connect
from tests.tracking import made_up
from tests.tracking.conftest import AGAIN, BOTH, COPIES, EQUAL, GOOD, STUMP
from tests.tracking.mlflow_server import MlflowServer

pytestmark = pytest.mark.integration

RunOf = Callable[..., Run]


@pytest.fixture
def client(home: Path, mlflow_server: MlflowServer) -> Iterator[Any]:
    """A client of a server without versions; runs that an earlier test logged are used again."""
    client = connect(made_up.settings(home, mlflow_server.uri))
    yield client
    if client.search_registered_models("name = 'club'"):
        client.delete_registered_model("club")


@pytest.fixture
def damage(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Callable[[Any], Path]]:
    """Gives the stored files of a version for a test to damage; they are mended after it."""
    kept: list[tuple[Path, Path]] = []

    def files(version: Any) -> Path:
        [found] = mlflow_server.artifacts.rglob(version.source.removeprefix("models:/"))
        bundle = found / "artifacts" / "data" / "bundle"
        kept.append((bundle, shutil.copytree(bundle, tmp_path / "kept" / version.version)))
        return bundle

    yield files
    for bundle, copy in kept:
        shutil.copytree(copy, bundle, dirs_exist_ok=True)


def promoted(run: Run) -> dict[str, Any]:
    """Log and promote one partition."""
    log_published(run)
    return promote(run)


def champion(client: Any) -> str | None:
    found = registry.champion(client, "club")
    return found.version if found else None


def versions(client: Any) -> dict[str, Any]:
    return {item.version: item for item in client.search_model_versions("name = 'club'")}


def rewrite_test_rows(run: Run, edit: Callable[[Path], None]) -> None:
    """Publish the partition's processed rows anew with an edited transformation."""
    processed = run.published("processed", "", "preprocess")

    def build(attempt: Any) -> None:
        for name in processed.manifest.files:
            (attempt.folder / name).parent.mkdir(exist_ok=True)
            (attempt.folder / name).write_bytes(processed.path(name).read_bytes())
        edit(attempt.folder)
        attempt.facts |= processed.facts

    publish(run.store, run.place("processed"), depends_on={"edited": True}, build=build)


def test_the_first_model_that_holds_the_gates_is_champion(client: Any, run_of: RunOf) -> None:
    result = promoted(run_of(GOOD))
    assert result["champion"] is True
    assert "no champion yet" in result["reasons"]
    version = versions(client)[champion(client) or ""]
    assert version.tags["millrace.partition"] == GOOD
    assert version.tags["millrace.candidate"] == "good"
    assert version.tags[VERDICT] == result["reasons"]
    assert REPLACES not in version.tags
    with registry.verified_bundle(version) as bundle:
        assert (bundle / "model.json").exists()


def test_promoting_again_changes_nothing(client: Any, run_of: RunOf) -> None:
    first = promoted(run_of(GOOD))
    second = promoted(run_of(GOOD))
    assert second["version"] == first["version"]
    assert second["champion"] is True
    assert list(versions(client)) == [first["version"]]
    assert REPLACES not in versions(client)[first["version"]].tags


def test_a_worse_model_does_not_replace_the_champion(client: Any, run_of: RunOf) -> None:
    promoted(run_of(GOOD))
    result = promoted(run_of(STUMP))
    assert result["champion"] is False
    assert "is worse than the champion's" in result["reasons"]
    assert versions(client)[result["version"]].tags[VERDICT] == result["reasons"]
    assert champion(client) == "1"


def test_a_better_model_and_an_equal_one_replace_the_champion(client: Any, run_of: RunOf) -> None:
    for partition in (STUMP, GOOD, AGAIN):
        assert promoted(run_of(partition))["champion"] is True
    found = versions(client)
    assert champion(client) == "3"
    assert [found[number].tags.get(REPLACES) for number in "123"] == [None, "1", "2"]


def test_the_winner_of_several_candidates_is_registered(client: Any, run_of: RunOf) -> None:
    result = promoted(run_of(BOTH))
    assert versions(client)[result["version"]].tags["millrace.candidate"] == "good"
    assert len(versions(client)) == 1


@pytest.mark.parametrize(
    ("ask", "backfill", "moves"),
    [("auto", False, True), ("auto", True, False), ("yes", True, True), ("no", False, False)],
)
def test_a_backfill_moves_the_champion_only_when_asked(
    client: Any, run_of: RunOf, ask: str, backfill: bool, moves: bool
) -> None:
    result = promoted(run_of(GOOD, promote=ask, backfill=backfill))
    assert result["champion"] is moves
    assert (champion(client) is not None) is moves
    assert list(versions(client)) == ["1"]


def test_a_champion_that_needs_other_columns_stays_and_the_reason_says_what_to_do(
    client: Any, run_of: RunOf
) -> None:
    promoted(run_of(STUMP))

    def without_fee(folder: Path) -> None:
        path = folder / "train" / "transformation.json"
        state = json.loads(path.read_text())
        state["inputs"] = [item for item in state["inputs"] if item["name"] != "fee"]
        path.write_text(json.dumps(state))

    rewrite_test_rows(run_of(GOOD), without_fee)
    result = promoted(run_of(GOOD))
    assert result["champion"] is False
    assert "needs the columns ['fee']" in result["reasons"]
    assert "delete the alias" in result["reasons"]
    assert champion(client) == "1"


@pytest.mark.parametrize("what", ["tampered", "missing", "all missing"])
def test_a_model_that_is_not_what_was_registered_is_never_champion(
    client: Any, run_of: RunOf, damage: Callable[[Any], Path], what: str
) -> None:
    promoted(run_of(GOOD, promote="no"))
    bundle = damage(versions(client)["1"])
    for path in list(bundle.iterdir()) if what == "all missing" else [bundle / "model.json"]:
        if what == "tampered":
            path.write_text(path.read_text().replace("0.5", "0.1"))
        else:
            path.unlink()
    with pytest.raises(RegistryError, match="version 1 of club is not the one"):
        promote(run_of(GOOD, promote="yes"))
    assert champion(client) is None


def test_a_version_whose_model_was_deleted_is_a_registry_error(client: Any, run_of: RunOf) -> None:
    promoted(run_of(GOOD, promote="no"))
    client.delete_logged_model(versions(client)["1"].source.removeprefix("models:/"))
    with pytest.raises(RegistryError, match="version 1 of club"):
        promote(run_of(GOOD))
    experiment = client.get_experiment_by_name("club").experiment_id
    client.rename_experiment(experiment, "club without a model")


def test_a_damaged_champion_cannot_be_compared_and_stays(
    client: Any, run_of: RunOf, damage: Callable[[Any], Path]
) -> None:
    promoted(run_of(STUMP))
    (damage(versions(client)["1"]) / "model.json").unlink()
    result = promoted(run_of(GOOD))
    assert result["champion"] is False
    assert "cannot be compared" in result["reasons"]
    assert champion(client) == "1"


def test_a_deleted_champion_is_no_champion(client: Any, run_of: RunOf) -> None:
    promoted(run_of(GOOD))
    client.delete_model_version("club", "1")
    assert champion(client) is None
    assert promoted(run_of(STUMP))["champion"] is True
    assert promoted(run_of(GOOD))["version"] == "3"


def test_the_same_model_from_another_partition_is_no_champion_of_its_own(
    client: Any, run_of: RunOf
) -> None:
    for partition in (STUMP, GOOD):
        promoted(run_of(partition))
    result = promoted(run_of(EQUAL))
    assert (result["version"], result["champion"]) == ("3", False)
    assert result["reasons"] == "it equals the champion, version 2"
    left, restored = registry.roll_back(client, "club")
    assert (left.version, restored.version) == ("2", "1"), "the bad model is out of service"


def test_rollback_goes_back_one_champion_at_a_time(client: Any, run_of: RunOf) -> None:
    for partition in (STUMP, GOOD, AGAIN):
        promoted(run_of(partition))
    left, restored = registry.roll_back(client, "club")
    assert (left.version, restored.version, champion(client)) == ("3", "2", "2")
    left, restored = registry.roll_back(client, "club")
    assert (left.version, restored.version, champion(client)) == ("2", "1", "1")
    with pytest.raises(RegistryError, match="version 1 of club replaced no other"):
        registry.roll_back(client, "club")
    assert champion(client) == "1"


def test_a_rolled_back_model_comes_back_only_when_asked(client: Any, run_of: RunOf) -> None:
    promoted(run_of(STUMP))
    promoted(run_of(GOOD))
    registry.roll_back(client, "club")
    refused = promoted(run_of(GOOD))
    assert refused["champion"] is False
    assert "promote=yes" in refused["reasons"]

    equal = promoted(run_of(EQUAL))
    assert equal["champion"] is False, "the same model from another partition is no way round"

    assert promoted(run_of(GOOD, promote="yes"))["champion"] is True
    assert champion(client) == "2"
    assert ROLLED_BACK not in versions(client)["2"].tags
    assert promoted(run_of(AGAIN))["champion"] is True


def test_a_champion_that_comes_back_makes_no_circle(client: Any, run_of: RunOf) -> None:
    for partition in (STUMP, GOOD, AGAIN, GOOD):
        assert promoted(run_of(partition))["champion"] is True
    found = versions(client)
    assert [found[number].tags.get(REPLACES) for number in "231"] == ["3", "1", None]
    assert [r.version for r in registry.roll_back(client, "club")] == ["2", "3"]
    assert [r.version for r in registry.roll_back(client, "club")] == ["3", "1"]
    assert champion(client) == "1"


def test_a_deleted_predecessor_cannot_come_back(client: Any, run_of: RunOf) -> None:
    promoted(run_of(STUMP))
    promoted(run_of(GOOD))
    client.delete_model_version("club", "1")
    with pytest.raises(RegistryError, match="version 1, which version 2 of club replaced"):
        registry.roll_back(client, "club")
    assert champion(client) == "2"


def test_rollback_leaves_a_damaged_predecessor_alone(
    client: Any, run_of: RunOf, damage: Callable[[Any], Path]
) -> None:
    promoted(run_of(STUMP))
    promoted(run_of(GOOD))
    (damage(versions(client)["1"]) / "model.skops").write_bytes(b"other")
    with pytest.raises(RegistryError, match="version 1 of club is not the one"):
        registry.roll_back(client, "club")
    assert champion(client) == "2"
    assert ROLLED_BACK not in versions(client)["2"].tags


def test_the_rollback_command(
    client: Any, run_of: RunOf, home: Path, mlflow_server: MlflowServer,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from millrace import rollback

    monkeypatch.setenv("MILLRACE_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    assert rollback.main(["club"]) == 1
    assert "club has no champion; run its pipeline first" in capsys.readouterr().err
    promoted(run_of(STUMP))
    promoted(run_of(GOOD))
    assert rollback.main(["club"]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("club: version 1 is the champion again, in place of 2.\n")
    assert "Airflow" not in said.err, "nobody listens"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert rollback.main(["club"]) == 1
    assert "MLflow does not answer at http://127.0.0.1:9" in capsys.readouterr().err


def test_without_airflow_a_rollback_says_what_is_left_to_do(
    client: Any, run_of: RunOf, capsys: pytest.CaptureFixture[str]
) -> None:
    from millrace import rollback

    promoted(run_of(STUMP))
    promoted(run_of(GOOD))
    left, _ = registry.roll_back(client, "club")
    nobody = AirflowApi("http://127.0.0.1:9", "admin", "secret")
    said = rollback.tell(nobody, ["deploy_club", "start_scoring"], left)
    assert said == [
        "Switch deploy_club on and trigger it: until then a service on ECS stays with version 2.",
        f"Trigger score_club for the partition {GOOD}: until then its scores are those of"
        " version 2.",
    ]  # fmt: skip
    assert "Airflow was not told: POST http://127.0.0.1:9/auth/token" in capsys.readouterr().err


def test_two_promotions_at_once_leave_one_consistent_champion(client: Any, run_of: RunOf) -> None:
    promoted(run_of(STUMP))
    runs = [run_of(GOOD), run_of(AGAIN), run_of(GOOD), run_of(AGAIN)]
    for run in runs[:2]:
        log_published(run)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(promote, runs))
    found = versions(client)
    assert sorted(found) == ["1", "2", "3"]
    assert {result["version"] for result in results} == {"2", "3"}
    last = champion(client)
    assert last in ("2", "3")
    other = "2" if last == "3" else "3"
    assert [found[number].tags.get(REPLACES) for number in (last, other, "1")] == [
        other, "1", None,
    ]  # fmt: skip


def test_two_copies_of_one_run_log_and_promote_once(client: Any, run_of: RunOf) -> None:
    with ThreadPoolExecutor(2) as pool:
        logged = list(pool.map(log_published, [run_of(COPIES), run_of(COPIES)]))
        results = list(pool.map(promote, [run_of(COPIES), run_of(COPIES)]))
    assert logged[0] == logged[1]
    assert [result["version"] for result in results] == ["1", "1"]
    assert REPLACES not in versions(client)["1"].tags
    experiment = client.get_experiment_by_name("club").experiment_id
    found = client.search_runs([experiment], f"tags.millrace.partition = '{COPIES}'")
    assert len(found) == 2


def test_a_slow_comparison_does_not_count_against_the_budget_of_mlflow(
    client: Any, run_of: RunOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(run_of(STUMP))
    log_published(run_of(GOOD))
    quick = promote_step.transform_locally

    def slow(*arguments: Any, **options: Any) -> float:
        time.sleep(7)
        return quick(*arguments, **options)

    monkeypatch.setattr(promote_step, "transform_locally", slow)
    run = run_of(GOOD)
    hasty = dataclasses.replace(run.settings, mlflow_budget=6.0)
    assert promote(dataclasses.replace(run, settings=hasty))["champion"] is True
