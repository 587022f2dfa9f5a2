"""No identifier and no personal value leaves the data files of the lake: everything is searched."""

from __future__ import annotations

import gzip
import io
import logging
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from millrace.datasets import RelationalSpec, load_relational_spec
from millrace.lake import open_store
from millrace.privacy.erase import erase
from millrace.privacy.requests import add_request, erase_requested
from millrace.problems import HIDDEN
from millrace.settings import PROJECT, Settings
from millrace.steps.champion import fetch_champion
from millrace.steps.evaluate import evaluate
from millrace.steps.explain import explain
from millrace.steps.load_tables import load_tables
from millrace.steps.log_to_mlflow import log_to_mlflow
from millrace.steps.preprocess import preprocess
from millrace.steps.promote import promote
from millrace.steps.run import Run
from millrace.steps.scoring import score
from millrace.steps.sql_features import sql_features
from millrace.steps.train import train, transform
from millrace.steps.validate_raw import RawDataError
from tests.privacy.loans import KEY
from tests.relational import bank
from tests.tracking import made_up
from tests.tracking.mlflow_server import MlflowServer

DAY = "2026-03-01"
DATA = ("raw", "processed", "features", "predictions", "requests", "jobs")
MEMBER, SURNAME = b"QQMEMBER", made_up.PLANTED.encode()
APPLICANT, BIRTHDAY, GENDER = rb"73190100", rb"-173\d\d(?!\d)", rb"QQGENDER"


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and those of what is packed in it."""
    yield from unpacked(path.read_bytes())


def unpacked(data: bytes) -> Iterator[bytes]:
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from unpacked(archive.read(name))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                if (file := archive.extractfile(member)) is not None:
                    yield from unpacked(file.read())


def holders(folder: Path, *marks: bytes) -> list[str]:
    """Files below a folder that hold one of the patterns, in their names or in their bytes."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and any(
            re.search(mark, data)
            for mark in marks
            for data in (path.name.encode(), *contents(path))
        )
    ]


def outside_the_data(found: list[str]) -> list[str]:
    return [name for name in found if not name.startswith(tuple(f"lake/{area}/" for area in DATA))]


def test_members_stay_in_the_lake(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    text = re.sub(r"^M(\d{4})", r"QQMEMBER\1", made_up.rows(), flags=re.M)
    lines = text.splitlines()
    lines += [lines[3], lines[4].replace(",", ",x,", 1), "QQMEMBER7777,only"]  # each is set aside
    home, servers = tmp_path / "home", tmp_path / "mlflow"
    servers.mkdir()
    with MlflowServer(servers) as server:
        settings = made_up.settings(home, server.uri)
        store = open_store(settings.lake)
        spec = made_up.write_spec(home / "datasets")
        run = Run(spec, DAY, store, settings, ("good", "stump"))
        made_up.deliver(store, DAY, "\n".join(lines) + "\n")
        made_up.evaluated(run)
        log_to_mlflow(run)
        promote(run)
        name = add_request(store, spec, "QQMEMBER0007")
        erase_requested(store, {"club": spec}, KEY, request=name)
    found = holders(home, MEMBER, SURNAME)
    assert {name.split("/")[1] for name in found} == {"raw", "processed", "predictions"}
    assert outside_the_data(found) == []
    assert len(list(servers.rglob("*"))) > 20  # the runs, models and pictures are there
    assert holders(servers, MEMBER, SURNAME) == []
    said = caplog.text.encode() + "".join(capfd.readouterr()).encode()
    assert b"Erased Subject(club, " in said
    assert MEMBER not in said and SURNAME not in said


def marked(made: dict[str, bank.Rows]) -> dict[str, bank.Rows]:
    """Identifiers, birthdays and genders that can be told from anything else."""
    for rows in made.values():
        for row in rows:
            if "SK_ID_CURR" in row:
                row["SK_ID_CURR"] = f"73190{row['SK_ID_CURR']}"
    for number, row in enumerate(made["application"]):
        row["DAYS_BIRTH"], row["CODE_GENDER"] = str(-17300 - number % 90), f"QQGENDER{number % 2}"
    faulty = made["application"][50:53]  # each is set aside
    faulty[0]["AMT_CREDIT"], faulty[1]["DAYS_BIRTH"] = "much", "-17399.5"
    faulty[2]["SK_ID_CURR"] += "x"
    return made


def quick(spec: RelationalSpec) -> RelationalSpec:
    """The spec with a small model, which becomes champion whatever it is worth."""
    [(name, candidate)] = spec.candidates.items()
    small = {"num_round": 20, "num_leaves": 8, "min_data_in_leaf": 5}
    return spec.model_copy(update={
        "raw": spec.raw.model_copy(update={"tolerance": 0.1}), "gates": {},
        "candidates": {name: candidate.model_copy(update={"hyperparameters": small})},
    })  # fmt: skip


def scored(run: Run) -> None:
    """Everything up to the scores of all applicants by the champion."""
    load_tables(run)
    sql_features(run)
    for candidate in preprocess(run):
        train(run, candidate).do_here()
        transform(run, candidate).do_here()
    evaluate(run)
    explain(run)
    log_to_mlflow(run)
    promote(run)
    champion = fetch_champion(run)
    assert champion is not None
    score(run, asdict(champion)).do_here()


def test_applicants_stay_in_the_lake(tmp_path, caplog, capfd):
    """All steps, to the reports, MLflow, the champion and its scores with their reasons."""
    caplog.set_level(logging.DEBUG)
    spec = quick(load_relational_spec(PROJECT / "include" / "datasets" / "home_credit.yaml"))
    home, servers = tmp_path / "home", tmp_path / "mlflow"
    servers.mkdir()
    made = marked(bank.tables(spec))
    with MlflowServer(servers) as server:
        settings = Settings.from_environment(
            {"MILLRACE_HOME": str(home), "MLFLOW_TRACKING_URI": server.uri}
        )
        store = open_store(settings.lake)
        run = Run(spec, DAY, store, settings, tuple(spec.candidates), promote="yes")
        for name, text in bank.texts(spec, made).items():
            store.replace(f"raw/home_credit/{DAY}/{name}", text.encode(), None)
        scored(run)
    erase(store, spec, made["bureau"][0]["SK_ID_CURR"], KEY)
    # Twice the same key stops the run, with an error about the row.
    again = {**made, "application": [*made["application"], made["application"][0]]}
    key = f"raw/home_credit/{DAY}/application_train.csv"
    store.replace(
        key, bank.texts(spec, again)["application_train.csv"].encode(), store.read(key)[1]
    )
    with pytest.raises(RawDataError) as error:
        load_tables(run)
    said = caplog.text.encode() + str(error.value).encode() + "".join(capfd.readouterr()).encode()
    assert b"Erased Subject(home_credit, " in said
    problems = run.published("reports", "validation", "").json("validation.json")["problems"]
    hidden = {each["column"]: each for each in problems if each["found"] == HIDDEN}
    assert {"DAYS_BIRTH", "SK_ID_CURR"} <= set(hidden) and hidden["DAYS_BIRTH"]["row"] == 53
    named = {"raw", "processed", "features", "predictions"}
    for marks, areas in ((APPLICANT, named), (BIRTHDAY, {"raw", "processed"}),
                         (GENDER, {"raw", "processed"})):  # fmt: skip
        found = holders(home, marks)
        assert {name.split("/")[1] for name in found} <= areas and "raw" in found[0] + found[-1]
        assert holders(servers, marks) == []
        assert not re.search(marks, said)
    assert {"report", "statistics", "validation"} <= {path.stem for path in home.rglob("*.html")}
    assert len(list(servers.rglob("*"))) > 20
