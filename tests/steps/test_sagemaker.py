"""Training and predictions as SageMaker's jobs: what is asked for, sent, and brought back."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.aws.prices import cost, hourly
from millrace.jobs.job import Job, JobFailed
from millrace.jobs.names import LONGEST
from millrace.lake import Attempt
from millrace.steps.evaluate import evaluate
from millrace.steps.run import Run
from millrace.steps.sagemaker import as_json_lines, read_predictions
from millrace.steps.train import train, transform
from millrace.training import MODEL, OUTPUT, source_archive, transform_locally, unpacked
from tests.aws.service_model import problems_of
from tests.integration.aws.standin import StandIn
from tests.steps.club import (
    backend_of,
    club_run,
    make_bucket,
    prepare,
    publish,
    training_of,
    transform_of,
)

LAKE = "s3://rows/lake"
AWKWARD = [
    "plain", "", "a, b", 'say "no"', "two\nlines", "two\r\nlines", "é中𝄞", " ", "\t", "null",
]  # fmt: skip


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("aws"), pace={"state": 0.05}) as started:
        make_bucket(started, "rows")
        yield started


@pytest.fixture(scope="module")
def prepared(aws: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose rows are ready to be trained on."""
    return prepare(club_run(aws, tmp_path_factory.mktemp("club"), LAKE))


@pytest.fixture(scope="module")
def jobs(prepared: Run) -> dict[str, Job]:
    """The jobs that trained its candidate and predicted, both published."""
    return {
        "training": publish(prepared, train(prepared, "good")),
        "transform": publish(prepared, transform(prepared, "good")),
    }


def objects(aws: StandIn, prefix: str) -> list[str]:
    pages = aws.client("s3").list_objects_v2(Bucket="rows", Prefix=f"lake/{prefix}")
    return [item["Key"].removeprefix("lake/") for item in pages.get("Contents", [])]


class TestRows:
    def written(self, folder: Path, rows: list[list[str]]) -> list[Any]:
        source, target = folder / "rows.csv", folder / "rows.jsonl"
        with source.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        as_json_lines(source, target)
        return [json.loads(line) for line in target.read_bytes().split(b"\n")[:-1]]

    def test_every_value_survives(self, tmp_path: Path) -> None:
        rows = [[f"id,{place}", text, "1.5"] for place, text in enumerate(AWKWARD)]
        assert self.written(tmp_path, rows) == [{"id": i, "inputs": rest} for i, *rest in rows]

    def test_a_field_may_be_large(self, tmp_path: Path) -> None:
        long = "x" * 500_000
        assert self.written(tmp_path, [["1", long]]) == [{"id": "1", "inputs": [long]}]

    @given(st.lists(st.lists(st.text(st.characters(exclude_characters="\r\n\0",
           exclude_categories=["Cs"])), min_size=2, max_size=2)))  # fmt: skip
    def test_a_row_is_a_line(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
    ) -> None:
        lines = self.written(tmp_path_factory.mktemp("rows"), rows)
        assert lines == [{"id": i, "inputs": rest} for i, *rest in rows]


class TestAnswers:
    def test_each_answer_is_a_row(self, tmp_path: Path) -> None:
        answers = tmp_path / "rows.out"
        answers.write_text("".join(
            json.dumps({"id": name, "SageMakerOutput": {"probability": p}}) + "\n"
            for name, p in [("a,b", 0.1), ('"', 1), ("two\nlines", 1e-17)]
        ))  # fmt: skip
        assert read_predictions(answers, tmp_path / "p.csv") == 3
        with (tmp_path / "p.csv").open(newline="") as file:
            assert list(csv.reader(file)) == [
                ["a,b", "0.1"], ['"', "1.0"], ["two\nlines", "1e-17"]
            ]  # fmt: skip

    def test_of_several_classes_each_has_its_probability(self, tmp_path: Path) -> None:
        answers = tmp_path / "rows.out"
        answers.write_text('{"id": "a.jpg", "SageMakerOutput": {"probability": [0.25, 0.75]}}\n')
        assert read_predictions(answers, tmp_path / "p.csv") == 1
        assert (tmp_path / "p.csv").read_text() == "a.jpg,0.25,0.75\n"

    def test_no_answers_are_no_rows(self, tmp_path: Path) -> None:
        (tmp_path / "rows.out").touch()
        assert read_predictions(tmp_path / "rows.out", tmp_path / "p.csv") == 0

    @pytest.mark.parametrize(
        "line",
        [
            "", "0.5", "{", "[]", "null", '{"id": "1"}', '{"SageMakerOutput": {"probability": 1}}',
            '{"id": "1", "SageMakerOutput": 0.5}',
            '{"id": "1", "SageMakerOutput": {"probability": null}}',
            '{"id": "1", "SageMakerOutput": {"probability": "high"}}',
            '{"id": "1", "SageMakerOutput": {"probability": NaN}}',
            '{"id": "1", "SageMakerOutput": {"probability": 1.5}}',
            '{"id": "1", "SageMakerOutput": {"probability": []}}',
            '{"id": "1", "SageMakerOutput": {"probability": [0.5, 1.5]}}',
            '{"id": "1", "SageMakerOutput": {"probability": [[0.5]]}}',
            '{"id": "1", "SageMakerOutput": {"probability": 0.5}',
        ],
    )  # fmt: skip
    def test_a_line_that_is_no_answer_is_named(self, tmp_path: Path, line: str) -> None:
        answers = tmp_path / "rows.out"
        answers.write_text(f'{{"id": "0", "SageMakerOutput": {{"probability": 0.5}}}}\n{line}\n')
        with pytest.raises(JobFailed, match=r"line 2 of batch transform's output is .*no pred"):
            read_predictions(answers, tmp_path / "p.csv")


class TestNames:
    def test_the_same_work_has_the_same_name(self, prepared: Run) -> None:
        name = training_of(prepared).request.name
        assert name == training_of(replace(prepared, run_id="scheduled__2")).request.name
        assert name.startswith("millrace-club-20260301-train-good-") and len(name) <= LONGEST

    @pytest.mark.parametrize(
        "change",
        [
            {"MILLRACE_XGBOOST_IMAGE": "123456789012.dkr.ecr.eu-west-3.amazonaws.com/own:1"},
            {"MILLRACE_TRAINING_INSTANCE": "ml.m5.xlarge"},
            {"MILLRACE_TRANSFORM_INSTANCE": "ml.m5.xlarge"},
            {"MILLRACE_JOB_TIMEOUT": "77"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_other_work_has_another_name(
        self, aws: StandIn, tmp_path: Path, prepared: Run, jobs: object, change: dict[str, str]
    ) -> None:
        changed = replace(prepared, settings=club_run(aws, tmp_path, LAKE, **change).settings)
        others = {of: of(changed).request.name != of(prepared).request.name
                  for of in (training_of, transform_of)}  # fmt: skip
        only = {"MILLRACE_TRAINING_INSTANCE": training_of, "MILLRACE_TRANSFORM_INSTANCE":
                transform_of}.get(next(iter(change)))  # fmt: skip
        assert others == {of: only in (None, of) for of in others}

    def test_other_arguments_are_other_work(self, prepared: Run) -> None:
        name = training_of(prepared).request.name
        assert training_of(prepared, max_depth=3).request.name != name

    def test_another_lake_is_other_work(self, aws: StandIn, tmp_path: Path, prepared: Run) -> None:
        other = prepare(club_run(aws, tmp_path, "s3://rows/another"))
        channels = [run.published("processed", "", "x").manifest.content
                    for run in (other, prepared)]  # fmt: skip
        assert channels[0] == channels[1]
        assert training_of(other).request.name != training_of(prepared).request.name

    def test_again_is_other_work_in_each_run(self, prepared: Run) -> None:
        runs = [replace(prepared, again=True, run_id=run) for run in ("a", "b", "a")]
        first, second, retry = (training_of(run).request.name for run in runs)
        assert len({first, second, training_of(prepared).request.name}) == 3
        assert first == retry


class TestRequests:
    def test_aws_would_take_them(self, prepared: Run, jobs: object) -> None:
        training, predicting = training_of(prepared).request, transform_of(prepared).request
        bodies = {
            "CreateTrainingJob": {"TrainingJobName": f"{training.name}-1", **training.body},
            "CreateModel": {"ModelName": f"{predicting.name}-1", **predicting.body["model"]},
            "CreateTransformJob": {
                "TransformJobName": f"{predicting.name}-1", "ModelName": f"{predicting.name}-1",
                **predicting.body["transform"],
            },
        }  # fmt: skip
        for operation, body in bodies.items():
            assert problems_of("sagemaker", operation, body) == []
            tags = {tag["Key"]: tag["Value"] for tag in body["Tags"]}
            assert (tags["project"], tags["dataset"], tags["run"]) == (
                "millrace", "club", "manual__1"
            )  # fmt: skip

    def test_what_is_sent_is_uploaded_once(self, aws: StandIn, prepared: Run, jobs: object) -> None:
        sent = [name for name in objects(aws, "jobs/sent/") if name.startswith("jobs/sent/")]
        assert sorted(Path(name).name for name in sent) == ["rows.jsonl", "source.tar.gz"]
        before = aws.calls()["s3.PutObject"]
        training_of(prepared).send()
        transform_of(prepared).send()
        assert aws.calls()["s3.PutObject"] == before

    def test_equal_sources_are_equal_archives(self) -> None:
        with source_archive() as first, source_archive() as second:
            assert first.read_bytes() == second.read_bytes()


class TestOutput:
    def test_both_are_published_with_what_they_took(
        self, prepared: Run, jobs: dict[str, Job]
    ) -> None:
        model = prepared.published("models", "good", "train")
        predictions = prepared.published("predictions", "good", "transform")
        price = hourly("sagemaker_training", "ml.m5.large", "eu-west-3")
        assert price
        assert model.facts == {
            "job": str(jobs["training"]), "seconds": model.facts["seconds"],
            "cost_usd": round(cost(price, model.facts["seconds"]), 6),
        }  # fmt: skip
        assert predictions.facts["job"] == str(jobs["transform"])
        assert predictions.facts["rows"] == 40 and predictions.facts["cost_usd"] > 0
        with tarfile.open(model.path(OUTPUT)) as tar:
            assert tar.getnames()

    def test_the_predictions_are_those_of_this_machine(
        self, tmp_path: Path, prepared: Run, jobs: object
    ) -> None:
        rows = prepared.published("processed", "", "x").path("test/test.csv")
        model = prepared.published("models", "good", "train")
        with unpacked(model.path(MODEL)) as folder:
            transform_locally(folder, rows, tmp_path / "here.csv", timeout=60)
        there = prepared.published("predictions", "good", "transform").path("predictions.csv")
        found = [
            {name: float(p) for name, p in csv.reader(path.open())}
            for path in (tmp_path / "here.csv", there)
        ]
        assert found[1] == pytest.approx(found[0], abs=1e-12)

    def test_the_model_of_a_transform_job_is_removed(
        self, aws: StandIn, prepared: Run, jobs: object
    ) -> None:
        assert aws.client("sagemaker").list_models()["Models"] == []

    def test_the_cost_is_shown(self, prepared: Run, jobs: object) -> None:
        evaluate(prepared)
        report = prepared.published("reports", "evaluation", "evaluate")
        [candidate] = report.json("summary.json")["candidates"]
        parts = [("models", "train"), ("predictions", "transform")]
        spent = [prepared.published(area, "good", step).facts["cost_usd"] for area, step in parts]
        assert candidate["cost_usd"] == pytest.approx(sum(spent), abs=0) and min(spent) > 0
        shown = f"${sum(spent):.4f}"
        assert shown in report.path("report.html").read_text()

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [(lambda lines: lines[1:], "predicted 39 of 40 rows"),
         (lambda lines: [*lines, lines[0]], "predicted 41 of 40 rows"),
         (lambda lines: [], "predicted 0 of 40 rows"),
         (lambda lines: [*lines[:-1], lines[-1][:20]], "line 40 of batch transform's output")],
    )  # fmt: skip
    def test_rows_that_are_missing(
        self, aws: StandIn, tmp_path: Path, prepared: Run, jobs: dict[str, Job], spoil: Any,
        words: str,
    ) -> None:  # fmt: skip
        remote = transform_of(prepared)
        [key] = [name for name in objects(aws, "jobs/club/") if name.endswith(".out")]
        where = {"Bucket": "rows", "Key": f"lake/{key}"}
        s3 = aws.client("s3")
        whole = s3.get_object(**where)["Body"].read()
        s3.put_object(**where, Body=b"".join(spoil(whole.splitlines(keepends=True))))
        status = backend_of(prepared, remote).poll([jobs["transform"]])[jobs["transform"]]
        try:
            with pytest.raises(JobFailed, match=words):
                remote.collect(jobs["transform"], status, Attempt(tmp_path))
        finally:
            s3.put_object(**where, Body=whole)

    def test_an_output_that_is_gone(
        self, aws: StandIn, tmp_path: Path, prepared: Run, jobs: dict[str, Job]
    ) -> None:
        """Without output.tar.gz the script had too few rows; without a model all is lost."""
        remote, job = training_of(prepared), jobs["training"]
        status = backend_of(prepared, remote).poll([job])[job]
        s3, folder = aws.client("s3"), f"lake/jobs/club/2026-03-01/{job.id}/output"
        s3.delete_object(Bucket="rows", Key=f"{folder}/{OUTPUT}")
        remote.collect(job, status, Attempt(tmp_path))
        with tarfile.open(tmp_path / OUTPUT) as tar:
            assert tar.getnames() == []
        assert tarfile.is_tarfile(tmp_path / MODEL)
        s3.delete_object(Bucket="rows", Key=f"{folder}/{MODEL}")
        with pytest.raises(FileNotFoundError, match=r"there is no object s3://rows/.*model\.tar"):
            remote.collect(job, status, Attempt(tmp_path))
