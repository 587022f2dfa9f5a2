"""The packed environment: it holds the locked libraries, and the job runs in it as on EMR 7."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import inference
from millrace.aws.policies import policy
from millrace.lake import LocalStore, read_published
from millrace.settings import PROJECT
from millrace.spark import REQUIREMENTS, environment_key, java
from millrace.spark_environment import PackingFailed, build, main, pack, send
from millrace.steps.image_features import image_features
from tests.integration.aws import test_spark_features as features
from tests.integration.aws import test_spark_scoring as scoring
from tests.integration.aws.stack import BUCKET, VALUES
from tests.integration.aws.standin import StandIn
from tests.integration.aws.standin.account import INSTANCE_PROFILE
from tests.spark.applicants import applicants, train
from tests.steps import photos
from tests.steps.club import make_bucket

SPARK = "pyspark==3.5.6"  # of EMR 7.13


def python39() -> Path:
    """A Python as EMR's machines have it; skips where this machine has none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which("python3.9"), *map(str, sorted(pyenv.glob("3.9.*/bin/python3.9")))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", "import ssl"], capture_output=True).returncode == 0:
            return Path(path)
    pytest.skip("this machine has no Python 3.9")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed environment, made as `make spark-environment` makes it."""
    path = tmp_path_factory.mktemp("packed") / "spark.tar.gz"
    build(path)
    return path


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, archive: Path
) -> Iterator[tuple[StandIn, Path]]:
    """A stand-in whose machines have Python 3.9 and Spark 3.5, and nothing else."""
    python, folder = python39(), tmp_path_factory.mktemp("machines")
    spark = folder / "spark"
    uv = shutil.which("uv") or str(PROJECT / ".venv-uv" / "bin" / "uv")
    command = [uv, "pip", "install", "--quiet", "--python", str(python), "--target", str(spark)]
    subprocess.run([*command, SPARK], check=True)
    variables = [f"{name}={value}" for name, value in java(folder).items()]
    submit = ["env", *variables, f"SPARK_HOME={spark}/pyspark", f"PYTHONPATH={spark}",
              f"PATH={python.parent}:/usr/bin:/bin", f"{spark}/pyspark/bin/spark-submit",
              "--master", "local[2]", "--driver-memory", "1g"]  # fmt: skip
    with StandIn(
        folder / "aws", pace={"state": 0.05, "s3_logs": 0.2},
        policies={"worker": [policy(name, VALUES) for name in ("worker", "worker-emr")]},
        roles={INSTANCE_PROFILE: [policy("emr-instance", VALUES)]},
        environment={"STANDIN_SPARK_SUBMIT": shlex.join(submit)},
    ) as started:  # fmt: skip
        make_bucket(started, BUCKET)
        started.client("s3").upload_file(str(archive), BUCKET, f"lake/{environment_key()}")
        yield started, folder


@pytest.mark.integration
def test_the_job_runs_in_it_under_emrs_python_and_spark(
    machines: tuple[StandIn, Path], tmp_path: Path
) -> None:
    aws, folder = machines
    network = photos.write_network(folder / "small.onnx")
    run = features.make_run(aws, tmp_path, network, "packed", MILLRACE_SPARK_ARCHIVE="")
    job, _ = features.publish(run, image_features(run))
    made = features.published(run)
    assert made.facts["spark"].startswith("3.5")
    assert made.facts["rows"] == 36
    (step,) = aws.jobs(name=job.id)
    assert step["state"] == "COMPLETED"


@pytest.mark.integration
def test_scores_are_made_in_it_too(machines: tuple[StandIn, Path], tmp_path: Path) -> None:
    aws, folder = machines
    trained = train(folder / "trained", "lightgbm", "--num_round", 20, "--num_leaves", 7)
    run = scoring.make_run(aws, tmp_path, "packed_scores", MILLRACE_SPARK_ARCHIVE="")
    features.publish(run, scoring.work_of(run, trained))
    found = read_published(run.store, run.place("predictions", "scores"))
    assert found and found.facts["spark"].startswith("3.5") and found.facts["components"] == 3
    model = inference.model_fn(str(trained.folder))
    expected = model.probability(applicants(scoring.ROWS))
    np.testing.assert_allclose(
        scoring.scores(run)["probability"].to_numpy(), expected, rtol=0, atol=1e-12
    )


@pytest.mark.integration
def test_it_holds_what_is_locked_and_a_python(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = {member.name: member for member in tar.getmembers()}
    locked = [line.split("==")[0] for line in REQUIREMENTS.read_text().splitlines()
              if "==" in line and not line.startswith((" ", "#"))]  # fmt: skip
    installed = {name.split("/")[1].split("-")[0].replace("_", "-").lower() for name in names
                 if ".dist-info/METADATA" in name}  # fmt: skip
    assert set(locked) <= installed
    assert names["bin/python"].mode & 0o111
    assert not any("__pycache__" in name or name.startswith("/") for name in names)
    assert archive.stat().st_size < 300e6


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small(folder: Path, text: str = "x = 1\n") -> Path:
    (folder / "lib" / "one").mkdir(parents=True)
    (folder / "lib" / "one" / "__init__.py").write_text(text)
    (folder / "lib" / "one" / "tests").mkdir()
    (folder / "lib" / "one" / "tests" / "test_one.py").write_text("")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text("#!/bin/sh\n")
    return folder


def test_equal_libraries_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pack(small(tmp_path / name), tmp_path / f"{name}.tar.gz")
    assert digest(tmp_path / "a.tar.gz") == digest(tmp_path / "b.tar.gz")
    pack(small(tmp_path / "c", "x = 2\n"), tmp_path / "c.tar.gz")
    assert digest(tmp_path / "a.tar.gz") != digest(tmp_path / "c.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames() == ["bin/python", "lib/one/__init__.py"]


def test_what_is_in_the_lake_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "lake")
    store.replace(environment_key(), b"made before", None)
    assert not send(store)
    (tmp_path / "other.txt").write_text("numpy==1.26.4 --hash=sha256:0\n")
    monkeypatch.setattr("millrace.spark.REQUIREMENTS", tmp_path / "other.txt")
    assert not store.read(environment_key())


def test_a_lock_that_cannot_be_installed_is_one_clear_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("numpy==1.26.4 --hash=sha256:" + 64 * "0" + "\n")
    with pytest.raises(PackingFailed, match=r"uv could not install .*wrong.txt"):
        build(tmp_path / "x.tar.gz", wrong)
    assert not (tmp_path / "x.tar.gz").exists()


def test_a_local_lake_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MILLRACE_LAKE", str(tmp_path))
    assert main([]) == 1
    assert "only Spark on AWS needs the environment" in capsys.readouterr().err
