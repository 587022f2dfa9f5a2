"""The likely cause of a failure is found in what jobs really write."""

from __future__ import annotations

import pytest

from millrace.jobs.causes import TAIL, Tail, account, cause_of

TRACEBACK = [
    "Training xgboost with its defaults.",
    "Traceback (most recent call last):",
    '  File "/opt/ml/code/train.py", line 225, in <module>',
    "    main()",
    "ValueError: xgboost has no hyperparameter ['max_dept']; mend its name or take it out",
    "2026-03-01 10:00:00,123 sagemaker-training-toolkit INFO     Waiting for the process to finish",
    "Done.",
]
SPARK = [
    "stderr | 26/03/01 10:00:01 INFO SparkContext: Running Spark version 3.5.6",
    "stderr | org.apache.spark.SparkException: Job aborted due to stage failure",
    "stderr | \tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:2856)",
    "stderr | Caused by: java.io.FileNotFoundException: No such file: s3://lake/raw",
    "stderr | \tat java.base/java.lang.Thread.run(Thread.java:840)",
]
MEMORY = [
    "stderr | Container killed by YARN for exceeding physical memory limits. 5.6 GB of 5.5 GB used",
    "stderr | org.apache.spark.SparkException: Job aborted due to stage failure",
]
SERVICE = [
    'task b0be93df | {"level": "info", "logger": "uvicorn.error", "message": "Started"}',
    'task b0be93df | {"level": "warning", "logger": "serving.shelf", "message": "no such model."}',
    'task b0be93df | {"level": "info", "logger": "serving.requests", "message": "answered"}',
]


@pytest.mark.parametrize(
    ("lines", "reason", "cause"),
    [
        (TRACEBACK, "AlgorithmError: ExitCode 1", TRACEBACK[4]),
        (SPARK, "Unknown Error.", SPARK[3].removeprefix("stderr | ")),
        ([*SPARK, "stdout | ValueError: no image"], "", "ValueError: no image"),
        (SPARK[:3], "", SPARK[1].removeprefix("stderr | ")),
        (MEMORY, "", MEMORY[0].removeprefix("stderr | ")),
        (
            ["controller | ERROR: jar not found s3://a/b.jar"],
            "",
            "ERROR: jar not found s3://a/b.jar",
        ),
        (SERVICE, "Task failed ELB health checks", "no such model."),
        ([SERVICE[0]], "", SERVICE[0].removeprefix("task b0be93df | ")),
        (["just one line"], "Exit\n code 3", "Exit code 3"),
        (["just one line", ""], "", "just one line"),
        ([], "", "it wrote nothing"),
        (["sqlalchemy.exc.OperationalError: no", "KeyError: 'x'"], "", "KeyError: 'x'"),
    ],
)
def test_the_cause(lines: list[str], reason: str, cause: str) -> None:
    assert cause_of(lines, reason) == cause


def test_an_account_begins_with_the_cause_and_ends_with_the_last_lines() -> None:
    lines = Tail(f"line {number}" for number in range(100)).lines()
    said = account("the job failed", "InternalServerError: try\nagain", lines)
    first, *rest = said.splitlines()
    assert first == "the job failed: InternalServerError: try again"
    assert rest[-1] == "  line 99"
    assert len(rest) == TAIL + 1


def test_the_words_of_the_service_stand_beside_another_cause() -> None:
    said = account("the job failed", "AlgorithmError: ExitCode 1", TRACEBACK)
    assert "The service says: AlgorithmError: ExitCode 1" in said


def test_a_chatty_source_does_not_drown_the_one_that_says_why() -> None:
    tail = Tail(["driver stderr | ValueError: no image"])
    tail.add(f"executor-1 stderr | {number}" for number in range(100))
    assert tail.lines()[0] == "driver stderr | ValueError: no image"
    assert len(tail.lines()) == 1 + TAIL
    assert cause_of(tail.lines()) == "ValueError: no image"
