"""An erasure on S3 that dies anywhere: the next one completes it, to the same state."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millrace.datasets import ROW_ID, load_relational_spec
from millrace.lake import open_store, publish
from millrace.lake.s3 import S3Store
from millrace.privacy.erase import erase
from millrace.settings import PROJECT, Settings
from millrace.steps.load_tables import load_tables
from millrace.steps.preprocess import preprocess
from millrace.steps.run import Run
from millrace.steps.sql_features import sql_features
from tests.lake.s3 import s3_client
from tests.privacy.loans import KEY, put, traces
from tests.relational import bank

DAY = "2026-03-01"
WRITES = ("replace", "put", "store", "delete", "forget")
OWN = ("leases/", "privacy/")  # what erasures write for themselves


@pytest.fixture(scope="module")
def spec():
    return load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml")


@pytest.fixture(scope="module")
def subject(spec):
    """One with rows in every table that has subjects, and in bureau_balance."""
    made = bank.tables(spec, applicants=40)
    balanced = {row["SK_ID_BUREAU"] for row in made["bureau_balance"]}
    tables = ("POS_CASH_balance", "credit_card_balance", "installments_payments")
    return next(
        row["SK_ID_CURR"] for row in made["bureau"]
        if row["SK_ID_BUREAU"] in balanced
        and all(row["SK_ID_CURR"] in {one["SK_ID_CURR"] for one in made[table]} for table in tables)
    )  # fmt: skip


@pytest.fixture(scope="module")
def lake(spec, tmp_path_factory):
    """A bank with its features, channels and scores, as files of a folder."""
    home = tmp_path_factory.mktemp("bank")
    store = open_store(str(home / "lake"))
    settings = Settings.from_environment({"MILLRACE_HOME": str(home)})
    run = Run(spec, DAY, store, settings, tuple(spec.candidates))
    for name, text in bank.texts(spec, bank.tables(spec, applicants=40)).items():
        put(store, f"raw/home_credit/{DAY}/{name}", list(csv.reader(io.StringIO(text))))
    load_tables(run)
    sql_features(run)
    preprocess(run)
    features = run.features()

    def build(attempt):
        ids = pq.read_table(features.path("features/part-00000.parquet")).column(ROW_ID)
        scores = pa.table({ROW_ID: ids, "probability": [0.5] * len(ids)})
        (attempt.folder / "predictions").mkdir()
        pq.write_table(scores, attempt.folder / "predictions" / "part-00000.parquet")
        attempt.facts["rows"] = scores.num_rows

    publish(
        store, run.place("predictions", "scores"), depends_on={}, build=build,
        inputs={features.uri: features.manifest.content},
    )  # fmt: skip
    processed = run.processed()
    publish(
        store, run.place("reports", "explanation"), depends_on={},
        build=lambda attempt: attempt.write("cases.txt", "single rows"),
        inputs={processed.uri: processed.manifest.content},
    )  # fmt: skip
    return home / "lake"


def on_s3(lake, endpoint):
    """The bank in a new versioned bucket."""
    client = s3_client(endpoint)
    bucket = f"lake-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for path in (path for path in lake.rglob("*") if path.is_file()):
        name = path.relative_to(lake).as_posix()
        if name.startswith(("raw/", "processed/", "features/", "predictions/", "reports/")):
            client.put_object(Bucket=bucket, Key=f"deep/{name}", Body=path.read_bytes())
    return open_store(f"s3://{bucket}/deep", client)


def state(store):
    """What stands in a lake, by key, whatever its attempts are called; nothing half done."""
    entries = {
        entry.key: store.read(entry.key)[0]
        for area in ("raw", "processed", "features", "predictions", "reports")
        for entry in store.list(area)
    }
    manifests = {key: data for key, data in entries.items() if key.endswith("_MANIFEST.json")}
    found = {}
    for key, data in manifests.items():
        place, manifest = key.rpartition("/")[0], json.loads(data)
        attempt = manifest.pop("attempt")
        found[key] = manifest
        for name in manifest["files"]:
            found[f"{place}/{name}"] = entries.pop(f"{place}/{attempt}/{name}")
        entries.pop(key)
    left = {key for key in entries if "/attempt=" in key}
    assert not left, "files of attempts that are not published"
    assert not store.list("privacy/home_credit/open")
    return found | entries


class Killed(BaseException):
    """The process dies here."""


def dying(monkeypatch, at):
    """Let the store die at its write number `at` of the data set's own; returns what it wrote."""
    written = []

    def patched(name):
        call = getattr(S3Store, name)

        def write(self, first, *rest, **named):
            key = {"put": lambda: rest[0].key, "store": lambda: rest[0]}.get(name, lambda: first)()
            if not key.startswith("leases/"):
                if len(written) + 1 == at:
                    raise Killed(f"{name} {key}")
                written.append(f"{name} {key.split('/attempt=')[0]}")
            return call(self, first, *rest, **named)

        return write

    for name in WRITES:
        monkeypatch.setattr(S3Store, name, patched(name))
    return written


@pytest.fixture(scope="module")
def whole(spec, subject, lake, endpoint):
    """The state after an erasure that nothing disturbs, and its writes in their order."""
    store = on_s3(lake, endpoint)
    with pytest.MonkeyPatch.context() as monkeypatch:
        writes = dying(monkeypatch, at=0)
        erase(store, spec, subject, KEY)
    assert not traces(store, subject)
    found = state(store)
    assert {key.split("/")[3] for key in found if key.startswith("reports")} == {"validation"}
    return found, writes


def test_every_kind_of_place_is_written(whole):
    _, writes = whole
    kinds = {(write.split()[0], write.split()[1].split("/")[0]) for write in writes}
    areas = ("processed", "features", "predictions")
    assert kinds >= {("put", "raw"), *(("store", area) for area in areas),
                     *(("replace", area) for area in areas), ("forget", "raw")}  # fmt: skip
    assert len([write for write in writes if write.startswith("put raw")]) == 7


def test_one_that_dies_again_and_again_gets_there(
    spec, subject, lake, endpoint, whole, monkeypatch
):
    """Each try dies a write later than the one before."""
    expected, writes = whole
    store = on_s3(lake, endpoint)
    deaths = 0
    for at in range(1, 2 * len(writes)):
        with monkeypatch.context() as patched:
            dying(patched, at=at)
            try:
                erase(store, spec, subject, KEY)
            except Killed:
                deaths += 1
            else:
                break
    assert deaths >= 8  # each began where the one before had ended
    assert state(store) == expected
    assert not traces(store, subject)


@pytest.mark.parametrize("stage", [
    "put raw/home_credit/2026-03-01/bureau.csv", "store features/home_credit/2026-03-01",
    "put raw/home_credit/2026-03-01/application_train.csv", "forget processed/home_credit",
    "replace predictions/home_credit/2026-03-01/scores",
    "replace processed/home_credit/2026-03-01/tables",
])  # fmt: skip
def test_one_that_died_is_completed_to_the_same_state(
    spec, subject, lake, endpoint, whole, monkeypatch, stage
):
    expected, writes = whole
    at = next(i for i, write in enumerate(writes, start=1) if write.startswith(stage))
    store = on_s3(lake, endpoint)
    with monkeypatch.context() as patched:
        dying(patched, at=at)
        with pytest.raises(Killed):
            erase(store, spec, subject, KEY)
    assert store.list("privacy/home_credit/open")
    proof = json.loads(store.read(erase(store, spec, subject, KEY))[0])
    assert state(store) == expected
    assert not traces(store, subject)
    assert proof["old_versions"]["complete"] and subject not in json.dumps(proof)


KILLED = """
import functools, os, signal, sys
from pathlib import Path
from millrace.datasets import load_relational_spec
from millrace.lake import open_store
from millrace.lake.s3 import S3Store
from millrace.privacy import erase
from tests.lake.s3 import s3_client

endpoint, root, spec, subject, key = sys.argv[1:]
put, erase.lease = S3Store.put, functools.partial(erase.lease, seconds=3)

def killed(self, path, entry):
    if entry.key.endswith("/bureau.csv"):
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, path, entry)

S3Store.put = killed
store, spec = open_store(root, s3_client(endpoint)), load_relational_spec(Path(spec))
erase.erase(store, spec, subject, key.encode())
"""


def test_a_process_that_was_killed(spec, subject, lake, endpoint, whole):
    """It could not even give its lease back: that ends by itself."""
    store = on_s3(lake, endpoint)
    path = PROJECT / "include" / "datasets" / "home_credit.yaml"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, endpoint, store.root, path, subject, KEY.decode()],
        env={"PYTHONPATH": f"{PROJECT / 'plugins'}:{PROJECT}"}, cwd=PROJECT, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    held = json.loads(store.read("leases/privacy/home_credit.json")[0])
    assert held["expires"] > time.time() - 60
    raw = f"raw/home_credit/{DAY}"
    assert subject.encode() not in store.read(f"{raw}/POS_CASH_balance.csv")[0]
    assert subject.encode() in store.read(f"{raw}/application_train.csv")[0]
    erase(store, spec, subject, KEY)
    assert state(store) == whole[0]
    assert not traces(store, subject)
